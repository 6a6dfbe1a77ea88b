"""What one run of the demo is to do."""

from __future__ import annotations

from math import floor
from typing import NamedTuple

from .verdict import Bound

# The naive limiter sends about four times the rate, to this machine alone.
LEAST_RATE, MOST_RATE = 10.0, 200.0
LEAST_SECONDS, MOST_SECONDS = 0.5, 6.0
# When the last run has to be done at the latest. The patience with clients that don't
# end comes on top, and all together stays below 20 seconds.
MOST_SECONDS_IN_ALL = 15.5

# What a call of the second part uses, about, and what it may use at the most.
_TOKENS_PER_CALL, _MOST_TOKENS_PER_CALL = 136.0, 300.0
_TOKENS_SHARE = 0.4
_PAUSE_S = 1.0

# How long the server of the third part is down: what `Retry-After` can say at least.
BAD_S = 1.0


class TokenPlan(NamedTuple):
    """The second part: calls that use tokens, and a pause."""

    calls_per_second: float
    tokens_per_second: float
    calls: int

    @property
    def overloaded_at(self) -> int:
        """Which arrival finds the server overloaded."""
        return self.calls // 3

    @property
    def seconds(self) -> float:
        """How long it should take."""
        return self.calls * _TOKENS_PER_CALL / self.tokens_per_second + _PAUSE_S

    @property
    def bound(self) -> Bound:
        """What the limiter promises of tokens."""
        burst = _MOST_TOKENS_PER_CALL
        return Bound(self.tokens_per_second, burst, slack=0.01, unit="tokens")


class FlakyPlan(NamedTuple):
    """The third part: calls to a server that fails now and then, and for a second."""

    calls_per_second: float = 200.0
    calls: int = 100
    attempts: int = 5
    budget_ratio: float = 0.2
    budget_floor: float = 10.0  # retries, in each ten seconds

    @property
    def bad_from(self) -> int:
        """Which arrival begins the bad second."""
        return self.calls // 3

    @property
    def seconds(self) -> float:
        """How long it should take."""
        return self.calls / self.calls_per_second + BAD_S


class StampedePlan(NamedTuple):
    """The fourth part: slow pages that all want at once."""

    pages: int = 3
    answer_s: float = 0.25

    @property
    def seconds(self) -> float:
        """How long it should take."""
        return self.pages * self.answer_s


class Plan(NamedTuple):
    """The options of the demo, and what follows from them."""

    rate: float = 100.0  # calls per second
    seconds: float = 5.0
    port: int = 0

    @property
    def calls(self) -> int:
        """How many requests each limiter is to let through."""
        return max(2, round(self.rate * self.seconds))

    @property
    def served_per_second(self) -> int:
        """How many requests of any second the server answers; it refuses the rest."""
        return floor(self.rate * 1.25)

    @property
    def bound(self) -> Bound:
        """What the limiter promises: its defaults, written out."""
        return Bound(self.rate, burst=1.0, slack=0.01)

    @property
    def tokens(self) -> TokenPlan:
        """The second part, in less time."""
        per_second = 50.0 * self.rate
        calls = per_second * self.seconds * _TOKENS_SHARE / _TOKENS_PER_CALL
        return TokenPlan(self.rate, per_second, max(6, round(calls)))
