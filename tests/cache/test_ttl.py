"""Values expire when they are told to; then they don't count as present."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from concutil import Cache
from concutil.testing import ManualClock

WORLDS = ["thread", "asyncio", "trio"]


def test_a_value_is_fresh_for_its_time() -> None:
    """Up to the very end of it, and not at the end."""
    clock = ManualClock()
    cache: Cache[str, int] = Cache(ttl=10, clock=clock)
    cache["a"] = 1
    clock.advance(9.75)
    assert cache["a"] == 1
    clock.advance(0.25)

    assert cache.get("a") is None
    assert cache.get("a", 5) == 5
    assert "a" not in cache
    assert cache.peek("a", 5) == 5
    assert list(cache) == []
    assert cache.snapshot() == {}
    with pytest.raises(KeyError):
        cache["a"]
    assert len(cache) == 1, "it is held until something comes for it"


def test_expired_values_are_misses() -> None:
    """They count as what they are for the caller."""
    clock = ManualClock()
    cache: Cache[str, int] = Cache(ttl=10, clock=clock)
    cache["a"] = 1
    cache.get("a")
    clock.advance(10)
    cache.get("a")
    cache.get_or_compute("a", lambda: 2)

    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.computes) == (1, 2, 1)
    assert cache["a"] == 2


def test_removing_what_has_expired() -> None:
    """It is not there for `del`, and isn't counted by `invalidate`."""
    clock = ManualClock()
    cache: Cache[str, int] = Cache(ttl=10, clock=clock)
    cache["a"] = cache["b"] = 1
    clock.advance(5)
    cache["c"] = 1
    clock.advance(5)
    with pytest.raises(KeyError):
        del cache["a"]
    assert cache.invalidate("b", "c") == 1

    assert len(cache) == 0


def test_time_counts_from_storing() -> None:
    """Not from when the computation began, and a hit prolongs nothing."""
    clock = ManualClock()
    cache: Cache[str, int] = Cache(ttl=10, clock=clock)

    def compute() -> int:
        clock.advance(100)
        return 1

    cache.get_or_compute("a", compute)
    clock.advance(9)
    assert cache["a"] == 1
    clock.advance(1)
    assert "a" not in cache


def test_each_value_may_have_its_own() -> None:
    """`set` and the computation may say how long, or for ever."""
    clock = ManualClock()
    cache: Cache[str, int] = Cache(ttl=10, clock=clock)
    cache.set("short", 1, ttl=1)
    cache.set("usual", 1)
    cache.set("long", 1, ttl=timedelta(seconds=20))
    cache.set("ever", 1, ttl=None)
    cache.get_or_compute("computed", lambda: 1, ttl=5)
    cache.get_or_compute("ever computed", lambda: 1, ttl=None)
    cache.set("by itself", 30, ttl=lambda key, value: value)
    left = []
    for seconds in (1, 4, 5, 10, 10):
        clock.advance(seconds)
        left.append(len(cache.snapshot()))

    assert left == [6, 5, 4, 3, 2]
    assert set(cache) == {"ever", "ever computed"}


def test_replacing_counts_anew() -> None:
    """The new value has its whole time, or no end at all."""
    clock = ManualClock()
    cache: Cache[str, int] = Cache(ttl=10, clock=clock)
    cache["a"] = 1
    clock.advance(9)
    cache["a"] = 2
    clock.advance(9)
    assert cache["a"] == 2
    cache.set("a", 3, ttl=None)
    clock.advance(1000)

    assert cache["a"] == 3


def test_a_function_of_key_and_value() -> None:
    """It says for each value how long it lasts; None is for ever."""
    clock, asked = ManualClock(), []

    def ttl(key: str, value: int) -> float | timedelta | None:
        asked.append((key, value))
        return {1: 5, 2: timedelta(minutes=1), 3: None}[value]

    cache: Cache[str, int] = Cache(ttl=ttl, clock=clock)
    cache["a"] = 1
    cache.get_or_compute("b", lambda: 2)
    cache["c"] = 3
    assert asked == [("a", 1), ("b", 2), ("c", 3)]
    clock.advance(5)
    assert set(cache) == {"b", "c"}
    clock.advance(1000)
    assert set(cache) == {"c"}


@pytest.mark.parametrize("ttl", [0, -5, timedelta(0), timedelta(seconds=-1)])
@pytest.mark.parametrize("world", WORLDS)
def test_expired_at_once(ttl: Any, world: str, calls) -> None:
    """A value that is past already goes to those who waited, and isn't found."""
    cache: Cache[str, int] = Cache(ttl=lambda key, value: ttl)
    gate = calls.gate()
    first = calls.lead(world, cache, "a", lambda: 1, gate)
    second = calls.join(world, cache, "a", lambda: 2)
    gate.open()

    assert first.result() == second.result() == 1
    assert "a" not in cache
    assert calls.start(world, cache, "a", lambda: 3).result() == 3


class BrokenError(Exception):
    """What a function of the user fails with."""


def broken(key: object, value: object) -> Any:
    """Fail."""
    raise BrokenError


