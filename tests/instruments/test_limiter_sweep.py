"""Cancelled anywhere in any way, a limiter is as if it had never been called."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import anyio
import pytest

from concutil import RateLimiter, RateLimitExceeded

from .scenario import FullHouse
from .sweep import sweep
from .ways import WAYS

LIMITERS: dict[str, Callable[[], RateLimiter]] = {
    "places": lambda: RateLimiter(max_concurrent=1),
    "a rate": lambda: RateLimiter("1/s"),
    "a strict rate": lambda: RateLimiter("1/s", slack=0),
    "a rate and places": lambda: RateLimiter("1/s burst 5", max_concurrent=1),
    "two rates and places": lambda: RateLimiter("1/s", "50/min", max_concurrent=2),
}


def look(limiter: RateLimiter) -> object:
    """Return all that can be seen, but for the count of those who were cancelled."""
    seen = limiter.stats().asdict()
    del seen["cancelled"]
    return {name: round(value, 6) for name, value in seen.items()}


class InABlock(FullHouse[RateLimiter]):
    """`async with limiter`."""


class WithPatience(FullHouse[RateLimiter]):
    """`async with limiter.permit(timeout=...)`, and it lasts."""

    async def operation(self) -> None:
        async with self.room.permit(timeout=60):
            pass


class WithPermit(FullHouse[RateLimiter]):
    """`await limiter.permit()`, released later."""

    async def operation(self) -> None:
        permit = await self.room.permit()
        permit.release()


class Decorated(FullHouse[RateLimiter]):
    """A decorated async function."""

    async def operation(self) -> None:
        @self.room
        async def work() -> None: ...

        await work()


class AfterAWhile(InABlock):
    """`async with limiter`, and the place is free only after a while."""

    async def help(self) -> None:
        await anyio.sleep(3)
        await super().help()


class Hopeless(AfterAWhile):
    """A permit whose patience ends before the place is free."""

    async def operation(self) -> None:
        with suppress(RateLimitExceeded):
            permit = await self.room.permit(timeout=1)
            permit.release()


class Big(FullHouse[RateLimiter]):
    """A cost that makes who waits behind wait for long."""

    async def operation(self) -> None:
        async with self.room.permit(cost=5):
            pass

    def state(self) -> object:
        # While it was there, the others had to wait: they would not have otherwise.
        return self.room.stats().granted, self.room.stats().in_flight


class Free(FullHouse[RateLimiter]):
    """A permit that is free, so that nothing but the checkpoint is awaited."""

    async def setup(self) -> None:
        """Take nothing; since the loop is new, nobody else had a turn for long."""

    async def help(self) -> None: ...


@pytest.mark.parametrize("limiter", LIMITERS)
@pytest.mark.parametrize(
    "call", [InABlock, AfterAWhile, WithPatience, WithPermit, Decorated]
)
def test_cancelled_call_was_never_made(
    call: type[FullHouse[RateLimiter]], limiter: str, tell: Callable[[object], None]
) -> None:
    """Whoever waited behind moves up at once, and nothing stays booked or taken."""
    report = sweep(
        f"RateLimiter with {limiter}, {call.__name__}",
        partial(call, LIMITERS[limiter], look),
    )
    tell(report)
    assert not report.found, report
    assert report.cut >= sum(len(ways) for ways in WAYS.values())


@pytest.mark.parametrize(
    ("call", "limiter"),
    [
        (Hopeless, lambda: RateLimiter(max_concurrent=1)),
        (Big, lambda: RateLimiter("1/s burst 5", max_concurrent=1)),
        (Free, lambda: RateLimiter("1/s", max_concurrent=1)),
    ],
)
def test_cancelled_call_of_a_rare_kind_was_never_made(
    call: type[FullHouse[RateLimiter]],
    limiter: Callable[[], RateLimiter],
    tell: Callable[[object], None],
) -> None:
    """Nor is anything left of a call without patience, of a big one or a free one."""
    report = sweep(f"RateLimiter, {call.__name__}", partial(call, limiter, look))
    tell(report)
    assert not report.found, report
