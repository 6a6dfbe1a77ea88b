"""What concutil offers for the tests of others: `cancelled_at`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio
import pytest
from anyio.lowlevel import checkpoint

from concutil import RateLimiter
from concutil.testing import cancelled_at

pytestmark = pytest.mark.anyio


async def three_checkpoints(log: list[str]) -> None:
    for number in range(3):
        await checkpoint()
        log.append(f"passed {number}")


async def test_cancelled_at_each_suspension_in_turn() -> None:
    """The n-th suspension is where it ends; nothing behind that runs."""
    for n in (1, 2, 3):
        log: list[str] = []
        assert await cancelled_at(n, three_checkpoints, log) is True
        assert log == [f"passed {number}" for number in range(n - 1)]


async def test_nothing_is_cancelled_beyond_the_last_suspension() -> None:
    """An operation with fewer suspensions runs to its end, and the answer is False."""
    log: list[str] = []
    assert await cancelled_at(100, three_checkpoints, log) is False
    assert len(log) == 3


async def test_operation_that_never_suspends_runs_to_its_end() -> None:
    """Where nothing is awaited, nothing can be cancelled."""
    log: list[int] = []

    async def append(number: int, *, times: int) -> None:
        log.extend([number] * times)

    assert await cancelled_at(1, append, 7, times=2) is False
    assert log == [7, 7]


async def test_caller_is_not_cancelled() -> None:
    """The cancellation ends with the call: the caller awaits on as before."""
    assert await cancelled_at(1, anyio.sleep, 3600)
    await checkpoint()
    with anyio.CancelScope() as scope:
        assert await cancelled_at(1, anyio.sleep, 3600)
    assert not scope.cancelled_caught


async def test_operation_runs_in_the_task_of_the_caller() -> None:
    """What it does with the current task is as without `cancelled_at`."""
    tasks = [anyio.get_current_task()]

    async def look() -> None:
        tasks.append(anyio.get_current_task())

    await cancelled_at(1, look)
    assert tasks[0] == tasks[1]


async def test_further_awaits_are_cancelled_unless_shielded() -> None:
    """Clean-up that awaits is cancelled too; a shield protects it."""
    log: list[str] = []

    async def clean_up_twice() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await checkpoint()
                log.append("shielded")
            await checkpoint()  # noqa: ASYNC102 - that is the subject
            log.append("unshielded")

    assert await cancelled_at(1, clean_up_twice)
    assert log == ["shielded"]


async def test_swallowed_cancellation_counts_as_reached() -> None:
    """An operation that was cancelled and returns all the same came to that point."""

    async def swallow() -> None:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():  # noqa: ASYNC103 - the subject here
            return  # noqa: ASYNC104 - the subject here

    assert await cancelled_at(1, swallow) is True


@pytest.mark.parametrize("n", [1, 2])
async def test_error_of_the_operation_comes_out(n: int) -> None:
    """What it raises by itself is raised, cancelled or not."""

    async def fail() -> None:
        try:
            await checkpoint()
        finally:
            raise LookupError

    with pytest.raises(LookupError):
        await cancelled_at(n, fail)


async def test_cancellation_from_outside_goes_in() -> None:
    """Who cancels the caller cancels the operation, and it isn't taken for ours."""
    ended: list[bool] = []

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    with anyio.move_on_after(0) as scope:
        await cancelled_at(100, wait)
    assert scope.cancelled_caught
    assert ended == [True]


@pytest.mark.parametrize(
    ("n", "error"),
    [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("1", TypeError)],
)
async def test_wrong_n_is_refused(n: int, error: type[Exception]) -> None:
    """The number is checked before the operation is called."""
    called: list[str] = []
    with pytest.raises(error, match="n must be"):
        await cancelled_at(n, three_checkpoints, called)
    assert not called


async def test_boolean_n_is_refused() -> None:
    """True is not taken for the first suspension."""
    with pytest.raises(TypeError, match="whole number, not True"):
        await cancelled_at(True, anyio.sleep, 0)


async def test_sweep_of_a_limiter_with_it() -> None:
    """A user can show that a call of theirs loses no place wherever it is cancelled."""
    limiter = RateLimiter(max_concurrent=1)
    inside: list[bool] = []

    async def work() -> None:
        async with limiter:
            await checkpoint()
            inside.append(True)

    n = 1
    while await cancelled_at(n, work):
        assert limiter.stats().in_flight == 0
        n += 1
    assert n > 1
    assert inside == [True]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_future_may_be_awaited() -> None:
    """Whatever can be awaited will do, not only coroutines."""
    make: Callable[[], asyncio.Future[None]] = asyncio.get_running_loop().create_future
    assert await cancelled_at(1, make)
