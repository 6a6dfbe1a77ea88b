"""Real threads that use a cache as hard as they can, with keys that run Python code."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final, final

from concutil import Cache

THREADS_COUNT: Final = 4
MAXSIZE_ITEMS: Final = 40
PATIENCE_S: Final = 30.0
_KEYS_COUNT: Final = 100


@final
class Key:
    """A key whose hash is often that of others, so that it has to be compared."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number % 7

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.number == other.number


@final
class _Shooter:
    """What one thread does."""

    def __init__(self, cache: Cache[Key, int], rng: random.Random) -> None:
        self._cache = cache
        self._rng = rng
        self.calls = 0
        self.error: BaseException | None = None

    def run(self, until: float) -> None:
        ways: list[Callable[[Key], None]] = [
            *(self._compute, self._compute, self._get, self._get, self._set),
            *(self._remove, self._look),
        ]
        try:
            while monotonic() < until:
                for _ in range(100):
                    self._rng.choice(ways)(Key(self._rng.randrange(_KEYS_COUNT)))
                    self.calls += 1
        except BaseException as error:  # noqa: ASYNC103, BLE001 - told at the end
            self.error = error

    def _compute(self, key: Key) -> None:
        got = self._cache.get_or_compute(key, lambda: key.number)
        assert got == key.number, (got, key.number)

    def _get(self, key: Key) -> None:
        got = self._cache.get(key)
        assert got in {None, key.number}, (got, key.number)

    def _set(self, key: Key) -> None:
        self._cache[key] = key.number

    def _remove(self, key: Key) -> None:
        assert self._cache.invalidate(key) in {0, 1}

    def _look(self, key: Key) -> None:
        assert len(self._cache) <= MAXSIZE_ITEMS
        assert self._cache.stats().size <= MAXSIZE_ITEMS
        if self._rng.random() < 0.05:
            for held, number in self._cache.snapshot().items():
                assert held.number == number


def fire(seed: int, seconds: float) -> int:
    """Use one cache for so long, and return how many calls were made.

    Raises:
        AssertionError: If a call failed or hangs, or something is wrong at the end.
    """
    rng = random.Random(seed)
    cache: Cache[Key, int] = Cache(
        MAXSIZE_ITEMS, ttl=rng.choice([None, 0.001, 1]), stale=None
    )
    shooters = [
        _Shooter(cache, random.Random(rng.getrandbits(32)))
        for _ in range(THREADS_COUNT)
    ]
    until = monotonic() + seconds
    threads = [
        threading.Thread(target=it.run, args=(until,), daemon=True) for it in shooters
    ]
    with _switching_often():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + PATIENCE_S)
            assert not thread.is_alive(), f"it hangs: seed {seed}"
    for it in shooters:
        assert it.error is None, f"seed {seed}: {it.error!r}"
    _check(cache)
    return sum(it.calls for it in shooters)


def _check(cache: Cache[Key, int]) -> None:
    keeper = cache._store
    entries = keeper.entries()
    assert keeper.lru.weight == len(entries) <= MAXSIZE_ITEMS
    assert not keeper.flights
    stats = cache.stats()
    assert stats.computes <= stats.misses
    assert not stats.failures


@contextmanager
def _switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
