"""A limiter between tasks of one event loop, on asyncio and on trio."""

from __future__ import annotations

import anyio
import pytest

from concutil import RateLimiter, RateLimitExceeded
from concutil.testing import ManualClock

pytestmark = pytest.mark.anyio


async def test_places_are_handed_on_in_order() -> None:
    """Tasks are let in first come, first served, never more than the limit."""
    limiter, order, inside = RateLimiter(max_concurrent=2), [], []

    async def enter(number: int) -> None:
        async with limiter:
            order.append(number)
            inside.append(limiter.stats().in_flight)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(enter, number)
            await anyio.wait_all_tasks_blocked()

    assert order == list(range(6))
    assert max(inside) <= 2
    assert limiter.stats().in_flight == 0


async def test_a_manual_clock_lets_tasks_go_on() -> None:
    """With a clock of its own a limiter waits for that, in no real time."""
    clock = ManualClock()
    limiter, entered = RateLimiter("1/h", slack=0, clock=clock), []

    async def enter() -> None:
        async with limiter.permit() as permit:
            entered.append(permit.waited)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(enter)
        for _ in range(3):
            await anyio.wait_all_tasks_blocked()
            clock.advance(3600)

    assert entered == [0, 3600, 7200]


async def test_the_faces_of_a_permit() -> None:
    """A permit is taken by `await` or `async with`, and is a block when taken."""
    limiter = RateLimiter(max_concurrent=1)
    permit = await limiter.permit()
    assert limiter.try_permit() is None
    async with permit as same:
        assert same is permit
    assert limiter.stats().in_flight == 0
    with pytest.raises(RuntimeError, match="a permit is used once"):
        await permit

    async with limiter.permit() as other:
        assert other.waited == 0
        with pytest.raises(RuntimeError, match="a permit is used once"):
            await other
    assert limiter.stats().in_flight == 0


async def test_timeouts() -> None:
    """What the rates exceed fails at once; a late place at the end of the patience."""
    clock = ManualClock()
    rated = RateLimiter("1/min", slack=0, clock=clock)
    async with rated:
        with pytest.raises(RateLimitExceeded) as early:
            await rated.permit(timeout=59)
    assert early.value.retry_after == 60

    placed, errors = RateLimiter(max_concurrent=1, clock=clock), []

    async def enter() -> None:
        with pytest.raises(RateLimitExceeded) as late:
            await placed.permit(timeout=5)
        errors.append((clock.now(), late.value.retry_after))

    async with placed, anyio.create_task_group() as group:
        group.start_soon(enter)
        await anyio.wait_all_tasks_blocked()
        clock.advance(5)
    assert errors == [(5, 0)]
    assert (placed.stats().waiting, placed.stats().in_flight) == (0, 0)


async def test_a_cancelled_waiter_leaves_no_hole() -> None:
    """Whoever waited behind a cancelled task is due that much earlier."""
    clock = ManualClock()
    limiter, entered = RateLimiter("1/s", slack=0, clock=clock), []
    scopes = [anyio.CancelScope() for _ in range(4)]

    async def enter(scope: anyio.CancelScope) -> None:
        with scope:
            async with limiter:
                entered.append(clock.now())

    async with limiter, anyio.create_task_group() as group:
        for scope in scopes:
            group.start_soon(enter, scope)
            await anyio.wait_all_tasks_blocked()
        scopes[0].cancel()
        scopes[2].cancel()
        for _ in range(2):
            await anyio.wait_all_tasks_blocked()
            clock.advance(1)

    assert entered == [1, 2]
    assert limiter.stats().cancelled == 2


async def test_in_real_time_tasks_wait_as_long_as_they_must() -> None:
    """With the system's clock eleven calls at 200/s take 50 ms, less the slack."""
    limiter = RateLimiter(calls_per_second=200)
    begin = anyio.current_time()

    async def enter() -> None:
        async with limiter:
            pass

    async with anyio.create_task_group() as group:
        for _ in range(11):
            group.start_soon(enter)

    assert anyio.current_time() - begin >= 10 / 200 - 0.01 - 0.002
    assert limiter.stats().granted == 11


async def test_free_permits_let_other_tasks_run() -> None:
    """A loop of entries that needn't wait doesn't starve the other tasks."""
    limiter, turns, entries = RateLimiter(calls_per_second=1e9), 0, 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        with anyio.fail_after(10):  # noqa: ASYNC912 - the subject
            while turns < 10:
                entries += 1
                async with limiter:
                    pass
        group.cancel_scope.cancel()

    assert entries >= 10


async def test_a_limiter_with_its_own_clock_always_yields() -> None:
    """Under a clock that stands still a loop of entries starves nobody either."""
    limiter = RateLimiter("9/s", burst=1e9, clock=ManualClock())
    done = anyio.Event()

    async def other() -> None:
        await anyio.lowlevel.checkpoint()
        done.set()

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        while not done.is_set():
            async with limiter:
                pass

    assert limiter.stats().granted > 0


async def test_awaiting_what_wait_gave_is_told() -> None:
    """`await permit.wait()` blocks the thread, and says what to write instead."""
    limiter = RateLimiter(max_concurrent=1)
    permit = limiter.permit()
    with pytest.raises(RuntimeError, match=r"in a task await that, without \.wait\(\)"):
        await permit.wait()
    permit.release()