@pytest.mark.parametrize("options", [{"ttl": broken}, {"weigh": broken}], ids="-".join)
@pytest.mark.parametrize("world", WORLDS)
def test_an_error_in_a_function_of_the_user(options: Any, world: str, calls) -> None:
    """It goes to all who waited, as an error of the computation does."""
    cache: Cache[str, int] = Cache(**options)
    gate = calls.gate()
    made = [calls.lead(world, cache, "a", lambda: 1, gate)]
    made += [calls.join(it, cache, "a", lambda: 2) for it in WORLDS]
    gate.open()
    for call in made:
        call.join()

    assert isinstance(made[0].error, BrokenError)
    assert {id(call.error) for call in made} == {id(made[0].error)}
    assert len(cache) == 0
    assert cache.stats().failures == 1
    assert cache._store.flights == {}


@pytest.mark.parametrize("options", [{"ttl": broken}, {"weigh": broken}], ids="-".join)
def test_an_error_in_a_function_when_it_is_set(options: Any, calls) -> None:
    """`set` raises it and changes nothing, nor for who computes meanwhile."""
    cache: Cache[str, int] = Cache(**options)
    gate = calls.gate()
    computing = calls.lead("thread", cache, "a", lambda: 1 // 0, gate)
    with pytest.raises(BrokenError):
        cache["a"] = 1

    assert len(cache) == 0
    assert "a" in cache._store.flights
    gate.open()
    with pytest.raises(ZeroDivisionError):
        computing.result()


@pytest.mark.parametrize("many", [10, 40])
def test_expired_values_go_first(many: int) -> None:
    """However recently they were used, they go before any fresh one does."""
    clock, gone = ManualClock(), []
    cache: Cache[int, int] = Cache(
        many, on_evict=lambda *it: gone.append(it), clock=clock
    )
    for key in range(many):
        cache.set(key, key, ttl=5 if key % 5 == 4 else None)
    for key in range(many):
        cache.get(key)
    clock.advance(5)
    for key in range(many, many + many // 5):
        cache[key] = key
    assert gone == [(key, key, "expired") for key in range(4, many, 5)]
    cache["one more"] = 1  # type: ignore[index]  # any key will do

    assert gone[-1] == (0, 0, "size")


@pytest.mark.parametrize("maxsize", [None, 1000])
def test_expired_values_do_not_stay(maxsize: int | None) -> None:
    """Each newcomer clears two of them away, though there is room for all."""
    clock, gone = ManualClock(), []

    def tell(key: int, value: int, cause: str) -> None:
        gone.append((key, cause))

    cache: Cache[int, int] = Cache(maxsize, ttl=10, on_evict=tell, clock=clock)
    for key in range(20):
        cache[key] = key
        clock.advance(0.25)
    clock.advance(20)
    for key in range(100, 110):
        cache[key] = key

    assert gone == [(key, "expired") for key in range(20)]
    assert len(cache) == 10
    assert cache.stats().evictions == 20


def test_the_bookkeeping_does_not_grow() -> None:
    """Replacing values for ever leaves no more behind than twice what is held."""
    cache: Cache[int, int] = Cache(ttl=1000)
    for number in range(5000):
        cache[number % 7] = number
    assert len(cache._store.lru._dates.heap) <= 2 * 7 + 64 + 1
    for number in range(5000):
        cache[8] = number
        cache.invalidate(8)
    assert len(cache._store.lru._dates.heap) <= 2 * 8 + 64 + 1


def test_tidying_loses_nothing() -> None:
    """What was tidied up expires at its time all the same, and goes."""
    clock = ManualClock()
    cache: Cache[int, int] = Cache(ttl=100, clock=clock)
    for number in range(500):
        cache[number % 50] = number
        clock.advance(0.125)
    clock.advance(100)
    for key in range(100, 125):
        cache.set(key, 0, ttl=None)

    assert set(cache._entries) == set(range(100, 125))


def test_tidying_that_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the midst of it leaves all as it was, and the next one does it."""
    from concutil._cache import sorting

    clock, real = ManualClock(), sorting.by_date
    cache: Cache[int, int] = Cache(ttl=100, clock=clock)

    def interrupted(survey: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(sorting, "by_date", interrupted)
    with pytest.raises(KeyboardInterrupt):
        overwrite(cache, lambda: False)
    monkeypatch.setattr(sorting, "by_date", real)
    assert len(cache._store.lru._dates.heap) == 67
    cache[1] = 5
    assert len(cache._store.lru._dates.heap) == 1
    clock.advance(100)
    cache.set(2, 0, ttl=None)

    assert list(cache._entries) == [2]


def overwrite(cache: Cache[int, int], done: Callable[[], bool]) -> None:
    """Set one key again and again."""
    for number in range(1000):
        if done():
            return
        cache[1] = number


def test_two_that_tidy_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one leaves it to the first, and what it adds meanwhile is kept."""
    from concutil._cache import sorting

    clock, real, inner = ManualClock(), sorting.by_date, []
    cache: Cache[int, int] = Cache(ttl=100, clock=clock)

    def meanwhile(survey: Any) -> Any:
        inner.append(1)
        for key in range(10, 100):
            cache[key] = key
        sorting.tidy(cache._store.lru, cache._store._lock)
        return real(survey)

    monkeypatch.setattr(sorting, "by_date", meanwhile)
    overwrite(cache, lambda: bool(inner))
    assert inner == [1]
    assert len(cache) == 91
    clock.advance(100)
    for key in range(100, 146):
        cache.set(key, 0, ttl=None)

    assert set(cache._entries) == set(range(100, 146))
