"""What only asyncio does: edge-triggered cancellation, loops that close."""

from __future__ import annotations

import asyncio
import gc
from typing import Any, cast

import pytest

from concutil import RateLimiter
from concutil._limits.gate import Gate
from concutil.testing import ManualClock
from patience import eventually, threads


async def until_waiting(limiter: RateLimiter, count: int) -> None:
    """Let other tasks run until *count* are queued."""
    while limiter.stats().waiting != count:  # noqa: ASYNC110  # nothing tells
        await asyncio.sleep(0)


async def enter(limiter: RateLimiter, then: list[str], name: str) -> None:
    """Enter and leave, noting *name* while inside."""
    async with limiter:
        then.append(name)


def test_a_native_cancel_while_waiting_leaves_nothing() -> None:
    """`task.cancel()` ends the wait, and the next in the queue moves up."""

    async def main() -> list[str]:
        limiter, entered = RateLimiter(max_concurrent=1), []
        async with limiter:
            first = asyncio.create_task(enter(limiter, entered, "first"))
            await until_waiting(limiter, 1)
            second = asyncio.create_task(enter(limiter, entered, "second"))
            await until_waiting(limiter, 2)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            assert limiter.stats().waiting == 1
        await second
        assert limiter.stats().in_flight == 0
        return entered

    assert asyncio.run(main()) == ["second"]


def test_a_place_handed_to_a_cancelled_task_is_passed_on() -> None:
    """Cancelled after the wake-up, before it ran, a task gives the place to the next.

    Only asyncio's own cancellation does that.
    """

    async def main() -> list[str]:
        limiter, entered = RateLimiter(max_concurrent=1), []
        await limiter.__aenter__()
        first = asyncio.create_task(enter(limiter, entered, "first"))
        await until_waiting(limiter, 1)
        second = asyncio.create_task(enter(limiter, entered, "second"))
        await until_waiting(limiter, 2)
        await limiter.__aexit__(None, None, None)
        assert limiter.stats().in_flight == 1, "handed over, and not yet running"
        first.cancel()
        await second
        assert first.cancelled()
        assert limiter.stats().in_flight == 0
        return entered

    assert asyncio.run(main()) == ["second"]


def test_a_rate_handed_to_a_cancelled_task_is_given_back() -> None:
    """What the cancelled task had booked of a rate is there for the next."""

    async def main() -> None:
        limiter = RateLimiter("1/h", max_concurrent=1, slack=0)
        permit = limiter.try_permit()
        assert permit is not None
        permit.release()
        tat = limiter.stats().next_in
        task = asyncio.create_task(enter(limiter, [], ""))
        await until_waiting(limiter, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tat - 5 < limiter.stats().next_in <= tat

    asyncio.run(main())


def test_a_cancelled_task_is_passed_over_before_it_runs() -> None:
    """Who was cancelled, and hasn't run since, is granted nothing any more."""

    async def main() -> list[str]:
        limiter, entered = RateLimiter(max_concurrent=1), []
        await limiter.__aenter__()
        tasks = [asyncio.create_task(enter(limiter, entered, name)) for name in "abc"]
        await until_waiting(limiter, 3)
        for task in tasks[:2]:
            task.cancel()
        await limiter.__aexit__(None, None, None)

        stats = limiter.stats()  # before any of them has run
        assert (stats.waiting, stats.in_flight) == (0, 1), "the last has the place"
        assert (stats.granted, stats.cancelled) == (2, 2)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert limiter.stats().cancelled == 2
        assert limiter.stats().in_flight == 0
        return entered

    assert asyncio.run(main()) == ["c"]


def test_what_the_collector_left_is_done_by_who_held_the_lock() -> None:
    """A place that comes free while a task holds the lock is free when it has left."""

    class Visited:
        """A lock that the collector visits while a task holds it."""

        def __init__(self, gate: Gate) -> None:
            self.gate = gate
            self.lock = gate.lock

        def acquire(self) -> None:
            self.lock.acquire()

        def release(self) -> None:
            self.gate.lock = self.lock
            self.gate.leave(GeneratorExit)
            self.lock.release()

    async def main() -> None:
        limiter = RateLimiter(max_concurrent=2)
        await limiter.__aenter__()
        gate = limiter._gate
        gate.lock = cast("Any", Visited(gate))
        await limiter.__aenter__()
        assert not gate.inbox
        assert gate.admission.running == 1

    asyncio.run(main())


def test_a_closed_loop_holds_nobody_up() -> None:
    """Whoever waited in a loop that was closed is skipped; its place is passed on."""
    limiter = RateLimiter(max_concurrent=1)
    limiter.__enter__()
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(enter(limiter, [], "")) for _ in range(3)]
    loop.run_until_complete(until_waiting(limiter, 3))
    loop.close()
    entered = []
    with threads(lambda: limiter.__enter__() or entered.append(1)):
        eventually(lambda: limiter.stats().waiting == 4)
        limiter.__exit__(None, None, None)

    assert entered == [1]
    assert limiter.stats().waiting == 0
    limiter.__exit__(None, None, None)
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # on purpose
    del task, tasks
    gc.collect()
    assert limiter.stats().in_flight == 0


