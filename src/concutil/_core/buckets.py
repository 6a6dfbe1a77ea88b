"""What a rate has granted, and when it will grant more: one object per rate.

Two kinds answer the same questions. `Gcra` spaces calls evenly and is one point in
time; `Window` allows exactly so many in any period and remembers each grant. Each
counts one unit; amounts are floats.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from math import ceil, inf
from typing import Any, Final, Protocol, final

from .rates import Rate

# That many of the grants of a Gcra can be told apart when one is given back.
MOST_LOWS: Final = 64

# Sums of floats may fall short of the instant that they stand for, by less than this.
ROUNDING_S: Final = 1e-9


class Bucket(Protocol):
    """The state of one rate. All times are of one monotonic clock."""

    slip: float
    """How long before it is due an amount is granted already, in seconds."""

    @property
    def rate(self) -> Rate:
        """The rate that is kept."""
        ...

    def due(self, amount: float) -> float:
        """Return when *amount* may be granted, if nothing else is before."""
        ...

    def due_behind(self, queued: float, amount: float, now: float) -> float:
        """Return when *amount* may be granted after *queued*, from *now* on."""
        ...

    def take(self, amount: float, now: float) -> float:
        """Grant *amount* at *now*, due or not, and return when 1 will be granted."""
        ...

    def mark(self) -> Any:
        """Return what `give_back` needs to know of the latest `take`."""
        ...

    def give_back(self, amount: float, mark: Any) -> None:
        """Undo *amount* of the grant that *mark* stands for.

        Later grants may have used its time already: what a replay of history without
        it would not leave, stays spent.
        """
        ...

    def changed(self, rate: Rate, now: float) -> Bucket:
        """Return a bucket that goes on by *rate*, with the same debt in calls."""
        ...

    def debt(self, now: float) -> float:
        """Return how much more was granted than *now* makes up for."""
        ...

    def free_at(self) -> float:
        """Return from when on it equals a new one, if nothing more is granted."""
        ...

    def number(self) -> float | None:
        """Return what it has granted as a number; None if that isn't enough to tell."""
        ...

    def resume(self, number: float) -> None:
        """Go on from what `number` has told; marks of before mean nothing here."""
        ...


def bucket_of(rate: Rate, slack: float) -> Bucket:
    """Return the bucket of *rate*, which has granted nothing."""
    return Window(rate, slack) if rate.exact else Gcra(rate, slack)


def taker_of(buckets: list[Bucket]) -> Callable[[float, float], float]:
    """Return what takes of all *buckets*, at the cost of one call if it is only one."""
    if len(buckets) == 1:
        return buckets[0].take

    def take(amount: float, now: float) -> float:
        ready = -inf
        for bucket in buckets:
            opens = bucket.take(amount, now)
            if opens > ready:  # noqa: PLR1730  # max() costs a third of all this
                ready = opens
        return ready

    return take


@final
class Gcra:
    """Even spacing after a burst: one point in time, the theoretical arrival time.

    It is when the bucket will be full again. A timer that fires late would lose rate
    for ever, so it may lag behind `now` by *slack* seconds and is caught up with.

    In any window of w seconds at most `burst + rate * (w + slack)` are granted.

    Source: ITU-T I.371, virtual scheduling; the slack after go.uber.org/ratelimit.
    """

    __slots__ = (
        "_credit",
        "_interval",
        "_lead",
        "_lost",
        "_lows",
        "_marks",
        "_slack",
        "rate",
        "tat",
    )

    slip = ROUNDING_S

    def __init__(self, rate: Rate, slack: float) -> None:
        # Who is early by that much uses up as much of the slack, or the bound would be
        # higher than promised.
        self._slack = max(0.0, slack - ROUNDING_S)
        self.tat = -inf
        # How much lower the point in time could have been at each later grant, without
        # changing it: that much of an earlier one can be given back. Of all that came
        # after a mark only the least counts, so these pairs of mark and seconds ascend
        # in both. None while there is no mark.
        self._lows: list[list[float]] | None = None
        self._marks = 0
        self._lost = 0  # up to this mark nothing can be given back any more
        self._set(rate)

    def _set(self, rate: Rate) -> None:
        self.rate = rate
        self._interval = rate.per / rate.limit
        self._credit = rate.burst * self._interval
        self._lead = self._credit - self._interval + self.slip

    def due(self, amount: float) -> float:
        """Return when *amount* may be granted, if nothing else is before."""
        return self.tat + amount * self._interval - self._credit

    def due_behind(self, queued: float, amount: float, now: float) -> float:
        """Return when *amount* may be granted after *queued*, from *now* on."""
        start = max(self.tat, now - self._slack)
        return start + (queued + amount) * self._interval - self._credit

    def take(self, amount: float, now: float) -> float:
        """Grant *amount* at *now*, due or not, and return when 1 will be granted."""
        tat = self.tat
        floor = now - self._slack
        if tat < floor:
            tat = floor
            self._lows, self._lost = None, self._marks
        elif self._lows is not None:
            self._note(tat - floor)
        self.tat = tat = tat + amount * self._interval
        return tat - self._lead

    def mark(self) -> int:
        """Return the number of the latest grant among those that were asked for."""
        if self._lows is None:
            self._lows = []
        self._marks += 1
        return self._marks

    def give_back(self, amount: float, mark: int) -> None:
        """Undo *amount* of the grant *mark*."""
        if mark <= self._lost or self._lows is None:
            return
        lows, seconds = self._lows, amount * self._interval
        first = bisect_left(lows, [mark])
        if first < len(lows):
            seconds = min(seconds, lows[first][1])
        self.tat -= seconds
        for low in lows[first:]:
            low[1] -= seconds
        while 0 < first < len(lows) and lows[first - 1][1] >= lows[first][1]:
            first -= 1
            del lows[first]

    def _note(self, seconds: float) -> None:
        lows = self._lows or []
        while lows and lows[-1][1] >= seconds:
            lows.pop()
        if not lows or lows[-1][0] < self._marks:
            lows.append([self._marks, seconds])
        if len(lows) > MOST_LOWS:
            oldest = lows.pop(0)
            lows[0][1] = oldest[1]  # the lower one: the oldest are given back less
        self._lows = lows

    def changed(self, rate: Rate, now: float) -> Bucket:
        """Return a bucket that goes on by *rate*, with the same debt in calls."""
        debt = self.debt(now)
        if rate.exact:
            window = Window(rate, self._slack)
            if debt > 0:
                window.take(debt, now)
            return window
        longer = rate.per / rate.limit / self._interval
        self._set(rate)
        if debt > 0:
            self.tat = now + debt * self._interval
        if self._lows is not None:
            for low in self._lows:
                low[1] *= longer
            self._note(debt * self._interval)
        return self

    def debt(self, now: float) -> float:
        """Return how much more was granted than *now* makes up for."""
        return max(0.0, (self.tat - now) / self._interval)

    def free_at(self) -> float:
        """Return from when on it equals a new one, if nothing more is granted."""
        return self.tat + self._slack

    def number(self) -> float:
        """Return the point in time."""
        return self.tat

    def resume(self, number: float) -> None:
        """Go on from the point in time *number*."""
        self.tat = number


