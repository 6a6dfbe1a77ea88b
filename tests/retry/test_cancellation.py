"""Wherever a call is cancelled, its limiter and its budget are as before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from concutil import RateLimiter, Retry, RetryBudget, retry
from concutil.testing import ManualClock, cancelled_at
from virtual import moving

FORMS = ["function", "call", "block", "generator", "result"]

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("form", FORMS)]


def form_of(
    form: str, policy: Retry, step: Callable[[], Awaitable[int]]
) -> Callable[[], Awaitable[Any]]:
    """Return what awaits *step* in one of the forms."""

    @policy
    async def function() -> int:
        return await step()

    async def block() -> int:
        async for attempt in policy:
            async with attempt:
                result = await step()
        return result

    async def items() -> AsyncIterator[int]:
        yield await step()

    async def generate() -> int:
        async with aclosing(policy(items)()) as some:  # type: ignore[type-var]  # it is one
            return await anext(some)

    async def call() -> int:
        return await policy.acall(step)

    return {"block": block, "generator": generate, "call": call}.get(form, function)


@pytest.mark.parametrize("others", [0, 1])
async def test_cancelled_at_every_suspension(  # noqa: PLR0915 - one story
    form: str, others: int
) -> None:
    """No place, no permit in the queue and no retry that was not made is lost."""
    clock = ManualClock()
    budget = RetryBudget(1, min_per_second=9, window=1e6)
    limiter = RateLimiter("100/s", max_concurrent=1, clock=clock)
    options: dict[str, Any] = {"limiter": limiter, "budget": budget, "clock": clock}
    judge = (lambda result: result < 3) if form == "result" else None
    policy = retry(OSError, attempts=3, on_result=judge, **options)
    calls: list[int] = []

    async def step() -> int:
        calls.append(1)
        await checkpoint()
        assert limiter.stats().in_flight == 1
        if len(calls) < 3 and form != "result":
            raise OSError
        return len(calls)

    async def rival() -> None:
        while True:
            async with limiter:
                await checkpoint()
            await checkpoint()

    call, n, reached = form_of(form, policy, step), 1, True
    async with moving(clock), anyio.create_task_group() as group:
        if others:
            group.start_soon(rival)
        while reached:
            calls.clear()
            before = budget._account.read()[0]
            reached = await cancelled_at(n, call)
            made = budget._account.read()[0] - before
            assert made == max(0, len(calls) - 1)
            assert limiter.stats().in_flight <= others
            assert limiter.stats().waiting <= others
            clock.advance(60)
            n += 1
        group.cancel_scope.cancel()
    assert len(calls) == 3
    assert n > 6
    assert (limiter.stats().in_flight, limiter.stats().waiting) == (0, 0)
    assert clock._timers == []


async def test_what_cleans_up_runs_once(form: str) -> None:
    """The function sees its cancellation in the attempt that runs, and no other one."""
    ended: list[int] = []
    policy = retry(OSError, on_result=(lambda _: True) if form == "result" else None)

    async def step() -> int:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(1)
        return 1

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(form_of(form, policy, step))
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert ended == [1]