def test_a_dropped_task_leaves_from_the_collector() -> None:
    """A task that the collector closes leaves the queue, even under our own lock."""
    limiter = RateLimiter(max_concurrent=1)
    limiter.__enter__()
    loop = asyncio.new_event_loop()
    task = loop.create_task(enter(limiter, [], ""))
    loop.run_until_complete(until_waiting(limiter, 1))
    loop.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # on purpose
    del task, loop
    with limiter._gate.lock:
        gc.collect()
    limiter.__exit__(None, None, None)

    assert (limiter.stats().waiting, limiter.stats().in_flight) == (0, 0)
    assert limiter.stats().cancelled == 1


def test_a_queue_is_resumed_in_order() -> None:
    """Tasks that one moment lets in come back in the order of their arrival.

    On trio the order of what is ready at once is trio's own, random on purpose.
    """

    async def main() -> list[str]:
        clock = ManualClock()
        limiter, entered = RateLimiter("1/s", burst=5, clock=clock), []
        await limiter.permit(5)
        tasks = []
        for number in range(5):
            tasks.append(asyncio.create_task(enter(limiter, entered, str(number))))
            await until_waiting(limiter, number + 1)
        clock.advance(5)
        await asyncio.gather(*tasks)
        return entered

    assert asyncio.run(main()) == list("01234")


def test_a_second_run_uses_the_same_limiter() -> None:
    """One loop after the other may use a limiter that was made before both."""
    limiter = RateLimiter(calls_per_second=1000, max_concurrent=1)

    async def main() -> None:
        await asyncio.gather(*[enter(limiter, [], "") for _ in range(5)])

    for _ in range(3):
        asyncio.run(main())
    assert limiter.stats().granted == 15


def test_who_runs_no_loop_is_told() -> None:
    """Awaiting outside of asyncio and trio is a RuntimeError that says so."""
    limiter = RateLimiter("1/s")

    with pytest.raises(RuntimeError, match="in a task of asyncio or trio"):
        limiter.permit().__await__().__next__()
    assert limiter.stats().granted == 0


@pytest.mark.parametrize("end", ["let in", "cancelled"])
def test_who_has_waited_leaves_no_timer(end: str) -> None:
    """Whether it was let in or cancelled: nothing goes off when its time comes."""
    timers: list[asyncio.TimerHandle] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        limiter = RateLimiter("1/h", slack=0)
        permit = await limiter.permit()
        set_timer = loop.call_later

        def noted(*args: Any) -> asyncio.TimerHandle:
            timers.append(set_timer(*args))
            return timers[-1]

        loop.call_later = noted  # type: ignore[method-assign]  # to see what is set
        task = asyncio.create_task(enter(limiter, [], ""))
        await until_waiting(limiter, 1)
        assert [timer.cancelled() for timer in timers] == [False]
        permit.refund() if end == "let in" else task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() == (end == "cancelled")
        assert [timer.cancelled() for timer in timers] == [True]

    asyncio.run(main())
