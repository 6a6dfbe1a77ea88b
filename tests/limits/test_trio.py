"""What only trio does: every operation is a checkpoint, runs that end."""

from __future__ import annotations

import trio

from concutil import RateLimiter
from patience import eventually, threads


def test_a_free_permit_is_a_checkpoint() -> None:
    """On trio every entry may be cancelled, and a cancelled one books nothing."""
    limiter = RateLimiter("1/h", max_concurrent=1)

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            async with limiter:
                raise AssertionError("entered in a cancelled scope")
        assert scope.cancelled_caught

    trio.run(main)
    assert limiter.stats().next_in == 0
    assert (limiter.stats().in_flight, limiter.stats().cancelled) == (0, 1)


def test_a_finished_run_holds_nobody_up() -> None:
    """A task that a run left behind in the queue is skipped once the run is over."""
    limiter, waiters = RateLimiter(max_concurrent=1), []

    async def stay() -> None:
        async with limiter:
            raise AssertionError("nobody let it in")

    class Stubborn:
        """Waits in the queue, and is left there when the run ends."""

        def __init__(self) -> None:
            self.coroutine = stay()
            self.coroutine.send(None)

    async def main() -> None:
        waiters.append(Stubborn())

    limiter.__enter__()
    # The coroutine parks as a task of this run would, but the run doesn't know it.
    trio.run(main)
    entered = []
    with threads(lambda: limiter.__enter__() or entered.append(1)):
        eventually(lambda: limiter.stats().waiting == 2)
        limiter.__exit__(None, None, None)

    assert entered == [1]
    waiters.pop().coroutine.close()
    assert (limiter.stats().waiting, limiter.stats().in_flight) == (0, 1)


def test_trio_as_a_guest_of_asyncio() -> None:
    """A trio run that asyncio hosts and the host's own tasks share a limiter."""
    import asyncio

    limiter, entered = RateLimiter(max_concurrent=1), []

    async def enter(name: str) -> None:
        for _ in range(3):
            async with limiter:
                entered.append(name)

    async def host() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        trio.lowlevel.start_guest_run(
            enter,
            "trio",
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=lambda _: done.set(),
        )
        await asyncio.gather(enter("asyncio"), done.wait())

    asyncio.run(host())
    assert sorted(entered) == ["asyncio"] * 3 + ["trio"] * 3
    assert limiter.stats().in_flight == 0
