"""Who may start, and when to look again: places, rates and one queue at once."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable
from math import inf

from .buckets import ROUNDING_S, Bucket, bucket_of, taker_of
from .cost import CALLS, ONE, Cost
from .rates import Rate, most_at_once
from .ticket import GONE, GRANTED, QUEUED, Taken, Ticket, by_arrival


class Admission:
    """Grants places and rates to tickets, first come, first served.

    Whatever changes the state is followed by `advance`, which grants what can be
    granted. Nobody depends on another line's timers: whenever only time is missing,
    the first ticket of every line has an alarm at the latest when the head is due.
    """

    __slots__ = (
        "_arrivals",
        "_buckets",
        "_hold",
        "_kept",
        "_last",
        "_ones",
        "_queued",
        "_ready",
        "_slack",
        "_take_one",
        "_turned_away",
        "booked",
        "cancelled",
        "counted",
        "left",
        "limit",
        "lines",
        "waited_total",
    )

    def __init__(
        self, buckets: Iterable[Bucket], limit: int | None, slack: float
    ) -> None:
        self._slack = slack
        self._hold = -inf  # nobody starts before: max() of all pauses
        self._last = -inf  # the latest time seen: time never runs backwards here
        # One queue, cut into lines; the head is the earliest arrival of all firsts.
        self.lines: dict[Hashable, OrderedDict[Ticket, None]] = {}
        self._arrivals = 0
        self._queued: dict[str, float] = {}  # what all that wait cost together
        self._kept = 0  # of those inside, how many are kept as objects
        self.counted: bool = limit is not None  # whether it is told who leaves
        self.limit: float = inf if limit is None else limit
        self.booked: int = 0  # how many were let in
        self.left: int = 0  # how many of these have left, if that is told
        self._turned_away: list[Ticket] = []  # not yet told
        self.cancelled: int = 0
        self.waited_total: float = 0.0
        self._ready = -inf  # _opens(ONE), for the hit path
        self._use(buckets)

    @classmethod
    def of(cls, rates: Iterable[Rate], limit: int | None, slack: float) -> Admission:
        """Return an admission that has granted nothing yet."""
        return cls([bucket_of(rate, slack) for rate in rates], limit, slack)

    def in_child(self) -> Admission:
        """Return what a forked child goes on with: these rates, and nobody inside."""
        child = Admission(self._buckets, 1 if self.counted else None, self._slack)
        child.limit = self.limit
        child.pause_until(self._hold)
        return child

    def resume(
        self, numbers: Iterable[float], counts: tuple[float, ...], last: float
    ) -> None:
        """Go on, if new, from what `numbers` and `counts` have told, at *last*."""
        for bucket, number in zip(self._buckets, numbers, strict=True):
            bucket.resume(number)
        granted, cancelled, self.waited_total = counts
        self.booked, self.cancelled = int(granted), int(cancelled)
        self.left = self.booked if self.counted else 0
        self._last = last
        self._ready = self._opens(ONE)

    def numbers(self, now: float) -> list[float] | None:
        """Return a number for each rate that tells all, if that is possible."""
        numbers = [bucket.number() for bucket in self._buckets]
        known = [number for number in numbers if number is not None]
        known_all = len(known) == len(numbers)
        return known if known_all and not self.is_paused(now) else None

    @property
    def counts(self) -> tuple[float, ...]:
        """How many were granted and cancelled, and how long all waited."""
        return self.booked, self.cancelled, self.waited_total

    def free_at(self) -> float:
        """Return from when on it equals a new one, if nobody comes or is inside."""
        return max([self._hold, *[bucket.free_at() for bucket in self._buckets]])

    def is_paused(self, now: float) -> bool:
        """Whether nobody may start at *now*, whatever the rates say."""
        return self._hold > now

    @property
    def last(self) -> float:
        """The latest time that it knows of."""
        return self._last

    @property
    def rates(self) -> tuple[Rate, ...]:
        """The rates that are kept."""
        return tuple([bucket.rate for bucket in self._buckets])

    @property
    def running(self) -> int:
        """How many hold a place; 0 if that is not told."""
        return self.booked - self.left if self.counted else 0

    @property
    def waiting(self) -> int:
        """How many tickets are queued."""
        return sum(map(len, self.lines.values()))

    def book_one(self, now: float) -> bool:
        """Take a place and one call of every rate at *now*, all or nothing."""
        if now < self._last:  # noqa: PLR1730  # max() costs a third of all this
            now = self._last  # an old time counts as the latest one seen
        if now < self._ready:
            return False
        # To compare a count with inf costs more than to ask first.
        if self.counted and self.booked - self.left >= self.limit:
            return False
        self._last = now
        self._ready = self._take_one(1.0, now)
        self.booked += 1
        return True

    def book(self, ticket: Ticket, now: float) -> bool:
        """Grant *ticket* at once, unless somebody waits or it must wait itself."""
        return not self.lines and self._grant(ticket, now)

    def due(self, cost: Cost) -> float:
        """Return when the rates admit *cost*, if nobody is before."""
        due = self._hold
        for bucket, amount in self._amounts(cost):
            due = max(due, bucket.due(amount))
        return due

    def enter(self, ticket: Ticket, now: float) -> None:
        """Queue *ticket*, unless the rates can't admit it before its patience ends."""
        now = max(now, ticket.since)
        wait = inf if self._is_hopeless(ticket) else 0.0
        if wait == 0 and ticket.until < inf:
            wait = self._wait_behind(ticket.cost, now)
        ticket.retry_after = wait
        if wait > 0 and (wait == inf or now + wait > ticket.until + ROUNDING_S):
            ticket.state = GONE
            return
        # Ctrl-C may come between any two of these: `undo` goes by `home`, and whoever
        # parks by `state`.
        ticket.home = self
        ticket.arrival = self._arrivals = self._arrivals + 1
        self.lines.setdefault(ticket.line, OrderedDict())[ticket] = None
        for unit, amount in ticket.cost.items():
            self._queued[unit] = self._queued.get(unit, 0.0) + amount
        ticket.state = QUEUED

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
            self._unqueue(ticket)
            if ticket.state is GRANTED:
                self.booked -= 1
                self.waited_total -= ticket.waited
                self._kept -= ticket.kept
                self.adjust(ticket, {}, self._last)
                ticket.booked = False
        ticket.state = GONE

    def release(self, ticket: Ticket) -> None:
        """Give back the place of *ticket*; what it took of the rates is spent."""
        if ticket.home is self and ticket.state is GRANTED:
            self.left += self.counted
            self._kept -= ticket.kept
        ticket.state = GONE

    def leave_block(self) -> None:
        """Give back the place of a block, if one that was entered here is open."""
        # After a fork the child leaves blocks that its parent had entered.
        if self.booked - self.left > self._kept:
            self.left += 1

    def adjust(self, ticket: Ticket, cost: Cost, now: float) -> None:
        """Correct what *ticket*, once granted, has cost, even into debt.

        What is given back is what later grants have not used already.
        """
        if ticket.home is not self or not ticket.booked:
            return
        self._last = now = max(now, self._last)
        for bucket in self._buckets:
            unit = bucket.rate.unit
            more = cost.get(unit, 0.0) - ticket.cost.get(unit, 0.0)
            if more > 0:
                bucket.take(more, now)
                ticket.taken.append(Taken(bucket, more))
            for taken in reversed(ticket.taken) if more < 0 else ():
                if taken.bucket is bucket:
                    more += taken.give_back(-more)
        ticket.cost = cost
        self._ready = self._opens(ONE)

    def pause_until(self, when: float) -> None:
        """Let nobody start before *when*, or a later time that was asked for."""
        self._hold = max(self._hold, when)
        self._ready = self._opens(ONE)

    def change(self, rates: Iterable[Rate], now: float) -> None:
        """Go on by *rates*, and turn away whom no wait would admit any more.

        A rate goes on with the debt, in calls, of the one that had its position among
        those of the same unit.
        """
        self._last = now = max(now, self._last)
        old: dict[str, list[Bucket]] = {}
        for bucket in reversed(self._buckets):
            old.setdefault(bucket.rate.unit, []).append(bucket)
        self._use(
            old[rate.unit].pop().changed(rate, now)
            if old.get(rate.unit)
            else bucket_of(rate, self._slack)
            for rate in rates
        )
        queue = [ticket for line in self.lines.values() for ticket in line]
        for ticket in filter(self._is_hopeless, queue):
            self._unqueue(ticket)
            ticket.state = GONE
            ticket.retry_after = inf
            self._turned_away.append(ticket)

    def advance(self, now: float, woken: deque[Ticket]) -> None:
        """Grant all that can be granted, and add to *woken* whom to wake, in order.

        Some are woken only to park again, with an alarm. A wake-up in vain is harmless,
        so each is added first: no interruption leaves one that nobody wakes.
        """
        woken.extend(self._turned_away)
        self._turned_away.clear()
        while self.lines:
            firsts = [next(iter(line)) for line in self.lines.values()]
            head = firsts[0] if len(firsts) == 1 else min(firsts, key=by_arrival)
            woken.append(head)
            if head.waiter.is_leaving():
                self.undo(head)  # it would only give back what it is granted
                continue
            if not self._grant(head, now):
                woken.pop()
                full = self.booked - self.left >= self.limit
                due = inf if full else self.due(head.cost)
                for first in firsts:
                    if due < first.alarm:
                        woken.append(first)
                        first.alarm = due
                break
            self._unqueue(head)
            head.waited = max(0.0, now - head.since)
            self.waited_total += head.waited

    def next_in(self, now: float) -> float:
        """Return the seconds until the rates admit one call."""
        return max(0.0, self.due(ONE) - max(now, self._last))

    def _use(self, buckets: Iterable[Bucket]) -> None:
        self._buckets = tuple(buckets)
        calls = [bucket for bucket in self._buckets if bucket.rate.unit == CALLS]
        self._take_one = taker_of(calls)
        self._ones = [(bucket, 1.0) for bucket in calls]
        self._ready = self._opens(ONE)

    def _amounts(self, cost: Cost) -> list[tuple[Bucket, float]]:
        if cost is ONE:
            return self._ones
        pairs = [(bucket, cost.get(bucket.rate.unit, 0.0)) for bucket in self._buckets]
        return [(bucket, amount) for bucket, amount in pairs if amount > 0]

    def _opens(self, cost: Cost) -> float:
        """Return from when on *cost* is granted: when it is due, give or take."""
        opens = self._hold
        for bucket, amount in self._amounts(cost):
            opens = max(opens, bucket.due(amount) - bucket.slip)
        return opens

    def _wait_behind(self, cost: Cost, now: float) -> float:
        at = max(now, self._hold)
        due = at
        for bucket, amount in self._amounts(cost):
            queued = self._queued.get(bucket.rate.unit, 0.0)
            due = max(due, bucket.due_behind(queued, amount, at))
        return due - now

    def _grant(self, ticket: Ticket, now: float) -> bool:
        now = max(now, self._last)
        if self.booked - self.left >= self.limit or now < self._opens(ticket.cost):
            return False
        self._last = now
        for bucket, amount in self._amounts(ticket.cost):
            bucket.take(amount, now)
            ticket.taken.append(Taken(bucket, amount))
        self._ready = self._opens(ONE)
        self.booked += 1
        self._kept += ticket.kept
        ticket.booked = True
        ticket.state = GRANTED
        ticket.home = self
        return True

    def _unqueue(self, ticket: Ticket) -> None:
        line = self.lines.get(ticket.line)
        if line is None or ticket not in line:
            return  # it was let in, or Ctrl-C came as it was queued
        del line[ticket]
        if not line:
            del self.lines[ticket.line]
        for unit, amount in ticket.cost.items():
            self._queued[unit] -= amount
        if not self.lines:
            self._queued.clear()  # sums of floats drift: be exact again

    def _is_hopeless(self, ticket: Ticket) -> bool:
        pairs = self._amounts(ticket.cost)
        return any(amount > most_at_once(bucket.rate) for bucket, amount in pairs)
