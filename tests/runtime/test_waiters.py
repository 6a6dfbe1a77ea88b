"""The floor on which everything waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any

import anyio
import pytest
import trio

from concutil._runtime import clock, waiters
from concutil._runtime.on_threads import THREADS
from concutil.testing import ManualClock
from patience import threads


def test_a_text_runs_in_a_thread_in_one_send() -> None:
    """Over the threads' world a text never suspends; its result is returned."""

    async def text() -> int:
        await THREADS.checkpoint()
        waiter = THREADS.waiter()
        waiter.wake()
        await waiters.park(THREADS, waiter, inf, clock=None)
        return 7

    assert waiters.run(text()) == 7


def test_a_text_that_suspends_in_a_thread_is_a_bug() -> None:
    """A text that awaits something else is closed, and reported."""
    closed = []

    async def text() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            closed.append(True)

    with pytest.raises(RuntimeError, match="was suspended: that is a bug"):
        waiters.run(text())
    assert closed == [True]


def test_a_wake_up_before_the_parking_is_kept() -> None:
    """A thread that was woken before it parked doesn't block, once."""
    waiter = THREADS.waiter()
    assert waiter.wake()
    assert waiter.wake(), "one too many is harmless"
    waiter.block(inf)

    begin = clock.monotonic()
    waiter.block(begin + 0.01)
    assert clock.monotonic() - begin >= 0.01


def test_a_time_that_is_past_does_not_block() -> None:
    """Parking until a time that has passed returns at once."""
    THREADS.waiter().block(clock.monotonic() - 5)
    THREADS.waiter().block(-inf)


def test_parking_by_a_clock_calls_its_timer_off() -> None:
    """A clock's timer is called off whether it went off or not."""
    manual = ManualClock()
    waiter = THREADS.waiter()
    waiter.wake()
    waiters.run(waiters.park(THREADS, waiter, 5.0, clock=manual))
    assert repr(manual) == "<ManualClock at 0 s: 0 timers>"

    with threads(lambda: waiters.run(waiters.park(THREADS, waiter, 5.0, clock=manual))):
        while "1 timer" not in repr(manual):
            pass
        manual.advance(5)
    assert repr(manual) == "<ManualClock at 5 s: 0 timers>"


def test_worlds_are_told_apart() -> None:
    """A task's world is that of its loop: one per loop, as long as the loop is open."""
    seen: list[Any] = []

    async def note() -> None:
        seen.append(waiters.running_world().line)

    async def twice() -> None:
        await note()
        assert waiters.running_world() is waiters.running_world()

    asyncio.run(twice())
    asyncio.run(twice())
    trio.run(note)

    assert len({id(line) for line in seen}) == 3
    assert sum(loop.is_closed() for loop in waiters.worlds) <= 1


def test_nobody_runs_a_loop_here() -> None:
    """Outside of loops there is no world for tasks, and no loop to block."""
    assert not waiters.runs_a_loop()
    with pytest.raises(RuntimeError, match="in a task of asyncio or trio"):
        waiters.running_world()


def test_a_loop_that_is_blocked_is_seen() -> None:
    """In a task or callback of either backend the thread runs a loop."""

    async def main() -> bool:
        return waiters.runs_a_loop()

    assert asyncio.run(main())
    assert trio.run(main)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_finished_loop_is_noticed(backend: str) -> None:
    """Waking a task whose loop is closed or run is over says that nobody is there."""
    made: list[Any] = []

    async def main() -> None:
        waiter = waiters.running_world().waiter()
        made.append(waiter)
        assert waiter.wake(), "there is somebody, though not parked"

    trio.run(main) if backend == "trio" else asyncio.run(main())
    assert made[0].wake() is False
    made[0].close()
    assert made[0].wake() is True, "it went on by itself before the loop ended"


def test_a_task_that_was_cancelled_is_leaving() -> None:
    """A parked task of asyncio is leaving from its cancellation on, not by waking."""

    async def main() -> None:
        world = waiters.running_world()
        waiter = world.waiter()
        assert not waiter.is_leaving(), "it isn't even parked"

        async def park() -> None:
            await world.park(waiter, inf)

        for end in ("wake", "cancel"):
            task = asyncio.create_task(park())
            await asyncio.sleep(0)
            assert not waiter.is_leaving()
            waiter.wake() if end == "wake" else task.cancel()
            assert waiter.is_leaving() is (end == "cancel")
            await asyncio.wait([task])

    asyncio.run(main())


