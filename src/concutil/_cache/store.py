"""Entries and flights behind one lock: what is found, who computes, what is kept.

A finalizer, a signal handler or a key's own method may come upon the lock in the thread
that has it. It can read; what it removes goes when the lock is free again, and what it
computes it computes alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar, final

from .._core.lru import Entry, Gone, Lru
from .._runtime.events import emit, unraisable
from .._runtime.fork import renew_in_children
from .events import CacheRefreshFailed
from .flights import Flight, step_here
from .lead import Lead, Undone
from .sorting import arrange, tidy
from .stats import CacheStats
from .terms import Terms

T = TypeVar("T")


@final
class Store:
    """What a cache holds, and what is being computed for it.

    A flight is in `flights` for as long as its value may be stored: `hold` of a value,
    `remove` and `clear` take it out, and then it goes on for those alone who wait for
    it. It and its value change places in one critical section.

    Args:
        terms: What the cache was made with.
    """

    __slots__ = (
        "__weakref__",
        "_is_mine",
        "_lock",
        "computes",
        "failures",
        "flights",
        "joins",
        "lru",
        "misses",
        "now",
        "terms",
        "told_of_loop",
        "undone",
    )

    def __init__(self, terms: Terms) -> None:
        self.terms: Terms = terms
        self.now: Callable[[], float] = terms.now
        self.lru: Lru = Lru(terms.maxsize, terms.stale)
        self.misses = self.joins = self.computes = self.failures = 0
        self.flights: dict[Any, Flight] = {}
        # Not empty only while somebody is about to settle it, or had no stack for it.
        self.undone: dict[Undone, None] = {}
        self.told_of_loop: bool = False  # that it is blocked
        self._renew_lock()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Go on in a forked child, where nothing is being computed."""
        self._renew_lock()
        self.flights, self.undone = {}, {}
        self.lru.mend()

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()
        # Whether this thread is at work with it, as `threading.Condition` asks.
        self._is_mine: Callable[[], bool] = self._lock._is_owned  # type: ignore[attr-defined]  # noqa: SLF001

    def _read(self, what: Callable[[], T]) -> T:
        try:
            with self._lock:
                return what()
        finally:
            if self.undone:
                self.settle(wait=True)

    def missed(self, key: Any) -> Entry | None:
        """Look again, and count it if *key* has no fresh entry."""
        return self._read(partial(self._looked_up, key, self.now()))

    def _looked_up(self, key: Any, now: float) -> Entry | None:
        entry = self.lru.entries.get(key)
        if entry is not None and entry.is_fresh(now):
            entry.tick = self.lru.tick()
            return entry
        self.misses += 1
        return None

    def peek(self, key: Any) -> Entry | None:
        """Return the entry of *key* if it is fresh, and count nothing."""
        now = self.now()
        entry = self._read(partial(self.lru.entries.get, key))
        return entry if entry is not None and entry.is_fresh(now) else None

    def begin(self, key: Any, again: Flight | None = None) -> Entry | Flight | Lead:
        """Return the entry of *key*, or the flight to wait for, or the lead of one.

        Args:
            key: What is asked for.
            again: What this call has waited for, and gets unless it is abandoned.
        """
        if self._is_mine():
            step = step_here(key)
            return self.peek(key) or Lead(self, Flight(step, None), step)
        now, calls = self.now() if self.lru.dated else 0.0, 1 if again is None else 0
        try:
            with self._lock:
                if again is not None and again.state != "abandoned":
                    return again
                entry, flight = self.lru.entries.get(key), self.flights.get(key)
                led = flight if flight and flight.state == "running" else None
                usable = entry if entry and self.lru.is_of_use(entry, now) else None
                if usable is not None and (led or usable.is_fresh(now)):
                    usable.tick = self.lru.tick() if calls else self.lru.stamp()
                    return usable
                self.misses += calls
                if led is not None:
                    self.joins += calls
                    return led
                return self._new_lead(key, usable, flight)
        finally:
            if self.undone:
                self.settle(wait=True)

    def _new_lead(self, key: Any, stale: Entry | None, flight: Flight | None) -> Lead:
        """Return the lead of *flight*, which was abandoned, or of a new one."""
        self.computes += 1
        step = step_here(key)
        new = flight or Flight(step, stale)
        lead = Lead(self, new, step)
        if flight is not None:
            flight.pass_on(step, stale)
        self.flights[key] = new
        return lead

    def hold(self, entry: Entry, flight: Flight | None = None) -> list[Gone]:  # noqa: DOC101, DOC103 - told in words
        """Hold a new *entry* of its key, and return what has gone for it.

        If *flight* has computed it, that is over then; it is held if that is in
        `flights` still. Without it, who computes the key by now loses that.

        Raises:
            RuntimeError: If there is no *flight*, and this comes upon the lock.
        """
        if self._is_mine():
            if flight is None:
                raise RuntimeError(
                    "a finalizer, a signal handler or a key set a value in the midst of"
                    " the cache's own work: there it can only read and remove"
                )
            return []
        dated = self.lru.dated or entry.expires is not None
        now = self.now() if dated else 0.0
        gone: list[Gone] = []
        try:
            while not self._placed(entry, flight, now=now, gone=gone):
                arrange(self.lru, self._lock)
            if entry.expires is not None and self.lru.lacks_tidiness():
                tidy(self.lru, self._lock)
        except BaseException:  # Ctrl-C, or a key that can't be compared
            self._mend(gone)
            raise
        finally:
            if self.undone:
                self.settle(wait=True)
        return gone

    def _mend(self, gone: Iterable[Gone]) -> None:
        """Make good what an error has interrupted; *gone* is what went before it."""
        with self._lock:
            self.lru.mend()
        self.terms.tell(gone)

    def _placed(
        self, entry: Entry, flight: Flight | None, *, now: float, gone: list[Gone]
    ) -> bool:
        """Put *entry* in its place and end *flight*; False if there is no room yet."""
        lru, placed = self.lru, True
        with self._lock:
            if flight is None or self.flights.get(entry.key) is flight:
                placed = lru.place(entry, now, gone)
                if placed:
                    self.flights.pop(entry.key, None)
            if placed and flight is not None:
                flight.value, flight.state = entry.value, "computed"
            spent = lru.spent and lru.let_go()
        del spent  # by now: the end of a key may be code of the user
        return placed

    def fail(self, flight: Flight, error: Exception) -> Entry | None:
        """End *flight* with *error*, or return the stale entry that stands in for it.

        That must be of use still, and neither removed nor replaced meanwhile.
        """
        now, stale = self.now(), flight.stale
        with self._lock:
            self.failures += 1
            if self.flights.get(flight.step.key) is flight:
                del self.flights[flight.step.key]
            else:
                stale = None
            if stale is not None and self.lru.is_of_use(stale, now):
                flight.value, flight.state = stale.value, "computed"
            else:
                stale = None
                flight.fail(error)
        if stale is not None:
            name = self.terms.name
            emit(CacheRefreshFailed, cache=name, key=stale.key, error=error)
        return stale

    def settle(self, *, wait: bool) -> None:
        """Do what is `undone`.

        With `wait=False` it never blocks, as code that the collector runs must not.
        """
        more = True
        while more:
            more = False
            for it in list(self.undone):
                if it(wait=wait):  # else whoever comes next will do it
                    self.undone.pop(it, None)  # now: it may fail, for lack of stack
                    more = True

    def _late(self, keys: deque[Any], *, wait: bool) -> bool:
        if not wait or self._is_mine():
            return False
        try:
            self._remove(keys)
        except Exception as error:  # noqa: BLE001  # who asked for it has gone on
            unraisable(error, "in a removal from a cache", self._remove)
        return True

    def told(self, flight: Flight, *, wait: bool) -> bool:
        """Wake who waits for *flight*, or forget it; False if that would block."""
        if flight.wake() or flight.is_over():
            return True
        if self._is_mine() or not self._lock.acquire(blocking=wait):
            return False
        try:
            key = flight.step.key
            if flight.state != "running" and self.flights.get(key) is flight:
                del self.flights[key]
        except Exception:  # noqa: BLE001, S110  # the key can't be hashed now
            pass
        finally:
            self._lock.release()
        return True

    def remove(self, keys: Iterable[Any]) -> int:
        """Hold *keys* no longer, nor what is being computed; return how many went."""
        if self._is_mine():
            # What isn't there must not be removed: its key could ask for that again.
            entries, flights = self.lru.entries, self.flights
            there = [it for it in dict.fromkeys(keys) if it in entries or it in flights]
            if there:
                self.undone[partial(self._late, deque(there))] = None
            return sum(self.peek(it) is not None for it in there)
        try:
            return self._remove(deque(keys))
        finally:
            if self.undone:
                self.settle(wait=True)

    def _remove(self, keys: deque[Any]) -> int:
        """Remove what is left of *keys*; if several are at it, each key goes once."""
        now = self.now()
        gone: list[Gone] = []
        removed = 0
        try:
            while keys:
                with self._lock:
                    if keys:
                        key = keys.popleft()
                        self.flights.pop(key, None)
                        removed += self.lru.remove(key, now, gone, cause="removed")
        except BaseException:  # as in `hold`
            self._mend(gone)
            raise
        self.terms.tell(gone)
        return removed

    def clear(self) -> None:
        """Hold nothing any more, nor what is being computed."""
        if self._is_mine():
            self.remove(self.all_keys())
            return
        now = self.now()
        try:
            with self._lock:
                flights, self.flights = self.flights, {}
                entries, rest = self.lru.clear()
        except BaseException:  # Ctrl-C
            self._mend([])
            raise
        finally:
            if self.undone:
                self.settle(wait=True)
        del flights, rest
        self.terms.tell((it, self.lru.cause(it, now, "removed")) for it in entries)

    def entries(self) -> list[Entry]:
        """Return all entries of one instant, expired ones included."""
        return self._read(lambda: list(self.lru.entries.values()))

    def all_keys(self) -> list[Any]:
        """Return all keys that have an entry or are being computed."""
        return self._read(lambda: [*self.lru.entries, *self.flights])

    def forget_numbers(self) -> None:
        """Count from 0 again."""
        with self._lock:
            self.misses = self.joins = self.computes = self.failures = 0
            self.lru.forget_numbers()

    def stats(self) -> CacheStats:
        """Return the numbers, as of one instant."""
        return self._read(
            lambda: CacheStats(
                hits=self.lru.hits,
                misses=self.misses,
                computes=self.computes,
                joins=self.joins,
                failures=self.failures,
                evictions=self.lru.evictions,
                size=self.lru.weight,
                maxsize=self.lru.maxsize,
            )
        )
