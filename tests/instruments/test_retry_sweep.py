"""Cancelled anywhere in any way, a retried call leaves no place and no retry taken."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from functools import partial

import anyio
import pytest

from concutil import RateLimiter, RetryBudget, retry
from concutil._retry.budget import account_of

from .sweep import sweep
from .ways import WAYS

MUCH_LATER_S = 100.0
# Before that Python does not close an async generator with the coroutine that awaits
# its next item, nobody can help it, and the loops report it for a long time.
CLOSES_GENERATORS = sys.version_info >= (3, 13)


class Failed(Exception):  # noqa: N818  # says what happened
    """What is retried."""


class Retried:
    """A call that is tried three times, in a limiter where all others have to wait.

    Nothing takes any time, so that who waits behind must get through in that instant.
    """

    wait_s = 0.0

    def __init__(self) -> None:
        self.limiter = RateLimiter(max_concurrent=1)
        self.budget = RetryBudget(min_per_second=10)
        self.policy = retry(
            Failed,
            attempts=3,
            wait_initial=self.wait_s,
            jitter="none",
            limiter=self.limiter,
            budget=self.budget,
        )
        self.begun = 0

    async def setup(self) -> None:
        """Take the only place."""
        await self.limiter.__aenter__()

    async def attempt(self) -> None:
        """Fail twice."""
        self.begun += 1
        number = self.begun
        await anyio.sleep(self.wait_s)
        if number < 3:
            raise Failed

    async def operation(self) -> None:
        """Call it."""
        await self.policy.acall(self.attempt)

    async def help(self) -> None:
        """Give the only place back."""
        await self.limiter.__aexit__(None, None, None)

    async def behind(self) -> None:
        """Enter and leave."""
        async with self.limiter:
            pass

    def state(self) -> object:
        """Return what is taken: places, and retries that were not made."""
        stats = self.limiter.stats()
        spent, _ = account_of(self.budget).read()
        return stats.in_flight, stats.waiting, spent - max(0, self.begun - 1)


class InABlock(Retried):
    """`async for attempt in policy: async with attempt`."""

    async def operation(self) -> None:
        """Try the block."""
        async for attempt in self.policy:
            async with attempt:
                await self.attempt()


class Items(Retried):
    """An async generator that fails before its first item."""

    async def operation(self) -> None:
        """Take all items."""

        @self.policy
        async def items() -> AsyncIterator[int]:
            await self.attempt()
            yield 1
            await anyio.sleep(self.wait_s)

        assert [item async for item in items()] == [1]


class Slow(Retried):
    """Attempts and waits that take a second, so that others have turns in between."""

    wait_s = 1.0

    async def setup(self) -> None:
        """Take the only place, and note when all will be over."""
        self.over = anyio.current_time() + MUCH_LATER_S
        await super().setup()

    async def behind(self) -> None:
        """Enter and leave, and be through at the same time in any case."""
        async with self.limiter:
            pass
        assert anyio.current_time() < self.over + 1
        await anyio.sleep_until(self.over)


class SlowInABlock(Slow, InABlock):
    """The same in the block form."""


class SlowItems(Slow, Items):
    """The same in an async generator."""


class SlowCut(Slow):
    """Attempts that are cut, since they take too long."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = retry(
            TimeoutError,
            attempts=3,
            attempt_timeout=0.5,
            wait_initial=0,
            limiter=self.limiter,
            budget=self.budget,
        )

    async def attempt(self) -> None:
        """Take too long twice."""
        self.begun += 1
        if self.begun < 3:
            await anyio.sleep(60)


@pytest.mark.slow
@pytest.mark.parametrize(
    "call", [Retried, InABlock, Items, Slow, SlowInABlock, SlowItems, SlowCut]
)
def test_cancelled_retry_leaves_nothing_taken(
    call: type[Retried],
    tell: Callable[[object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its place is free at once, and only retries that were made are spent."""
    if issubclass(call, Items) and not CLOSES_GENERATORS:
        for ways in WAYS.values():
            monkeypatch.delitem(ways, "abandoned")
    report = sweep(f"Retry, {call.__name__}", partial(call))
    tell(report)
    assert not report.found, report
    assert report.cut >= 4 * sum(len(ways) for ways in WAYS.values())