@pytest.mark.anyio
async def test_a_time_of_a_clock_that_has_come_does_not_park() -> None:
    """A clock that moved on before the parking wakes nobody, and nobody parks."""

    class Racing:
        moved = 0.0

        def now(self) -> float:
            return self.moved

        def call_at(
            self, when: float, wake: Callable[[], object]
        ) -> Callable[[], object]:
            self.moved = when
            return wake() and bool

    world = waiters.running_world()
    with anyio.fail_after(5):
        await waiters.park(world, world.waiter(), 5.0, clock=Racing())


def test_a_wait_leaves_no_timer_behind() -> None:
    """Woken early, a task calls its timer off when it parks again, or goes on."""
    timers: list[asyncio.TimerHandle] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        set_timer = loop.call_later

        def noted(*args: Any) -> asyncio.TimerHandle:
            timers.append(set_timer(*args))
            return timers[-1]

        loop.call_later = noted  # type: ignore[method-assign]  # to see what is set
        world = waiters.running_world()
        waiter = world.waiter()
        for _ in range(2):
            loop.call_soon(waiter.wake)
            await world.park(waiter, clock.monotonic() + 60)
        assert [timer.cancelled() for timer in timers] == [True, False]
        waiter.close()

    asyncio.run(main())
    assert [timer.cancelled() for timer in timers] == [True, True]


def test_a_loop_that_is_open_keeps_its_world() -> None:
    """Loops that take turns have each the same world every time, till they close."""

    async def world() -> waiters.World:
        return waiters.running_world()

    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    seen = [loop.run_until_complete(world()) for loop in (first, second) * 2]
    assert seen[:2] == seen[2:]
    assert seen[0] is not seen[1]

    first.close()
    second.close()
    asyncio.run(world())
    assert not {first, second} & waiters.worlds.keys()


@pytest.mark.anyio
async def test_a_loop_is_asked_from_another_thread() -> None:
    """What is to be called soon is called in the loop, which is woken for it."""
    world, asked = waiters.running_world(), anyio.Event()
    with threads(lambda: world.soon(asked.set)), anyio.fail_after(2):
        await asked.wait()


class Loop(asyncio.SelectorEventLoop):
    """A loop in which the collector can run in an awkward instant."""

    def __init__(self) -> None:
        super().__init__()
        self.collect: Callable[[], object] | None = None

    def create_future(self) -> asyncio.Future[Any]:
        """Return one, after the collection."""
        collect, self.collect = self.collect, None
        if collect is not None:
            collect()
        return super().create_future()


def test_a_task_is_woken_as_it_parks() -> None:
    """By its own thread, where the collector runs and calls what wakes it."""
    loop = Loop()

    async def main() -> None:
        world = waiters.running_world()
        waiter = world.waiter()
        for _ in range(2):
            loop.collect = waiter.wake
            await world.park(waiter, inf)
        parked = world.park(waiter, inf)
        assert isinstance(parked, asyncio.Future)
        assert not parked.done(), "each wake-up counts once"

    try:
        loop.run_until_complete(asyncio.wait_for(main(), 10))
    finally:
        loop.close()


@pytest.mark.parametrize("late", [False, True], ids=["before", "while"])
def test_a_task_of_trio_is_woken_as_it_parks(
    late: bool,  # noqa: FBT001 - a parameter
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So it is, before trio knows of it, or while it is being told."""
    name = "wait_task_rescheduled" if late else "current_task"
    plain = getattr(trio.lowlevel, name)

    async def main() -> None:
        world = waiters.running_world()
        waiter = world.waiter()
        for _ in range(2):

            def collected(*args: Any, waiter: Any = waiter) -> Any:
                monkeypatch.undo()
                waiter.wake()
                return plain(*args)

            with trio.fail_after(10):
                monkeypatch.setattr(trio.lowlevel, name, collected)
                await world.park(waiter, inf)
        with trio.move_on_after(0) as scope:
            await world.park(waiter, inf)
        assert scope.cancelled_caught, "each wake-up counts once"

    trio.run(main)
