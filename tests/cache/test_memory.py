"""What is held no longer is freed at once, without the collector."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from concutil import Cache
from concutil.testing import ManualClock

WORLDS = ["thread", "asyncio", "trio"]


class Value:
    """Something whose end can be seen."""


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Have objects die by their reference counts alone, or not at all."""
    gc.disable()
    yield
    gc.enable()


def stored(cache: Cache[Any, Any], key: object, **options: Any) -> weakref.ref[Value]:
    """Store a value, and return what tells whether it lives."""
    value = Value()
    cache.set(key, value, **options)
    return weakref.ref(value)


ENDS: dict[str, Callable[[Cache[Any, Any]], object]] = {
    "replaced": lambda cache: cache.set("a", 1),
    "deleted": lambda cache: cache.__delitem__("a"),
    "invalidated": lambda cache: cache.invalidate("a"),
    "cleared": lambda cache: cache.clear(),
    "evicted": lambda cache: [cache.set(key, 1) for key in range(200)],
    "computed anew": lambda cache: (
        cache.invalidate("a"),
        cache.get_or_compute("a", int),
    ),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("others", [0, 90])
@pytest.mark.parametrize("ttl", [None, 100])
def test_values_are_freed(end: str, others: int, ttl: float | None) -> None:
    """Whichever way it goes, and whether there are runs and dates or not."""
    cache: Cache[Any, Any] = Cache(100, ttl=ttl)
    for number in range(others):
        cache[number, "other"] = number
    value = stored(cache, "a")
    if others:
        for number in range(11):  # so that one has to go, and a run is sorted
            cache[number, "more"] = number
        cache.get("a")
    assert value() is not None
    ENDS[end](cache)

    assert value() is None


@pytest.mark.parametrize("how", ["set", "invalidate", "clear"])
def test_expired_values_are_freed(how: str) -> None:
    """An expired one is freed by whatever comes for it first."""
    clock = ManualClock()
    cache: Cache[Any, Any] = Cache(ttl=10, stale=5, clock=clock)
    value = stored(cache, "a")
    clock.advance(15)
    {
        "set": lambda: cache.set("b", 1),
        "invalidate": lambda: cache.invalidate("a"),
        "clear": cache.clear,
    }[how]()

    assert value() is None


def test_keys_of_an_unbounded_cache_are_freed() -> None:
    """A key goes with its value, unless a date still has it."""
    cache: Cache[Any, Any] = Cache(None)
    key = Value()
    cache[key] = 1
    gone = weakref.ref(key)
    del cache[key]
    del key

    assert gone() is None


def test_clear_frees_all_that_is_known_of_keys() -> None:
    """Runs and dates go as well."""
    cache: Cache[Any, Any] = Cache(50, ttl=100)
    keys = [Value() for _ in range(60)]
    for key in keys:
        cache[key] = 1
    gone = [weakref.ref(key) for key in keys]
    cache.clear()
    del keys, key

    assert [ref() for ref in gone] == [None] * 60


@pytest.mark.parametrize("maxsize", [0, 10])
def test_a_computed_value_is_kept_by_the_cache_alone(maxsize: int) -> None:
    """No flight, lead or context keeps it, nor the function that computed it."""
    cache: Cache[str, Any] = Cache(maxsize)

    def compute() -> Value:
        return Value()

    value = weakref.ref(cache.get_or_compute("a", compute))
    function = weakref.ref(compute)
    del compute
    assert function() is None
    cache.clear()
    assert value() is None


@pytest.mark.parametrize("world", WORLDS)
def test_a_value_that_was_waited_for(world: str, calls) -> None:
    """Who waited for it keeps nothing either."""
    cache: Cache[str, Any] = Cache(0)
    gate = calls.gate()
    made = [calls.lead(world, cache, "a", Value, gate)]
    made += [calls.join(it, cache, "a", Value) for it in ("thread", world)]
    gate.open()
    gone = [weakref.ref(call.result()) for call in made]
    for call in made:
        call.value = None

    assert [ref() for ref in gone] == [None] * 3


def test_in_a_task_that_lives_on() -> None:
    """The context of a task keeps no value, and no key of another computation."""
    cache: Cache[Any, Any] = Cache(0)

    async def compute() -> Value:
        return Value()

    async def main() -> None:
        key = Value()
        gone = weakref.ref(await cache.aget_or_compute(key, compute))
        assert gone() is None
        gone_key = weakref.ref(key)
        del key
        assert gone_key() is None

    asyncio.run(main())


def test_a_cache_is_freed() -> None:
    """It is in no circle, and no registry keeps it."""
    cache: Cache[str, int] = Cache(1)
    cache["a"] = 1
    cache["b"] = cache.get_or_compute("c", int)
    store, gone = weakref.ref(cache._store), weakref.ref(cache)
    del cache

    assert gone() is None
    assert store() is None


def test_a_failed_computation_keeps_nothing() -> None:
    """Neither its function nor its key."""
    cache: Cache[Any, Any] = Cache()
    key = Value()

    def compute() -> Value:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.get_or_compute(key, compute)
    gone = weakref.ref(key), weakref.ref(compute)
    del key, compute

    assert [ref() for ref in gone] == [None, None]


def test_runs_hold_no_values() -> None:
    """What a sorted run still knows of is a key, not a value."""
    cache: Cache[Any, Any] = Cache(100)
    values = [stored(cache, number) for number in range(101)]  # the last sorts
    assert len(cache._store.lru._run.keys) == 99
    for number in range(1, 101):
        del cache[number]

    assert [ref() for ref in values] == [None] * 101


def test_a_long_computation_keeps_no_inner_ones() -> None:
    """What was computed inside of another one, and is over, is forgotten there."""
    cache: Cache[Any, Any] = Cache(0)

    def compute() -> list[object]:
        keys = [Value() for _ in range(3)]
        for key in keys:
            cache.get_or_compute(key, int)
        gone = [weakref.ref(key) for key in keys]
        del keys, key
        return [ref() for ref in gone]

    assert cache.get_or_compute("outer", compute) == [None] * 3