@final
class Window:
    """Never more than the limit in any period: a list of grants, oldest first.

    The list holds what was granted within the last period, one entry for each grant.
    """

    __slots__ = ("_entries", "_slack", "_total", "rate")

    slip = 0.0  # exact is exact

    def __init__(self, rate: Rate, slack: float) -> None:
        self.rate = rate
        self._slack = slack  # for a Gcra that this may become
        self._entries: deque[_Entry] = deque()
        self._total = 0.0  # the sum of all entries

    def due(self, amount: float) -> float:
        """Return when *amount* may be granted, if nothing else is before."""
        missing = self._total + amount - self.rate.limit
        if missing <= 0:
            return -inf
        for entry in self._entries:
            missing -= entry.amount
            if missing <= 0:
                return entry.time + self.rate.per
        return inf

    def due_behind(self, queued: float, amount: float, now: float) -> float:
        """Return when *amount* may be granted after *queued*, from *now* on."""
        # What is queued is granted as its place in the window comes free, a period
        # after whatever had that place: so whole windows of it are whole periods.
        amount += queued
        periods = max(0, ceil(amount / self.rate.limit) - 1)
        start = max(now, self.due(amount - periods * self.rate.limit))
        return start + periods * self.rate.per

    def take(self, amount: float, now: float) -> float:
        """Grant *amount* at *now*, due or not, and return when 1 will be granted."""
        self._forget(now)
        self._entries.append(_Entry(now, amount))
        self._total += amount
        return self.due(1.0)

    def mark(self) -> _Entry:
        """Return the latest entry."""
        return self._entries[-1]

    def give_back(self, amount: float, mark: _Entry) -> None:
        """Take *amount* off the entry *mark*: whoever came later needed none of it."""
        amount = min(amount, mark.amount)  # nothing is left of one that was forgotten
        mark.amount -= amount
        self._total -= amount

    def changed(self, rate: Rate, now: float) -> Bucket:
        """Return a bucket that goes on by *rate*, with the same debt in calls."""
        if rate.exact:
            self.rate = rate
            self._forget(now)
            return self
        gcra = Gcra(rate, self._slack)
        debt = self.debt(now)
        if debt > 0:
            gcra.take(debt, now)
        return gcra

    def debt(self, now: float) -> float:
        """Return how much more was granted than *now* makes up for."""
        self._forget(now)
        return self._total

    def free_at(self) -> float:
        """Return from when on it equals a new one, if nothing more is granted."""
        last = next((it for it in reversed(self._entries) if it.amount > 0), None)
        return -inf if last is None else last.time + self.rate.per

    def number(self) -> float | None:
        """Return that nothing was granted, or None."""
        return None if self._entries else -inf

    def resume(self, number: float) -> None:
        """Go on with nothing granted, which is all that *number* can tell."""

    def _forget(self, now: float) -> None:
        entries, oldest = self._entries, now - self.rate.per
        while entries and entries[0].time <= oldest:
            entry = entries.popleft()
            self._total -= entry.amount
            entry.amount = 0.0
        if not entries:
            self._total = 0.0  # sums of floats drift: be exact again


@final
class _Entry:
    """A grant: when, and how much of it is not given back."""

    __slots__ = ("amount", "time")

    def __init__(self, time: float, amount: float) -> None:
        self.time = time
        self.amount = amount
