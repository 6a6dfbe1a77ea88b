"""Threads and loops at random on one cache: what holds at any time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import anyio
import pytest

from concutil import Cache
from concutil.testing import ManualClock
from patience import threads

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    """Have threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@dataclass(frozen=True)
class Key:
    """A key whose hash and comparison are Python code, with many collisions."""

    number: int

    def __hash__(self) -> int:
        return self.number % 3

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and other.number == self.number


class Watched:
    """A cache, what computes for it, and what was seen to be wrong."""

    def __init__(self, **options: Any) -> None:
        self.cache: Cache[Key, tuple[str, int]] = Cache(**options)
        self.running: dict[int, list[object]] = {n: [] for n in range(20)}
        self.wrong: list[object] = []

    def begin(self, key: Key) -> object:
        """Note that a computation begins, the only one of its key not removed."""
        running, me = self.running[key.number], object()
        if running:
            self.wrong.append(("two at once", key))
        running.append(me)
        return me

    def compute(self, key: Key) -> tuple[str, int]:
        me = self.begin(key)
        value = ("value", key.number)
        self.end(key, me)
        return value

    async def acompute(self, key: Key) -> tuple[str, int]:
        me = self.begin(key)
        await anyio.lowlevel.checkpoint()
        self.end(key, me)
        return "value", key.number

    def end(self, key: Key, me: object) -> None:
        self.running[key.number].remove(me)

    def check(self, key: Key, value: tuple[str, int] | None) -> None:
        if value is not None and value[1] != key.number:
            self.wrong.append((key, value))
        if len(self.cache) > 8:
            self.wrong.append(len(self.cache))

    def check_at_the_end(self) -> None:
        """See that all is whole when nobody is at work."""
        lru = self.cache._store.lru
        assert self.wrong == []
        assert self.cache._store.flights == {}
        assert not any(self.running.values())
        assert lru.weight == sum(it.weight for it in lru.entries.values()) <= 8
        assert all(key is entry.key for key, entry in lru.entries.items())
        stats = self.cache.stats()
        assert stats.misses >= stats.computes + stats.joins


def test_only_computing() -> None:
    """Nothing is removed: never do two compute one key, and each value is right."""
    watched = Watched(maxsize=8)

    def client(seed: int) -> None:
        random = Random(seed)
        for _ in range(1500):
            key = Key(random.randrange(20))
            value = watched.cache.get_or_compute(key, lambda k=key: watched.compute(k))
            watched.check(key, value)

    with threads(*[lambda n=n: client(n) for n in range(3)]):
        pass
    watched.check_at_the_end()
    stats = watched.cache.stats()
    assert stats.hits + stats.misses == 4500
    assert stats.misses == stats.computes + stats.joins


def test_threads_and_loops() -> None:
    """The same for a thread and tasks of two loops."""
    watched = Watched(maxsize=8)

    def client() -> None:
        random = Random(0)
        for _ in range(400):
            key = Key(random.randrange(20))
            value = watched.cache.get_or_compute(key, lambda k=key: watched.compute(k))
            watched.check(key, value)

    async def task(seed: int) -> None:
        random = Random(seed)
        for _ in range(100):
            key = Key(random.randrange(20))
            value = await watched.cache.aget_or_compute(
                key, lambda k=key: watched.acompute(k)
            )
            watched.check(key, value)

    async def tasks(seed: int) -> None:
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(task, seed + number)

    with threads(
        client,
        lambda: anyio.run(tasks, 10, backend="asyncio"),
        lambda: anyio.run(tasks, 20, backend="trio"),
    ):
        pass
    watched.check_at_the_end()


def all_operations(watched: Watched, clock: ManualClock) -> dict[str, Any]:
    """Return each operation, as a function of a key that checks what it gets."""
    cache, check = watched.cache, watched.check

    def compute(key: Key) -> None:
        check(key, cache.get_or_compute(key, lambda: ("value", key.number)))

    return {
        "get": lambda key: check(key, cache.get(key)),
        "peek": lambda key: check(key, cache.peek(key)),
        "compute": compute,
        "set": lambda key: cache.set(key, ("set", key.number)),
        "invalidate": cache.invalidate,
        "snapshot": lambda _: cache.snapshot(),
        "advance": lambda _: clock.advance(1),
        "clear": lambda _: cache.clear(),
    }


WEIGHTS = [40, 3, 30, 15, 8, 1, 2, 1]  # how often each of them is called


@pytest.mark.parametrize(
    "options",
    [{}, {"ttl": 3}, {"weigh": lambda key, value: 1 + key.number % 3}],
    ids=["plain", "ttl", "weigh"],
)
def test_everything(options: dict[str, Any]) -> None:
    """All operations at random: bounded at any time, right values, whole at the end."""
    clock = ManualClock()
    watched = Watched(maxsize=8, clock=clock, **options)
    operations = list(all_operations(watched, clock).values())

    def client(seed: int) -> None:
        random = Random(seed)
        for operation in random.choices(operations, WEIGHTS, k=1200):
            operation(Key(random.randrange(20)))

    with threads(*[lambda n=n: client(n) for n in range(4)]):
        pass
    clock.advance(0)
    watched.check_at_the_end()


def test_order_survives_hits_while_others_sort() -> None:
    """Keys that are hit all the time are never evicted by those that come once."""
    cache: Cache[int, int] = Cache(60)
    lost: list[int] = []
    stop = threading.Event()
    loved = range(10)
    for number in loved:
        cache[number] = number

    def hit() -> None:
        while not stop.is_set():
            for number in loved:
                cache.get(number)

    def fill() -> None:
        for number in range(100, 4000):
            cache[number] = number
            if number % 40 == 0:  # between, so that hits come often enough
                lost.extend(key for key in loved if cache.get(key) is None)
        stop.set()

    with threads(hit, fill):
        pass

    assert lost == []
