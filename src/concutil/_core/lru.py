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
from itertools import count
from math import inf
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple, final

from .dates import Date, Dates

Cause = Literal["size", "expired", "replaced", "removed"]

# So few entries are looked at one by one: a run of them would be out of date at once.
_FEW: Final = 32
# How many expired entries each newcomer clears away, whether room is needed or not.
_SWEPT: Final = 2
# How many are evicted in one go, while the lock is held.
_EVICTED_AT_ONCE: Final = 64


class Entry:
    """A key's value: complete before it can be found, and but for its tick immutable.

    Attributes:
        key: The key, the very object that the dict has.
        value: The value.
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

    def __init__(
        self, key: Any, value: Any, *, expires: float | None, weight: int
    ) -> None:
        super().__init__(key, value)
        self.expires = expires
        self.weight = weight


class Gone(NamedTuple):
    """An entry that is held no longer, and why."""

    entry: Entry
    cause: Cause


class Survey(NamedTuple):
    """All entries, and a tick that none of them had when this was made."""

    entries: list[Entry]
    limit: int


class Run(NamedTuple):
    """Keys by their last use, the oldest last, and a tick that none of them had."""

    keys: list[Any]
    limit: int


_by_tick: Final[Callable[[Entry], int]] = attrgetter("tick")


def in_order(survey: Survey) -> Run:
    """Return the run of a survey; this is the part that takes long."""
    ordered = sorted(survey.entries, key=_by_tick, reverse=True)
    return Run([entry.key for entry in ordered], survey.limit)


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
        "_run",
        "_uncounted",
        "entries",
        "evictions",
        "maxsize",
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
        self._uncounted = 0  # ticks that were not drawn for hits
        self._run: Run = Run([], 0)
        self._dates: Dates = Dates()

    @property
    def hits(self) -> int:
        """How many ticks were drawn for hits."""
        return self._stamp() + 1 - self._uncounted

    def forget_numbers(self) -> None:
        """Count hits and evictions from 0 again."""
        self.evictions = 0
        self._uncounted = self.tick() + 1

    def _stamp(self) -> int:
        self._uncounted += 1
        return self.tick()

    def look_up(self, key: Any) -> Entry | None:
        """Return the entry of *key*, expired or not, if there is one."""
        return self.entries.get(key)

    def is_of_use(self, entry: Entry, now: float) -> bool:
        """Whether *entry* is fresh, or stale at most."""
        return entry.expires is None or now < entry.expires + self.stale

    def admits(self, entry: Entry) -> bool:
        """Whether *entry* could be held if nothing else were."""
        return self.maxsize is None or entry.weight <= self.maxsize

    def make_room(self, entry: Entry, now: float, gone: list[Gone]) -> bool:
        """Evict until *entry* fits in; False if it takes more than one go.

        Args:
            entry: What will be put in, for another one of its key if there is one.
            now: The time.
            gone: What was evicted is appended to it.
        """
        old = self.look_up(entry.key)
        self._sweep(old, now, gone)
        most = inf if self.maxsize is None else self.maxsize - entry.weight
        if old is not None:
            most += old.weight
        for _ in range(_EVICTED_AT_ONCE):
            if self.weight <= most:
                return True
            victim = self._expired(now, but=old)
            cause: Cause = "expired"
            if victim is None:
                victim, cause = self._least_recent(but=old), "size"
            if victim is None:
                return False
            self._evict(victim, cause, gone)
        return self.weight <= most

    def _sweep(self, old: Entry | None, now: float, gone: list[Gone]) -> None:
        for _ in range(_SWEPT):
            expired = self._expired(now, but=old)
            if expired is None:
                return
            self._evict(expired, "expired", gone)

    def _expired(self, now: float, *, but: Entry | None) -> Entry | None:
        """Return an entry that is of no use any more, other than *but*."""
        while (date := self._dates.soonest()) is not None:
            if now < date.when + self.stale:
                return None
            self._dates.pop()
            entry = self.look_up(date.key)
            if entry is not None and entry is not but and entry.expires == date.when:
                return entry
        return None

    def _least_recent(self, *, but: Entry | None) -> Entry | None:
        """Return what was used least recently, other than *but*; None for no run."""
        if len(self.entries) <= _FEW:
            others = [it for it in self.entries.values() if it is not but]
            return min(others, key=_by_tick)
        keys, limit = self._run
        while keys:
            entry = self.look_up(keys.pop())
            if entry is not None and entry is not but and entry.tick < limit:
                return entry
        return None

    def lacks_run(self) -> bool:
        """Whether `make_room` needs `arrange` to go on."""
        return len(self.entries) > _FEW and not self._run.keys

    def survey(self) -> Survey:
        """Return all entries as they are now."""
        # The tick first: who is used from now on has a later one.
        limit = self._stamp()
        return Survey(list(self.entries.values()), limit)

    def arrange(self, run: Run) -> None:
        """Evict by *run*, which was made `in_order`."""
        self._run = run

    def lacks_tidiness(self) -> bool:
        """Whether most of what is known about expiry is about what is gone."""
        return self._dates.overgrown(len(self.entries))

    def tidying(self) -> Survey:
        """Return the survey for `by_date` and `tidied`, which must follow."""
        self._dates.tidying()
        return self.survey()

    def tidied(self, dates: list[Date] | None) -> None:
        """Know the sorted *dates* alone, and those that came since; None: as before."""
        self._dates.tidied(dates)

    def put(self, entry: Entry, now: float, gone: list[Gone]) -> None:
        """Hold *entry*, which fits in; what it replaces is appended to *gone*."""
        entry.tick = self._stamp()
        old = self.look_up(entry.key)
        if old is not None:
            entry.key = old.key  # the dict keeps the key that it has
            self.weight -= old.weight
            gone.append(Gone(old, self.cause(old, now, "replaced")))
        self.entries[entry.key] = entry
        self.weight += entry.weight
        if entry.expires is not None:
            self._dates.add(Date(entry.expires, entry.tick, entry.key))

    def remove(self, key: Any, now: float, gone: list[Gone], *, cause: Cause) -> bool:
        """Hold *key* no longer; False if it was not there, or only expired."""
        entry = self.look_up(key)
        if entry is None:
            return False
        self._drop(entry)
        gone.append(Gone(entry, self.cause(entry, now, cause)))
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

    def recount(self) -> None:
        """Make good what was interrupted."""
        self.weight = sum(entry.weight for entry in self.entries.values())

    def _evict(self, entry: Entry, cause: Cause, gone: list[Gone]) -> None:
        self._drop(entry)
        self.evictions += 1
        gone.append(Gone(entry, cause))

    def _drop(self, entry: Entry) -> None:
        del self.entries[entry.key]
        self.weight -= entry.weight
