"""Entries in exact order of their last use, where a use takes no lock.

A hit writes the next tick of one counter into its entry, and moves nothing. What was
used least recently is found when something has to go: from a run of keys that was
sorted by tick before, oldest last. A key of the run that was used since has a tick
beyond the run's limit and is passed over; whatever came later has one as well. When the
run is used up, whoever needs it sorts a survey of all entries, outside of the lock.

Everything here is called under the lock of whoever owns it; readers alone look into
`entries` without, by subscription, which is atomic with and without the GIL. What is
removed is kept alive by nothing in here: runs and dates have keys, not entries.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple, final

from .dates import Date, Dates

Cause = Literal["size", "expired", "replaced", "removed"]

# So few entries are looked at one by one: a run of them would be out of date at once.
_FEW: Final = 32
# How many expired entries each newcomer clears away, whether room is needed or not.
_SWEPT: Final = 2
# How much is evicted or passed over in one go, while the lock is held.
_AT_ONCE: Final = 256
# How many runs may be made of which each key was used again before it could go. Then
# the entries are looked at one by one, however many.
_MADE_IN_VAIN: Final = 3


class Entry:
    """A key's value: complete before it can be found, and but for its tick immutable.

    Args:
        key: The key, the very object that the dict has.
        value: The value.

    Attributes:
        tick: When it was last used, by the counter of its `Lru`.
        expires: When it is no longer fresh; None for never.
        weight: What it counts for.
    """

    __slots__ = ("key", "tick", "value")

    # Of most entries, which needn't hold them.
    expires: float | None = None
    weight: int = 1

    def __init__(self, key: Any, value: Any) -> None:
        self.key = key
        self.value = value
        self.tick = -1

    def is_fresh(self, now: float) -> bool:
        """Whether it has not expired."""
        return self.expires is None or now < self.expires


@final
class Measured(Entry):
    """An entry that expires, or weighs something else than 1."""

    __slots__ = ("expires", "weight")


Gone = tuple[Entry, Cause]  # what is held no longer, and why


class Survey(NamedTuple):
    """All entries, and a tick that none of them had when this was made."""

    entries: list[Entry]
    limit: int


class Run(NamedTuple):
    """Keys by their last use, the oldest last, and a tick that none of them had."""

    keys: list[Any]
    limit: int


_by_key: Final[Callable[[Entry], Any]] = attrgetter("key")
_by_tick: Final[Callable[[Entry], int]] = attrgetter("tick")


def in_order(survey: Survey) -> Run:
    """Return the run of a survey; this is the part that takes long."""
    keys = list(map(_by_key, survey.entries))
    ticks = map(_by_tick, survey.entries)
    # For each key in turn it calls `next(ticks, key)`. So the entries, which lie all
    # over the memory, are read in the order in which they lie there.
    keys.sort(key=partial(next, ticks), reverse=True)
    return Run(keys, survey.limit)


def by_date(survey: Survey) -> list[Date]:
    """Return when a survey's entries expire, in that order; this takes long as well."""
    return sorted(
        Date(entry.expires, entry.tick, entry.key)
        for entry in survey.entries
        if entry.expires is not None
    )


