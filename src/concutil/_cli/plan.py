"""What one run of the demo is to do."""

from __future__ import annotations

from math import floor
from typing import NamedTuple

from .verdict import Bound

# The naive limiter sends about four times the rate, to this machine alone.
LEAST_RATE, MOST_RATE = 10.0, 200.0
# Twice the time and the patience of both runs stay below 20 seconds.
LEAST_SECONDS, MOST_SECONDS = 0.5, 6.0


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
