"""With weigh= the bound is a weight, and no value is too heavy to be returned."""

from __future__ import annotations

from typing import Any

import pytest

from concutil import Cache
from concutil.testing import ManualClock

WORLDS = ["thread", "asyncio", "trio"]
Told = list[tuple[Any, ...]]


def weighed(maxsize: int | None, gone: Told | None = None) -> Cache[str, int]:
    """Return a cache of numbers that weigh what they are."""
    told = [] if gone is None else gone
    return Cache(
        maxsize, weigh=lambda key, value: value, on_evict=lambda *it: told.append(it)
    )


def test_nothing_is_asked_about_a_key_that_has_no_place() -> None:
    """A key that can't be hashed is told before its weight or time to live is."""
    asked: list[object] = []

    def note(key: object, value: object) -> int:
        asked.append(key)
        return 1

    cache: Cache[Any, int] = Cache(10, weigh=note, ttl=note)
    with pytest.raises(TypeError, match="unhashable"):
        cache[[]] = 1
    assert asked == []


def test_the_total_weight_is_bounded() -> None:
    """As many of the least recent go as are needed, and no more."""
    gone: Told = []
    cache = weighed(10, gone)
    cache["a"], cache["b"], cache["c"] = 3, 3, 3
    cache.get("a")
    cache["d"] = 4
    assert gone == [("b", 3, "size")]
    cache["e"] = 9
    assert gone[1:] == [("c", 3, "size"), ("a", 3, "size"), ("d", 4, "size")]

    assert cache.snapshot() == {"e": 9}
    assert (cache.stats().size, cache.stats().evictions) == (9, 4)


@pytest.mark.parametrize("world", WORLDS)
def test_a_value_that_is_too_heavy(world: str, calls) -> None:
    """It goes to all who waited, is not stored, and evicts nothing."""
    gone: Told = []
    cache = weighed(10, gone)
    cache["a"] = 10
    gate = calls.gate()
    first = calls.lead(world, cache, "b", lambda: 11, gate)
    second = calls.join("thread", cache, "b", lambda: 1)
    gate.open()

    assert first.result() == second.result() == 11
    assert cache.snapshot() == {"a": 10}
    assert gone == []
    assert calls.start(world, cache, "b", lambda: 12).result() == 12
    assert cache.stats().size == 10


def test_setting_what_is_too_heavy_removes_the_old() -> None:
    """The old value would be wrong, and the new one can't be held."""
    gone: Told = []
    cache = weighed(10, gone)
    cache["a"], cache["b"] = 5, 5
    cache["a"] = 11

    assert cache.snapshot() == {"b": 5}
    assert gone == [("a", 5, "replaced")]
    assert cache.stats().evictions == 0


def test_replacing_counts_the_difference() -> None:
    """A heavier value for a key evicts others, never itself twice."""
    gone: Told = []
    cache = weighed(10, gone)
    cache["a"], cache["b"], cache["c"] = 2, 4, 4
    cache["a"] = 6
    assert gone == [("b", 4, "size"), ("a", 2, "replaced")]
    cache["a"] = 10
    assert gone[2:] == [("c", 4, "size"), ("a", 6, "replaced")]
    cache["a"] = 1

    assert cache.stats().size == 1


def test_what_weighs_nothing_is_not_limited() -> None:
    """Any number of such values is held, but for a bound of 0, with which none is."""
    cache, nothing = weighed(1), weighed(0)
    for number in range(100):
        cache[str(number)] = nothing[str(number)] = 0

    assert len(cache) == 100
    assert cache.stats().size == 0
    assert len(nothing) == 0
    cache["one"] = 1
    assert "one" in cache
    cache["two"] = 2
    assert "two" not in cache


def test_a_bound_of_zero_for_what_weighs_nothing() -> None:
    """It is computed each time, and nothing has gone, as nothing was there."""
    gone: Told = []
    cache = weighed(0, gone)

    assert [cache.get_or_compute("a", lambda n=n: n) for n in (0, 0, 1)] == [0, 0, 1]
    assert len(cache) == 0
    assert cache.stats().computes == 3
    assert gone == []


def test_without_a_bound_weights_are_counted() -> None:
    """Nothing goes, and the size is the weight of all."""
    cache = weighed(None)
    for number in range(100):
        cache[str(number)] = number

    assert cache.stats().size == 4950
    assert len(cache) == 100
    cache.invalidate("99", "98")
    assert cache.stats().size == 4950 - 99 - 98
    cache.clear()
    assert cache.stats().size == 0


@pytest.mark.parametrize("many", [20, 300])
def test_many_light_ones_go_for_a_heavy_one(many: int) -> None:
    """However many have to go, all do, in the order of their last use."""
    gone: Told = []
    cache = weighed(many, gone)
    for number in range(many):
        cache[str(number)] = 1
    cache.get("0")
    cache["heavy"] = many - 1

    assert [key for key, _, _ in gone] == [str(number) for number in range(1, many)]
    assert cache.snapshot() == {"0": 1, "heavy": many - 1}


def test_weigh_is_asked_once_per_value() -> None:
    """A value weighs what it weighed when it came."""
    asked = []
    cache: Cache[str, list[int]] = Cache(
        10, weigh=lambda key, value: asked.append(key) or len(value)
    )
    value = [1, 2]
    cache["a"] = value
    value.extend(range(100))
    cache["b"] = [1]
    cache.get("a")
    del cache["a"]

    assert asked == ["a", "b"]
    assert cache.stats().size == 1


def test_a_heavy_one_clears_all_that_has_expired_first() -> None:
    """However many have expired, they go before any that is fresh."""
    clock = ManualClock()
    gone: Told = []
    cache: Cache[str, int] = Cache(
        10,
        weigh=lambda key, value: value,
        on_evict=lambda *it: gone.append(it),
        clock=clock,
    )
    cache["old"] = 1
    for number in range(8):
        cache.set(str(number), 1, ttl=10 + number)
    clock.advance(15.5)
    cache["heavy"] = 9

    assert gone[:6] == [(str(number), 1, "expired") for number in range(6)]
    assert gone[6:] == [("old", 1, "size"), ("6", 1, "size")]
    assert cache.snapshot() == {"7": 1, "heavy": 9}
