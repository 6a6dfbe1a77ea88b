"""Faults in what caches are made of, each with a program that must show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from types import ModuleType
from typing import Any, Final, NamedTuple

from concutil._cache import asking
from concutil._cache.asking import Found
from concutil._cache.flights import Flight, _Threads
from concutil._cache.store import Store
from concutil._core.lru import Entry, Gone
from concutil._core.waits import Step
from concutil._runtime.waiters import World

from .battery import HOLD_S, Plan, Subject
from .cache_circles import Walking
from .cache_subjects import Cached, Evicting, Unkept


async def registers_after_looking(
    store: Store, world: World, it: Found, *, ttl: object
) -> Found:
    """Wait, but look at the state before anybody could know of it."""
    assert isinstance(it, Flight)
    waiter, line = world.waiter(), it.lines.setdefault(world.line, {})
    while it.state == "running":
        line[waiter] = None
        await world.park(waiter, inf)
    line.pop(waiter, None)
    return it


def publishes_twice(
    self: Store, entry: Entry, flight: Flight | None, *, now: float, gone: list[Gone]
) -> bool:
    """End a flight in one critical section, and hold its value in another."""
    with self._lock:
        current = flight is None or self.flights.get(entry.key) is flight
        if current:
            self.flights.pop(entry.key, None)
        if flight is not None:
            flight.value, flight.state = entry.value, "computed"
    with self._lock:
        if current:
            self.lru.place(entry, now, gone)
    return True


def settles_silently(self: Store, *, wait: bool) -> None:
    """Wake nobody who waits for what was abandoned."""
    while self.undone:
        it, _ = self.undone.popitem()
        assert isinstance(it, partial)
        if it.args[0].is_over():
            it.args[0].wake()


def stores_what_was_removed(
    self: Store, entry: Entry, flight: Flight | None, *, now: float, gone: list[Gone]
) -> bool:
    """Hold what was computed, even if its key was removed since that began."""
    with self._lock:
        self.lru.place(entry, now, gone)
        self.flights.pop(entry.key, None)
        if flight is not None:
            flight.value, flight.state = entry.value, "computed"
    return True


def makes_room_afterwards(
    self: Store, entry: Entry, flight: Flight | None, *, now: float, gone: list[Gone]
) -> bool:
    """Hold a value, and evict what it takes the place of later."""
    with self._lock:
        most, self.lru.maxsize = self.lru.maxsize, None
        self.lru.place(entry, now, gone)
        self.lru.maxsize = most
        self.flights.pop(entry.key, None)
        if flight is not None:
            flight.value, flight.state = entry.value, "computed"
    with self._lock:
        again = Entry(entry.key, entry.value)
        return self.lru.place(again, now, gone)


def looks_twice(self: _Threads, step: Step) -> Iterable[Step]:
    """Look whether a thread is blocked, and then again what for."""
    onward = [goal.step for goal in step.needs.values()]
    if not step.over and step.thread in self.blocked:
        onward.append(self.blocked[step.thread])
    return onward


def goes_on_from_what_is_over(self: _Threads, step: Step) -> Iterable[Step]:
    """Take a computation for one that waits which has ended."""
    blocked = self.blocked.get(step.thread)
    needs = [goal.step for goal in step.needs.values()]
    return needs if blocked is None else [*needs, blocked]


def sees_no_threads(self: _Threads, step: Step) -> Iterable[Step]:
    """Forget that a computation can't go on while its thread is blocked."""
    return [goal.step for goal in step.needs.values()]


class Canary(NamedTuple):
    """A fault: whose method it takes the place of, and the program that shows it."""

    fault: Callable[..., Any]
    owner: type | ModuleType
    name: str
    subject: type[Subject]
    plan: Plan
    held: float = 0.0

    def __str__(self) -> str:
        return self.fault.__name__


CANARIES: Final = (
    Canary(registers_after_looking, asking, "_joined", Cached, (("compute",),) * 2),
    Canary(publishes_twice, Store, "_placed", Cached, (("compute",),) * 2),
    Canary(
        *(settles_silently, Store, "settle", Unkept),
        *((("stop",), ("compute",)), HOLD_S),
    ),
    Canary(
        *(stores_what_was_removed, Store, "_placed", Cached),
        (("compute",), ("invalidate", "get")),
    ),
    Canary(
        *(makes_room_afterwards, Store, "_placed", Evicting),
        (("compute", "other"), ("glance",)),
    ),
    Canary(
        *(looks_twice, _Threads, "onward", Walking),
        *((("ab",), ("bc",), ("ab",)), HOLD_S),
    ),
    Canary(
        *(goes_on_from_what_is_over, _Threads, "onward", Walking),
        (("bc",), ("ca", "in_its_loop")),
    ),
    Canary(
        *(sees_no_threads, _Threads, "onward", Walking),
        *((("in_its_loop",), ("ba",)), HOLD_S),
    ),
)
