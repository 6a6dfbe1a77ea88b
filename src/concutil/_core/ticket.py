"""One request to an admission, and what it has taken."""

from __future__ import annotations

from collections.abc import Hashable
from math import inf
from typing import Any, Final, Literal, final

from .buckets import Bucket
from .cost import ONE, Cost

NEW: Final = "new"
QUEUED: Final = "queued"
GRANTED: Final = "granted"
GONE: Final = "gone"
State = Literal["new", "queued", "granted", "gone"]


@final
class Nobody:
    """Who waits for a ticket until that is told."""

    __slots__ = ()

    def is_leaving(self) -> bool:
        """Whether it was cancelled, and only hasn't run since."""
        return False


NOBODY: Final = Nobody()


class Ticket:
    """One request: new -> queued -> granted -> gone, or straight from new to granted.

    Args:
        cost: What it takes of the rates.
        until: The time at which its patience ends.
        kept: Whether its holder keeps it as an object; else it is let in and only
            counted, as a block is.
    """

    __slots__ = (
        "alarm",
        "arrival",
        "booked",
        "cost",
        "home",
        "kept",
        "line",
        "retry_after",
        "since",
        "state",
        "taken",
        "until",
        "waited",
        "waiter",
    )

    def __init__(
        self, cost: Cost = ONE, until: float = inf, *, kept: bool = False
    ) -> None:
        self.cost: Cost = cost
        self.until: float = until
        self.kept: bool = kept
        self.state: State = NEW
        self.home: object = None  # where it is queued or was granted
        # Whoever stands in the same line depends on the same timers: all threads are
        # one line, each event loop is one.
        self.line: Hashable = None
        # Whom to wake, which isn't done here: a decision only asks if it still waits.
        self.waiter: Any = NOBODY
        self.arrival: int = 0
        self.since: float = -inf  # when it came, by the clock of whoever asked
        self.waited: float = 0.0
        self.retry_after: float = 0.0  # inf if no wait could ever admit it
        # When it looks again by itself; inf if somebody else will see to it.
        self.alarm: float = inf
        self.booked: bool = False  # whether it was granted, and that wasn't undone
        self.taken: list[Taken] = []


class Taken:
    """What a ticket took of a bucket, right after it did."""

    __slots__ = ("amount", "bucket", "mark")

    def __init__(self, bucket: Bucket, amount: float) -> None:
        self.bucket: Bucket = bucket
        self.amount: float = amount
        self.mark: Any = bucket.mark()

    def give_back(self, amount: float) -> float:
        """Give back up to *amount*, and return how much that was."""
        amount = min(amount, self.amount)
        self.bucket.give_back(amount, self.mark)
        self.amount -= amount
        return amount


def by_arrival(ticket: Ticket) -> int:
    """Return the place of *ticket* among all that were ever queued."""
    return ticket.arrival
