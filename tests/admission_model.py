"""What admission promises, said as simply as it can be: slow, and plainly right."""

from __future__ import annotations

from collections.abc import Iterable

from concutil import Rate

TOLERANCE = 1e-6


class TokenBucket:
    """A rate as a bucket of tokens, which slack makes a little bigger.

    Independent of the library's arithmetic on one point in time, and equal to it.
    """

    def __init__(self, rate: Rate, slack: float) -> None:
        self.per_second = rate.limit / rate.per
        self.size = rate.burst + slack * self.per_second
        self.tokens = self.size
        self.at: float | None = None

    def refill(self, now: float) -> None:
        if self.at is not None:
            more = (now - self.at) * self.per_second
            self.tokens = min(self.size, self.tokens + more)
        self.at = now

    def admits(self, cost: float, now: float) -> bool:
        self.refill(now)
        return self.tokens >= cost - TOLERANCE

    def take(self, cost: float, now: float) -> None:
        self.refill(now)
        self.tokens -= cost


def excess(grants: Iterable[tuple[float, float]], rate: Rate, slack: float) -> float:
    """Return by how much *grants*, (time, cost) in order, exceed the bound at most.

    Over all windows of w seconds: what was granted, minus burst + rate * (w + slack).
    Zero or less means that the bound holds. One pass: a window's cost is a difference
    of two running totals, so only the best start so far must be kept.
    """
    per_second = rate.limit / rate.per
    allowance = rate.burst + slack * per_second
    total, best_start, worst = 0.0, float("inf"), float("-inf")
    for time, cost in grants:
        best_start = min(best_start, total - per_second * time)
        total += cost
        worst = max(worst, total - per_second * time - best_start - allowance)
    return worst


def most_in_a_window(grants: Iterable[tuple[float, float]], per: float) -> float:
    """Return the most that any period of *per* seconds holds of (time, cost)."""
    grants = list(grants)
    return max(
        (
            sum(cost for time, cost in grants if 0 <= time - start < per)
            for start, _ in grants
        ),
        default=0.0,
    )
