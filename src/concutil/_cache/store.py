"""Entries and flights behind one lock: what is found, who computes, what is kept."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from types import EllipsisType
from typing import Any, final

from .._core.lru import Entry, Gone, Lru, by_date, in_order
from .._core.waits import Step, live
from .._runtime.events import LoopBlocked, emit
from .._runtime.fork import renew_in_children
from .._runtime.on_threads import THREADS
from .._runtime.waiters import World, run, running_world, runs_a_loop
from .events import CacheRefreshFailed
from .flights import Flight, innermost
from .lead import Lead
from .stats import CacheStats
from .terms import Terms, Ttl


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
        "_lock",
        "_told_of_loop",
        "computes",
        "ended",
        "failures",
        "flights",
        "joins",
        "lru",
        "misses",
        "now",
        "terms",
    )

    def __init__(self, terms: Terms) -> None:
        self.terms: Terms = terms
        self.now: Callable[[], float] = terms.now
        self.lru: Lru = Lru(terms.maxsize, terms.stale)
        self.misses: int = 0
        self.joins: int = 0
        self.computes: int = 0
        self.failures: int = 0
        self.flights: dict[Any, Flight] = {}
        # Not empty only while somebody is about to settle them, or had no stack for it.
        self.ended: deque[Flight] = deque()
        self._told_of_loop = False
        self._lock = threading.Lock()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Go on in a forked child, where nothing is being computed."""
        self._lock = threading.Lock()
        self.flights = {}
        self.ended = deque()
        self.lru.mend()

    def missed(self, key: Any) -> Entry | None:
        """Look again, and count it if *key* has no fresh entry."""
        now = self.now()
        with self._lock:
            entry = self.lru.entries.get(key)
            if entry is not None and entry.is_fresh(now):
                entry.tick = self.lru.tick()
                return entry
            self.misses += 1
            return None

    def peek(self, key: Any) -> Entry | None:
        """Return the entry of *key* if it is fresh, and count nothing."""
        now = self.now()
        with self._lock:
            entry = self.lru.entries.get(key)
        return entry if entry is not None and entry.is_fresh(now) else None

    def begin(self, key: Any, ttl: Ttl | EllipsisType) -> Entry | Flight | Lead:
        """Return the entry of *key*, or the flight to wait for, or the lead of one.

        *ttl* is for a value that is computed; `...` for the usual time.
        """
        if self.ended:
            self.settle(wait=True)
        now = self.now() if self.lru.dated else 0.0
        with self._lock:
            entry = self.lru.entries.get(key)
            if entry is not None and entry.is_fresh(now):
                entry.tick = self.lru.tick()
                return entry
            stale = entry if entry and self.lru.is_of_use(entry, now) else None
            flight = self.flights.get(key)
            if flight is None or flight.state != "running":
                return self._new_lead(key, ttl, stale)
            if stale is not None:  # somebody else refreshes it
                stale.tick = self.lru.tick()
                return stale
            self.misses += 1
            self.joins += 1
            return flight

    def _new_lead(self, key: Any, ttl: Ttl | EllipsisType, stale: Entry | None) -> Lead:
        self.misses += 1
        self.computes += 1
        step = Step(key, threading.get_ident(), live(innermost.get()))
        flight = Flight(step, stale)
        lead = Lead(self, flight, ttl)
        self.flights[key] = flight
        return lead

    def found(self, key: Any, ttl: Ttl | EllipsisType) -> Entry | Flight | Lead:
        """Return what has a value for *key*, or the lead; blocks this thread."""
        found = self.begin(key, ttl)
        try:
            if not isinstance(found, Flight):
                return found
            if not self._told_of_loop and runs_a_loop():
                self._told_of_loop = True
                emit(LoopBlocked, limiter=None, policy=None, cache=self.terms.name)
            return run(self._joined(THREADS, found, ttl))
        finally:
            del found  # see `_joined`

    async def afound(self, key: Any, ttl: Ttl | EllipsisType) -> Entry | Flight | Lead:
        """Return what has a value for *key*, or the lead."""
        found = self.begin(key, ttl)
        try:
            if not isinstance(found, Flight):
                return found
            return await self._joined(running_world(), found, ttl)
        finally:
            del found

    async def _joined(
        self, world: World, found: Entry | Flight | Lead, ttl: Ttl | EllipsisType
    ) -> Entry | Flight | Lead:
        """Wait until a flight is over: the one text for threads and tasks.

        Args:
            world: Where this runs.
            found: The flight.
            ttl: As for `begin`.

        Returns:
            What has a value for its key, or the lead if there is none.

        Raises:
            Exception: What the computation has failed with.
            RecursiveComputeError: If it waits for who would wait here.
        """
        try:
            while isinstance(found, Flight):
                await found.wait(world)
                if found.state == "computed":
                    break
                if found.state == "failed":
                    found.reraise()
                # Who led it was cancelled.
                found = self.begin(found.step.key, ttl)
            return found
        finally:
            del found  # or the error would keep itself alive: its traceback leads here

    def hold(self, entry: Entry, flight: Flight | None = None) -> list[Gone]:
        """Hold a new *entry* of its key, and return what has gone for it.

        If *flight* has computed it, that is over then, and if it is in `flights` no
        more, nothing is held. Without it, who computes the key by now loses that.
        """
        hash(entry.key)  # what can't be hashed has no part in the rest
        dated = self.lru.dated or entry.expires is not None
        now = self.now() if dated else 0.0
        gone: list[Gone] = []
        try:
            while not self._placed(entry, flight, now=now, gone=gone):
                self._arrange()
        except BaseException:  # Ctrl-C, or a key that can't be compared
            with self._lock:
                self.lru.mend()
            self.terms.tell(gone)
            raise
        if entry.expires is not None and self.lru.lacks_tidiness():
            self._tidy()
        return gone

    def _placed(
        self, entry: Entry, flight: Flight | None, *, now: float, gone: list[Gone]
    ) -> bool:
        """Put *entry* in its place and end *flight*; False if there is no room yet."""
        key, lru = entry.key, self.lru
        with self._lock:
            if flight is None or self.flights.get(key) is flight:
                if not lru.admits(entry, now):
                    lru.remove(key, now, gone, cause="replaced")
                elif not lru.place(entry, now, gone):
                    return False
                self.flights.pop(key, None)
            if flight is not None:
                flight.value, flight.state = entry.value, "computed"
            spent = lru.let_go()
        del spent  # by now: the end of a key may be code of the user
        return True

    def _arrange(self) -> None:
        """Sort what is held, if the run is used up, so that more can be evicted."""
        with self._lock:
            if not self.lru.lacks_run():
                return
            survey = self.lru.survey()
        run = in_order(survey)
        with self._lock:
            self.lru.arrange(run)
            spent = self.lru.let_go()
        del spent

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
        """Wake those who wait for what has `ended`, and forget what was abandoned.

        With `wait=False` it never blocks, as code that the collector runs must not.
        Until it is forgotten, an abandoned flight is as good as none.
        """
        while True:
            try:
                flight = self.ended.popleft()
            except IndexError:
                return
            try:
                flight.wake_all()
                settled = flight.state != "abandoned" or self._forget(flight, wait=wait)
            except BaseException:  # there is no stack left, or Ctrl-C: not told yet
                self.ended.append(flight)
                raise
            if not settled:
                self.ended.append(flight)  # whoever comes next will do it
                return

    def _forget(self, flight: Flight, *, wait: bool) -> bool:
        """Take *flight* out of `flights`; False if that would block, and must not."""
        if not self._lock.acquire(blocking=wait):
            return False
        try:
            if self.flights.get(flight.step.key) is flight:
                del self.flights[flight.step.key]
        except Exception:  # noqa: BLE001, S110  # the key can't be hashed now
            pass
        finally:
            self._lock.release()
        return True

    def remove(self, keys: Iterable[Any]) -> int:
        """Hold *keys* no longer, nor what is being computed; return how many went."""
        now = self.now()
        gone: list[Gone] = []
        removed = 0
        try:
            for key in keys:
                with self._lock:
                    self.flights.pop(key, None)
                    removed += self.lru.remove(key, now, gone, cause="removed")
        finally:
            self.terms.tell(gone)
        return removed

    def clear(self) -> None:
        """Hold nothing any more, nor what is being computed."""
        now = self.now()
        with self._lock:
            flights, self.flights = self.flights, {}
            entries, rest = self.lru.clear()
        del flights, rest
        self.terms.tell((it, self.lru.cause(it, now, "removed")) for it in entries)

    def entries(self) -> list[Entry]:
        """Return all entries of one instant, expired ones included."""
        with self._lock:
            return list(self.lru.entries.values())

    def all_keys(self) -> list[Any]:
        """Return all keys that have an entry or are being computed."""
        with self._lock:
            return [*self.lru.entries, *self.flights]

    def forget_numbers(self) -> None:
        """Count from 0 again."""
        with self._lock:
            self.misses = self.joins = self.computes = self.failures = 0
            self.lru.forget_numbers()

    def stats(self) -> CacheStats:
        """Return the numbers, as of one instant."""
        with self._lock:
            return CacheStats(
                hits=self.lru.hits,
                misses=self.misses,
                computes=self.computes,
                joins=self.joins,
                failures=self.failures,
                evictions=self.lru.evictions,
                size=self.lru.weight,
                maxsize=self.lru.maxsize,
            )

    def _tidy(self) -> None:
        with self._lock:
            if not self.lru.lacks_tidiness():
                return
            survey = self.lru.tidying()
        dates = None
        try:
            dates = by_date(survey)
        finally:
            with self._lock:
                self.lru.tidied(dates)
                spent = self.lru.let_go()
            del spent
