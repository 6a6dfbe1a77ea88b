"""Small faults that only a history of results shows, and their corrected twins."""

from __future__ import annotations

import random
import threading
from typing import Any, Final

from .linearize import OneStep
from .recorder import Op, Plan, Trial

SIZE_ITEMS: Final = 2


class Lru:
    """An exact LRU map."""

    def __init__(self) -> None:
        self.items: dict[str, int] = {}
        self.lock = threading.Lock()

    def get(self, key: str) -> int | None:
        with self.lock:
            value = self.items.get(key)
            if value is not None:
                self.touch(key, value)
            return value

    def set(self, key: str, value: int) -> None:
        with self.lock:
            self.touch(key, value)
            self.evict()

    def drop(self, key: str) -> bool:
        with self.lock:
            return self.items.pop(key, None) is not None

    def touch(self, key: str, value: int) -> None:
        self.items.pop(key, None)
        self.items[key] = value

    def evict(self) -> None:
        if len(self.items) > SIZE_ITEMS:
            del self.items[next(iter(self.items))]


class TouchesLater(Lru):
    """Marks as used in a second critical section, and revives what was dropped."""

    def get(self, key: str) -> int | None:
        with self.lock:
            value = self.items.get(key)
        if value is not None:
            with self.lock:
                self.touch(key, value)
        return value


class EvictsLater(Lru):
    """Is too big for a moment: a get sees what should be gone."""

    def set(self, key: str, value: int) -> None:
        with self.lock:
            self.touch(key, value)
        with self.lock:
            self.evict()


class LeavesAGap(Lru):
    """Removes, then inserts: a get in between misses."""

    def set(self, key: str, value: int) -> None:
        with self.lock:
            self.items.pop(key, None)
        super().set(key, value)


class Counter:
    """Counts."""

    def __init__(self) -> None:
        self.count = 0
        self.lock = threading.Lock()

    def add(self) -> int:
        with self.lock:
            self.count += 1
            return self.count

    def read(self) -> int:
        return self.count


class ReadsBack(Counter):
    """Returns what it reads after unlocking: somebody else's count may be in it."""

    def add(self) -> int:
        with self.lock:
            self.count += 1
        return self.count


class Permits:
    """One permit."""

    def __init__(self) -> None:
        self.free = 1
        self.lock = threading.Lock()

    def attempt(self) -> bool:
        with self.lock:
            if self.free:
                self.free -= 1
                return True
            return False

    def release(self) -> None:
        with self.lock:
            self.free += 1


class LooksOnce(Permits):
    """Takes on an old look."""

    def attempt(self) -> bool:
        if not self.free:
            return False
        with self.lock:
            self.free -= 1
            return True


Items = tuple[tuple[str, int], ...]


class LruModel(OneStep[Items]):
    """The items, least recently used first."""

    start: Items = ()

    def step(
        self, state: Items, name: str, args: tuple[Any, ...]
    ) -> list[tuple[object, Items]]:
        key = args[0]
        rest = tuple(item for item in state if item[0] != key)
        found = dict(state).get(key)
        if name == "get":
            return [(found, state if found is None else (*rest, (key, found)))]
        if name == "set":
            return [(None, (*rest, (key, args[1]))[-SIZE_ITEMS:])]
        return [(found is not None, rest)]


class CounterModel(OneStep[int]):
    """How often it was added to."""

    start = 0

    def step(
        self, state: int, name: str, args: tuple[Any, ...]
    ) -> list[tuple[object, int]]:
        return [(state + 1, state + 1) if name == "add" else (state, state)]


class PermitsModel(OneStep[int]):
    """How many are free."""

    start = 1

    def step(
        self, state: int, name: str, args: tuple[Any, ...]
    ) -> list[tuple[object, int]]:
        if name == "release":
            return [(None, state + 1)]
        return [(True, state - 1) if state else (False, 0)]


def _threads(rng: random.Random, length: int, ops: list[Op]) -> list[list[Op]]:
    return [[rng.choice(ops) for _ in range(length)] for _ in range(2)]


def _lru_plan(rng: random.Random) -> Plan:
    # A set-up that fills it: with an empty one, evictions are too rare.
    before = [("set", key, i) for i, key in enumerate(rng.sample("abc", SIZE_ITEMS))]
    ops: list[Op] = [("get", key) for key in "abc"] * 2
    ops += [("set", key, rng.randrange(10, 100)) for key in "abc"]
    ops += [("drop", key) for key in "abc"]
    return Plan(before, _threads(rng, 3, ops))


def _counter_plan(rng: random.Random) -> Plan:
    return Plan([], _threads(rng, 3, [("add",), ("add",), ("read",)]))


def _permits_plan(rng: random.Random) -> Plan:
    return Plan([], _threads(rng, 3, [("attempt",), ("attempt",), ("release",)]))


def trial(kind: type[Lru | Counter | Permits]) -> Trial[Any]:
    """Return the trial of *kind*, one of the classes above."""
    if issubclass(kind, Lru):
        return Trial(kind.__name__, kind, LruModel(), _lru_plan, [kind])
    if issubclass(kind, Counter):
        return Trial(kind.__name__, kind, CounterModel(), _counter_plan, [kind])
    return Trial(kind.__name__, kind, PermitsModel(), _permits_plan, [kind])


# Each fault, and in which history at the latest the explorer must find it.
FAULTS: Final[dict[type[Lru | Counter | Permits], int]] = {
    TouchesLater: 3_000,
    EvictsLater: 3_000,
    LeavesAGap: 3_000,
    ReadsBack: 100,
    LooksOnce: 200,
}
CORRECT: Final[tuple[type[Lru | Counter | Permits], ...]] = (Lru, Counter, Permits)
