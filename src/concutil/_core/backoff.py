"""How long to wait before the next attempt, and when to give up instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, final

from .record import Record

Jitter = Literal["full", "equal", "none"]
JITTERS: Final[tuple[Jitter, ...]] = ("full", "equal", "none")

# Why there is no other attempt.
Reason = Literal["attempts", "budget", "deadline", "not_retryable"]

# What is to be done about an outcome: leave it, try again, or try again not before the
# server wants it, in so many seconds.
Verdict = bool | float

Draw = Callable[[], float]  # from 0 to just below 1

# A wait that a server asked for is lengthened by up to this part of it, since all who
# were asked for the same wait would come back in the same instant.
_SPREAD: Final = 0.1
_GREATEST_POWER: Final = 1e300  # an int beyond the floats is none


@final
class Backoff(Record):
    """Waits that grow with each attempt up to a cap.

    Jitter is drawn after the cap, so that it is as wide there as before. "full" and
    "equal" are those of M. Brooker, "Exponential Backoff And Jitter" (AWS, 2015).

    Attributes:
        initial: The first wait, in seconds, before jitter.
        factor: By how much each one is longer than the one before.
        cap: The longest of them, in seconds.
        jitter: How much of a wait is left to chance.
    """

    __slots__ = ("cap", "factor", "initial", "jitter")

    initial: float
    factor: float
    cap: float
    jitter: Jitter

    def ceiling(self, attempt: int) -> float:
        """Return the longest wait after *attempt*, which counts from 1."""
        if not self.initial:
            return 0.0
        try:
            power: float = self.factor ** min(attempt - 1, _GREATEST_POWER)
        except OverflowError:
            return self.cap
        return min(self.cap, self.initial * power)

    def wait(self, attempt: int, draw: Draw) -> float:
        """Return how long to wait after *attempt*, in seconds."""
        ceiling = self.ceiling(attempt)
        if self.jitter == "full":
            return ceiling * draw()
        if self.jitter == "equal":
            return ceiling * (0.5 + 0.5 * draw())
        return ceiling

    def spread(self, asked: float, draw: Draw) -> float:
        """Return by how much to exceed a wait that a server *asked* for."""
        return 0.0 if self.jitter == "none" else asked * _SPREAD * draw()


@final
class Plan(Record):
    """Decides after each attempt of a call whether and when there is another one.

    Attributes:
        attempts: How many there are at most; None for no limit.
        backoff: The waits between them.
    """

    __slots__ = ("attempts", "backoff")

    attempts: int | None
    backoff: Backoff

    def decide(
        self, verdict: Verdict, attempt: int, *, wait: float, left: float, draw: Draw
    ) -> float | Reason:
        """Return how long to wait until the next attempt, or why there is none.

        Args:
            verdict: What is to be done about the outcome of *attempt*.
            attempt: Which one it was, counted from 1.
            wait: What the backoff says for it, in seconds.
            left: Seconds until the deadline.
            draw: The source of chance.
        """
        if verdict is False:
            return "not_retryable"
        if left <= 0:
            return "deadline"
        if self.attempts is not None and attempt >= self.attempts:
            return "attempts"
        asked = 0.0 if verdict is True else verdict
        least = max(wait, asked)
        if least >= left:
            return "deadline"
        longer = max(wait, asked + self.backoff.spread(asked, draw))
        return longer if longer < left else least
