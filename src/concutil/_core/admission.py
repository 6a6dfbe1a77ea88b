"""Who may start, and when to look again: places, rates and one queue at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from math import inf
from typing import Any, Final, Literal

from .rates import Gcra, Rate

# Sums of floats may fall short of the instant that they stand for.
_ROUNDING_S: Final = 1e-9

NEW: Final = "new"
QUEUED: Final = "queued"
GRANTED: Final = "granted"
GONE: Final = "gone"
State = Literal["new", "queued", "granted", "gone"]


class Ticket:
    """One request: new -> queued -> granted -> gone, or straight from new to granted.

    Args:
        cost: What it takes of each rate.
        until: The time at which its patience ends.
        kept: Whether its holder keeps it as an object; else it is let in and only
            counted, as a block is.
    """

    __slots__ = (
        "alarm",
        "arrival",
        "cost",
        "home",
        "kept",
        "line",
        "marks",
        "retry_after",
        "since",
        "state",
        "until",
        "waited",
        "waiter",
    )

    def __init__(
        self, cost: float = 1.0, until: float = inf, *, kept: bool = False
    ) -> None:
        self.cost = cost
        self.until = until
        self.kept = kept
        self.state: State = NEW
        self.home: Admission | None = None  # where it is queued or was granted
        # Whoever stands in the same line depends on the same timers: all threads are
        # one line, each event loop is one.
        self.line: Hashable = None
        self.waiter: Any = None  # whom to wake; nothing is done with it here
        self.arrival = 0
        self.since = -inf  # when it came, by the clock of whoever asked
        self.waited = 0.0
        self.retry_after = 0.0
        # When it looks again by itself; inf if somebody else will see to it.
        self.alarm = inf
        self.marks: tuple[float, ...] = ()


class Admission:
    """Grants places and rates to tickets, first come, first served.

    Whatever changes the state is followed by `advance`, which grants what can be
    granted. Nobody depends on another line's timers: whenever only time is missing,
    the first ticket of every line has an alarm at the latest when the head is due.
    """

    __slots__ = (
        "_arrivals",
        "_buckets",
        "_kept",
        "_last",
        "_queued",
        "_ready",
        "_take",
        "booked",
        "cancelled",
        "left",
        "limit",
        "lines",
        "waited_total",
    )

    def __init__(self, buckets: Iterable[Gcra], limit: float) -> None:
        self._buckets = tuple(buckets)
        self._take = _taker(self._buckets)
        self.limit = limit
        self._ready = self.due(1.0)  # and so after every change of the buckets
        self._last = -inf  # the latest time seen: time never runs backwards here
        # One queue, cut into lines; the head is the earliest arrival of all firsts.
        self.lines: dict[Hashable, OrderedDict[Ticket, None]] = {}
        self._arrivals = 0
        self._queued = 0.0  # the cost of all that wait
        self._kept = 0  # of those inside, how many are kept as objects
        self.booked = 0  # how many were let in
        self.left = 0  # how many of these have left: nobody tells if limit is inf
        self.cancelled = 0
        self.waited_total = 0.0

    @classmethod
    def of(cls, rates: Iterable[Rate], limit: int | None, slack: float) -> Admission:
        """Return an admission that has granted nothing yet."""
        buckets = [Gcra(rate, slack=slack) for rate in rates]
        return cls(buckets, inf if limit is None else limit)

    def in_child(self) -> Admission:
        """Return what a forked child goes on with: these rates, and nobody inside."""
        return Admission(self._buckets, self.limit)

    @property
    def running(self) -> int:
        """How many hold a place; 0 if places aren't limited."""
        return 0 if self.limit == inf else self.booked - self.left

    @property
    def waiting(self) -> int:
        """How many tickets are queued."""
        return sum(map(len, self.lines.values()))

    def book(self, cost: float, now: float) -> bool:
        """Take a place and *cost* of every rate at *now*, all or nothing."""
        if self.booked - self.left >= self.limit:
            return False
        due = self._ready if cost == 1.0 else self.due(cost)  # noqa: RUF069  # exact
        if now < due - _ROUNDING_S:
            return False
        if now < self._last:  # noqa: PLR1730  # max() costs a third of all this
            now = self._last
        self._last = now
        self._ready = self._take(cost, now)
        self.booked += 1
        return True

    def book_ticket(self, ticket: Ticket, now: float) -> bool:
        """Grant *ticket* at once, unless somebody waits or it must wait itself."""
        return not self.lines and self._grant(ticket, now)

    def due(self, cost: float) -> float:
        """Return when the rates admit *cost*, if nobody is before."""
        return max((bucket.due(cost) for bucket in self._buckets), default=-inf)

    def enter(self, ticket: Ticket, now: float) -> None:
        """Queue *ticket*, unless the rates can't admit it before its patience ends."""
        now = max(now, ticket.since)
        ticket.retry_after = self.wait_behind(ticket.cost, now)
        wait = ticket.retry_after
        if wait > 0 and now + wait > ticket.until + _ROUNDING_S:
            ticket.state = GONE
            return
        ticket.state = QUEUED
        ticket.home = self
        ticket.arrival = self._arrivals = self._arrivals + 1
        self._queued += ticket.cost
        self.lines.setdefault(ticket.line, OrderedDict())[ticket] = None

    def wait_behind(self, cost: float, now: float) -> float:
        """Return the seconds until the rates admit *cost* behind all that wait."""
        dues = (b.due_behind(self._queued, cost, now) for b in self._buckets)
        return max(0.0, max(dues, default=-inf) - now)

    def awake(self, ticket: Ticket) -> None:
        """Note that *ticket* runs: its alarm has gone off, or was called off."""
        ticket.alarm = inf

    def expire(self, ticket: Ticket, now: float) -> None:
        """Let *ticket*, whose patience has ended, go if it is still queued."""
        if ticket.state is QUEUED and ticket.home is self:
            self._unqueue(ticket)
            ticket.state = GONE
            ticket.retry_after = max(0.0, self.due(ticket.cost) - now)

    def undo(self, ticket: Ticket) -> None:
        """Leave the state as if *ticket* had never come, as far as that is possible."""
        if ticket.home is self and ticket.state is not GONE:
            self.cancelled += 1
            if ticket.state is QUEUED:
                self._unqueue(ticket)
            else:
                self.booked -= 1
                self.waited_total -= ticket.waited
                self._kept -= ticket.kept
                self._give_back(ticket)
        ticket.state = GONE

    def release(self, ticket: Ticket) -> None:
        """Give back the place of *ticket*; what it took of the rates is spent."""
        if ticket.home is self and ticket.state is GRANTED:
            self.left += 1
            self._kept -= ticket.kept
        ticket.state = GONE

    def leave_block(self) -> None:
        """Give back the place of a block, if one that was entered here is open."""
        # After a fork the child leaves blocks that its parent had entered.
        if self.booked - self.left > self._kept:
            self.left += 1

    def advance(self, now: float) -> list[Ticket]:
        """Grant all that can be granted, and return whom to wake, in that order.

        Some are woken only to park again, with an alarm.
        """
        woken: list[Ticket] = []
        while self.lines:
            firsts = [next(iter(line)) for line in self.lines.values()]
            head = min(firsts, key=_by_arrival)
            if not self._grant(head, now):
                full = self.booked - self.left >= self.limit
                due = inf if full else self.due(head.cost)
                for first in firsts:
                    if due < first.alarm:
                        first.alarm = due
                        woken.append(first)
                break
            self._unqueue(head)
            head.waited = max(0.0, now - head.since)
            self.waited_total += head.waited
            woken.append(head)
        return woken

    def next_in(self, now: float) -> float:
        """Return the seconds until the rates admit a cost of 1."""
        return max(0.0, self._ready - now)

    def _grant(self, ticket: Ticket, now: float) -> bool:
        marks = tuple([bucket.spent for bucket in self._buckets])
        if not self.book(ticket.cost, now):
            return False
        ticket.marks = marks
        ticket.state = GRANTED
        ticket.home = self
        self._kept += ticket.kept
        return True

    def _unqueue(self, ticket: Ticket) -> None:
        line = self.lines[ticket.line]
        del line[ticket]
        if not line:
            del self.lines[ticket.line]
        # Sums of floats drift: an empty queue is the moment to be exact again.
        self._queued = self._queued - ticket.cost if self.lines else 0.0

    def _give_back(self, ticket: Ticket) -> None:
        for bucket, spent in zip(self._buckets, ticket.marks, strict=True):
            bucket.give_back(ticket.cost, spent, self._last)
        self._ready = self.due(1.0)


def _by_arrival(ticket: Ticket) -> int:
    return ticket.arrival


def _taker(buckets: tuple[Gcra, ...]) -> Callable[[float, float], float]:
    """Return what takes of all *buckets*, at the cost of one call if it is only one."""
    if len(buckets) == 1:
        return buckets[0].take

    def take(cost: float, now: float) -> float:
        ready = -inf
        for bucket in buckets:
            due = bucket.take(cost, now)
            ready = max(ready, due)
        return ready

    return take