@final
class Lru:
    """Entries of a total weight of at most *maxsize*.

    Args:
        maxsize: The bound; None for none.
        stale: For how many seconds an entry is of use after it has expired.
    """

    __slots__ = (
        "_dates",
        "_made",
        "_run",
        "_uncounted",
        "dated",
        "entries",
        "evictions",
        "maxsize",
        "spent",
        "stale",
        "tick",
        "weight",
    )

    def __init__(self, maxsize: int | None, stale: float) -> None:
        self.maxsize: int | None = maxsize
        self.stale: float = stale
        self.entries: dict[Any, Entry] = {}
        self.tick: Callable[[], int] = count().__next__  # atomic; hits draw from it
        self.weight: int = 0  # of all entries
        self.evictions: int = 0
        self.dated: bool = False  # whether anything has ever expired, or will
        self._uncounted = 0  # ticks that were not drawn for hits
        self._run: Run = Run([], 0)
        self._made = 0  # how many runs, since the last eviction
        self._dates: Dates = Dates()
        self.spent: list[object] = []  # for `let_go`

    @property
    def hits(self) -> int:
        """How many ticks were drawn for hits."""
        return self.stamp() + 1 - self._uncounted

    def forget_numbers(self) -> None:
        """Count hits and evictions from 0 again."""
        self.evictions = 0
        self._uncounted = self.tick() + 1

    def stamp(self) -> int:
        """Return a tick that counts as no hit."""
        self._uncounted += 1
        return self.tick()

    def is_of_use(self, entry: Entry, now: float) -> bool:
        """Whether *entry* is fresh, or stale at most."""
        return entry.expires is None or now < entry.expires + self.stale

    def place(self, entry: Entry, now: float, gone: list[Gone]) -> bool:
        """Hold *entry*, and evict what is in its way; False if that takes another go.

        Before that, `let_go`, and `arrange` if it `lacks_run`. What weighs too much or
        has expired already is not held, and only the entry of its key goes.

        Args:
            entry: A new one; the entry of its key goes.
            now: The time; anything until something is `dated`.
            gone: What is held no longer is appended to it.
        """
        old, most, more = self.entries.get(entry.key), self.maxsize, entry.weight
        if (most is not None and (more > most or not most)) or (
            entry.expires is not None and not self.is_of_use(entry, now)
        ):
            self.remove(entry.key, now, gone, cause="replaced")
            return True
        if old is not None:
            more -= old.weight
        if self._dates.heap:
            self._sweep(now, gone, but=old)
        if most is not None and self.weight + more > most:
            self._evict(most - more, now, gone, but=old)
            if self.weight + more > most:
                return False
        if old is not None:
            entry.key = old.key  # the dict keeps the key that it has
            gone.append((old, self.cause(old, now, "replaced")))
        self._uncounted += 1
        entry.tick = self.tick()
        self.entries[entry.key] = entry
        self.weight += more
        if entry.expires is not None:
            self.dated = True
            self._dates.add(Date(entry.expires, entry.tick, entry.key))
        return True

    def _sweep(self, now: float, gone: list[Gone], *, but: Entry | None) -> None:
        for _ in range(_SWEPT):
            expired = self._expired(now, but=but)
            if expired is not None:
                self._drop(expired, "expired", gone)

    def _evict(
        self, most: int, now: float, gone: list[Gone], *, but: Entry | None
    ) -> None:
        """Evict until at most *most* is left, or as much as one go takes."""
        if self._dates.heap:
            self._evict_expired(most, now, gone, but=but)
        entries, (keys, limit), enough = self.entries, self._run, len(gone) + _AT_ONCE
        while self.weight > most and len(gone) + len(self.spent) < enough:
            if keys:
                key = keys.pop()
                entry = entries.get(key)
                if entry is None or entry.tick >= limit or entry is but:
                    self.spent.append(key)
                    continue
            elif self._has_no_run():
                others = (it for it in entries.values() if it is not but)
                entry = min(others, key=_by_tick, default=None)
                if entry is None:  # who was interrupted has yet to make it good
                    self.mend()
                    return
            else:
                return
            self._drop(entry, "size", gone)

    def _evict_expired(
        self, most: int, now: float, gone: list[Gone], *, but: Entry | None
    ) -> None:
        while self.weight > most and len(self.spent) < _AT_ONCE:
            entry = self._expired(now, but=but)
            if entry is None:
                return
            self._drop(entry, "expired", gone)

    def _drop(self, entry: Entry, cause: Cause, gone: list[Gone]) -> None:
        del self.entries[entry.key]
        self.weight -= entry.weight
        self.evictions += 1
        self._made = 0
        gone.append((entry, cause))

    def _expired(self, now: float, *, but: Entry | None) -> Entry | None:
        """Return an entry that is of no use any more, other than *but*."""
        dates, spent = self._dates, self.spent
        while dates.heap and dates.heap[0].when + self.stale <= now:
            if len(spent) >= _AT_ONCE:
                break
            date = dates.pop()
            spent.append(date)
            entry = self.entries.get(date.key)
            if entry is not None and entry is not but and entry.expires == date.when:
                return entry
        return None

    def lacks_run(self) -> bool:
        """Whether `place` needs `arrange` to go on."""
        return not self._run.keys and not self._has_no_run()

    def _has_no_run(self) -> bool:
        return len(self.entries) <= _FEW or self._made > _MADE_IN_VAIN

    def survey(self) -> Survey:
        """Return all entries as they are now."""
        # The tick first: who is used from now on has a later one.
        limit = self.stamp()
        return Survey(list(self.entries.values()), limit)

    def arrange(self, run: Run) -> None:
        """Evict by *run*, which was made `in_order`."""
        self.spent.append(self._run)
        self._run = run
        self._made += 1

    def lacks_tidiness(self) -> bool:
        """Whether most of what is known about expiry is about what is gone."""
        return self._dates.overgrown(len(self.entries))

    def tidying(self) -> tuple[Survey, list[Date]]:
        """Return the survey for `by_date`, and what goes with that to `tidied`."""
        since = self._dates.tidying()
        return self.survey(), since

    def tidied(self, dates: list[Date], since: list[Date]) -> None:
        """Know the sorted *dates* alone, and those that came *since*."""
        self.spent.append(self._dates.heap)
        self._dates.tidied(dates, since)

    def let_go(self) -> list[object]:
        """Return what is needed no more, to be destroyed when the lock is released.

        It may have the last reference to a key, whose end may call anything.
        """
        spent, self.spent = self.spent, []
        return spent

    def remove(self, key: Any, now: float, gone: list[Gone], *, cause: Cause) -> bool:
        """Hold *key* no longer; False if it was not there, or only expired."""
        entry = self.entries.get(key)
        if entry is None:
            return False
        del self.entries[entry.key]
        self.weight -= entry.weight
        gone.append((entry, self.cause(entry, now, cause)))
        return entry.is_fresh(now)

    def clear(self) -> tuple[list[Entry], object]:
        """Hold nothing any more; return the entries, and what else is left to destroy.

        What was in here may be of any size: let go of it when the lock is released.
        """
        entries, rest = list(self.entries.values()), (self._run, self._dates)
        self.entries.clear()
        self.weight = 0
        self._run, self._dates = Run([], 0), Dates()
        return entries, rest

    def cause(self, entry: Entry, now: float, otherwise: Cause) -> Cause:
        """Return why *entry* goes: it has expired before, or *otherwise*."""
        return otherwise if self.is_of_use(entry, now) else "expired"

    def mend(self) -> None:
        """Make good what was interrupted, or was going on as the process forked."""
        self.weight = sum(entry.weight for entry in self.entries.values())
        self._dates.mend()
