"""Keys of any kind: those that can't be hashed or compared do no harm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from concutil import Cache

OPERATIONS = {
    "get": lambda cache, key: cache.get(key),
    "[]": lambda cache, key: cache[key],
    "in": lambda cache, key: key in cache,
    "peek": lambda cache, key: cache.peek(key),
    "set": lambda cache, key: cache.set(key, 5),
    "[]=": lambda cache, key: cache.__setitem__(key, 5),
    "del": lambda cache, key: cache.__delitem__(key),
    "invalidate": lambda cache, key: cache.invalidate(key),
    "get_or_compute": lambda cache, key: cache.get_or_compute(key, int),
    "aget_or_compute": lambda cache, key: asyncio.run(
        cache.aget_or_compute(key, other)
    ),
}


async def other() -> int:
    """Compute something."""
    return 0


def consistent(cache: Cache[Any, Any]) -> None:
    """Check what always holds of a cache without weights."""
    lru = cache._store.lru
    assert lru.weight == len(lru.entries) == len(cache)
    assert lru.maxsize is None or lru.weight <= lru.maxsize
    assert all(key is entry.key for key, entry in lru.entries.items())
    assert all(it.state != "running" for it in cache._store.flights.values())


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("filled", [0, 1])
def test_unhashable_keys(operation: str, filled: int) -> None:
    """They are a TypeError, as in a dict, and nothing changes."""
    cache: Cache[Any, int] = Cache()
    for number in range(filled):
        cache[number] = number
    before = cache.stats()
    with pytest.raises(TypeError, match="unhashable"):
        OPERATIONS[operation](cache, [])

    assert cache.stats() == before
    consistent(cache)


class Luck:
    """How often hashing and comparing still go well."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error
        self.hashes = self.equals = 10**6

    def restore(self) -> None:
        self.hashes = self.equals = 10**6


class Fickle:
    """A key that can't be hashed or compared when luck has run out."""

    def __init__(self, luck: Luck) -> None:
        self.luck = luck

    def __hash__(self) -> int:
        self.luck.hashes -= 1
        if self.luck.hashes < 0:
            raise self.luck.error("hash")
        return 1

    def __eq__(self, other: object) -> bool:
        self.luck.equals -= 1
        if self.luck.equals < 0:
            raise self.luck.error("eq")
        return isinstance(other, Fickle)


PARTS = ["hashes", "equals"]
ERRORS = [KeyError, ZeroDivisionError]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("stored", [1, "fickle"], ids=["missing", "there"])
def test_keys_that_raise(
    operation: str, error: type[Exception], part: str, stored: object
) -> None:
    """The user gets their own error, and nothing changes."""
    luck = Luck(error)
    cache: Cache[Any, int] = Cache(2)
    cache["old"] = 1
    cache[Fickle(luck) if stored == "fickle" else 1] = 2  # of the same hash
    before, stats = cache.snapshot(), cache.stats()
    setattr(luck, part, 0)
    with pytest.raises(error, match=r"hash|eq"):
        OPERATIONS[operation](cache, Fickle(luck))
    luck.restore()

    assert cache.snapshot() == before
    assert cache.stats() == stats
    consistent(cache)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("stored", [1, "fickle"], ids=["missing", "there"])
def test_keys_that_raise_later(
    operation: str, error: type[Exception], part: str, stored: object, unraisable: Any
) -> None:
    """Whichever hash or comparison raises, the cache is whole, and usable."""
    for n in range(1, 30):
        luck = Luck(error)
        cache: Cache[Any, int] = Cache(2)
        cache["old"] = 1
        cache[Fickle(luck) if stored == "fickle" else 1] = 2
        key = Fickle(luck)
        setattr(luck, part, n)
        raised = outcome(lambda c=cache, k=key: OPERATIONS[operation](c, k))
        luck.restore()
        consistent(cache)
        assert cache.get_or_compute(key, lambda: 6) in {0, 2, 5, 6}
        consistent(cache)
        if raised not in {"hash", "eq"}:
            return
    raise AssertionError("it asks for ever")


def outcome(call: Callable[[], object]) -> object:
    """Return the argument of what *call* raises, None for nothing."""
    try:
        call()
    except (KeyError, ZeroDivisionError) as error:
        return error.args[0]
    return None


@pytest.mark.parametrize("part", PARTS)
def test_a_computation_whose_key_breaks(part: str, calls) -> None:
    """The error goes to who computed; those who waited compute by themselves."""
    cache: Cache[Any, int] = Cache()
    cache[1] = 1
    luck, gate = Luck(ZeroDivisionError), calls.gate()
    key = Fickle(luck)

    def compute() -> int:
        setattr(luck, part, 0)
        return 5

    first = calls.lead("thread", cache, key, compute, gate)
    (flight,) = cache._store.flights.values()
    gate.open()
    with pytest.raises(ZeroDivisionError):
        first.result()
    assert flight.state != "running"
    luck.restore()

    assert cache.get_or_compute(key, lambda: 6) == 6
    consistent(cache)


def test_equal_keys_are_one() -> None:
    """The first one is kept, as in a dict."""
    cache: Cache[float, str] = Cache()
    cache[1] = "a"
    cache[1.0] = "b"
    cache[True] = "c"

    assert cache.snapshot() == {1: "c"}
    assert [type(key) for key in cache] == [int]


def test_a_key_that_is_not_equal_to_itself() -> None:
    """NaN is found again if it is the same object, as in a dict."""
    cache: Cache[float, str] = Cache()
    nan = float("nan")
    cache[nan] = "a"
    cache[float("nan")] = "b"

    assert cache[nan] == "a"
    assert len(cache) == 2
