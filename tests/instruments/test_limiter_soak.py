"""Soaked for hours, a limiter keeps its word in every window."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from concutil import Rate, RateLimiter

from .budgets import BUDGET
from .soak import WORLDS, Soak, World

everywhere = pytest.mark.parametrize("world", WORLDS)


@pytest.mark.slow
@pytest.mark.timeout(300)
@everywhere
def test_rate_keeps_its_word_for_hours(
    world: World, tell: Callable[[object], None]
) -> None:
    """No window of w seconds ever holds more than burst + rate * (w + slack)."""
    soaked = Soak(
        "RateLimiter with a rate",
        lambda: RateLimiter(Rate(1, burst=10)),
        rate=Rate(1, burst=10),
        slack=0.01,
    ).on(world, hours=BUDGET.soak_hours)
    tell(soaked)
    assert soaked.kept_its_word, soaked
    assert soaked.came_near, soaked
    assert soaked.calls >= BUDGET.soak_calls, soaked


@pytest.mark.slow
@everywhere
def test_rate_and_places_keep_their_word_for_hours(
    world: World, tell: Callable[[object], None]
) -> None:
    """Nor does it with places, and never are more inside than those."""
    soaked = Soak(
        "RateLimiter with a rate and places",
        lambda: RateLimiter(Rate(1, burst=10), max_concurrent=2),
        rate=Rate(1, burst=10),
        slack=0.01,
        hold=1.7,
    ).on(world, hours=BUDGET.soak_hours / 10)
    tell(soaked)
    assert soaked.kept_its_word, soaked
    assert soaked.came_near, soaked
    assert soaked.most_inside == 2


@pytest.mark.parametrize("world", ["asyncio", "threads"])
def test_late_timers_lose_no_rate(world: World, tell: Callable[[object], None]) -> None:
    """Lateness within the slack is made up for, and the bound holds all the same."""
    soaked = Soak(
        "RateLimiter with late timers",
        lambda: RateLimiter("100/s"),
        rate=Rate(100),
        slack=0.01,
        idle=0,
        lateness=0.004,
    ).on(world, hours=0.01)
    tell(soaked)
    assert soaked.kept_its_word, soaked
    assert soaked.calls >= 3_600
