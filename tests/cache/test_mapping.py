"""A cache is used like a dict that is bounded and counts."""

from __future__ import annotations

import copy
import pickle
from operator import add

import pytest

import concutil
from concutil import Cache, CacheStats
from concutil.testing import ManualClock


def filled(maxsize: int | None = 1024, **options: object) -> Cache[str, int]:
    """Return a cache of a to c, c being the latest."""
    cache: Cache[str, int] = Cache(maxsize, **options)  # type: ignore[arg-type]  # any
    for number, key in enumerate("abc"):
        cache[key] = number
    return cache


def test_items() -> None:
    """An item is set, read, replaced and deleted; a missing one is a KeyError."""
    cache: Cache[str, int | None] = Cache()
    cache["a"] = 1
    assert cache["a"] == 1
    cache["a"] = None
    assert cache["a"] is None
    del cache["a"]

    with pytest.raises(KeyError) as missing:
        cache["a"]
    assert missing.value.args == ("a",)
    with pytest.raises(KeyError) as missing:
        del cache["a"]
    assert missing.value.args == ("a",)


def test_get_and_peek() -> None:
    """Both return the value, or the default, None if left out."""
    cache = filled()

    assert (cache.get("b"), cache.get("x"), cache.get("x", 5)) == (1, None, 5)
    assert (cache.peek("b"), cache.peek("x"), cache.peek("x", 5)) == (1, None, 5)
    assert cache.get("b", 5) == cache.peek("b", 5) == 1


def test_none_is_a_value() -> None:
    """None is stored, found and never computed again."""
    cache: Cache[str, int | None] = Cache()

    assert cache.get_or_compute("a", lambda: None) is None
    assert cache.get_or_compute("a", lambda: 1) is None
    assert "a" in cache
    assert cache.get("a", 5) is None
    assert cache.peek("a", 5) is None
    assert cache.stats().computes == 1


def test_in_len_iter_and_bool() -> None:
    """What is held counts; a cache is true even if it is empty."""
    cache = filled()

    assert "a" in cache
    assert "x" not in cache
    assert len(cache) == 3
    assert list(cache) == ["a", "b", "c"]
    cache.clear()
    assert len(cache) == 0
    assert list(cache) == []
    assert bool(cache) is True


def test_iteration_is_over_a_snapshot() -> None:
    """What changes meanwhile doesn't disturb it."""
    cache = filled()
    for key in cache:
        del cache[key]
        cache[key.upper()] = 5

    assert list(cache) == ["A", "B", "C"]


def test_a_snapshot_is_a_copy_in_the_order_of_use() -> None:
    """The least recently used comes first; changing it changes no cache."""
    cache = filled()
    cache.get("a")
    snapshot = cache.snapshot()
    assert list(snapshot.items()) == [("b", 1), ("c", 2), ("a", 0)]
    snapshot.clear()

    assert len(cache) == 3


@pytest.mark.parametrize(
    "use",
    [
        lambda cache: cache.get("a"),
        lambda cache: cache["a"],
        lambda cache: cache.get_or_compute("a", int),
        lambda cache: cache.set("a", 5),
    ],
    ids=["get", "[]", "get_or_compute", "set"],
)
def test_a_use_saves_from_eviction(use) -> None:
    """The one that goes is the one whose last use is the longest ago."""
    cache = filled(3)
    use(cache)
    cache["d"] = 3

    assert list(cache) == ["c", "a", "d"]


def test_peek_and_in_move_and_count_nothing() -> None:
    """Looking is not using."""
    cache = filled(3)
    before = cache.stats()
    assert cache.peek("a") == 0
    assert "a" in cache
    assert cache.peek("x") is None
    assert "x" not in cache
    assert cache.stats() == before
    cache["d"] = 3

    assert list(cache) == ["b", "c", "d"]


def test_invalidate_counts_what_it_removed() -> None:
    """Unknown keys do no harm, and no keys at all are none removed."""
    cache = filled()

    assert cache.invalidate("a", "x", "c", "a") == 2
    assert cache.invalidate() == 0
    assert list(cache) == ["b"]


def test_clear_leaves_the_numbers() -> None:
    """A cleared cache goes on counting, and is as usable as a new one."""
    cache = filled(3)
    cache.get("a")
    cache.get("x")
    cache.clear()
    assert cache.stats() == CacheStats(
        hits=1,
        misses=1,
        computes=0,
        joins=0,
        failures=0,
        evictions=0,
        size=0,
        maxsize=3,
    )
    cache["a"] = 1

    assert cache.snapshot() == {"a": 1}


def test_stats() -> None:
    """Each number counts what its name says."""
    cache = filled(3)
    cache.get("a")
    cache["b"]
    cache.get("x")
    with pytest.raises(KeyError):
        cache["x"]
    cache.get_or_compute("a", int)
    cache.get_or_compute("d", int)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_compute("e", lambda: 1 // 0)

    assert cache.stats() == CacheStats(
        hits=3,
        misses=4,
        computes=2,
        joins=0,
        failures=1,
        evictions=1,
        size=3,
        maxsize=3,
    )


def test_writes_and_sorting_count_as_no_hits() -> None:
    """However often entries come and go, only what was found counts as a hit."""
    cache: Cache[int, int] = Cache(50)
    for number in range(200):
        cache[number] = number
    for number in range(150, 200):
        cache.get(number)
    for number in range(30):
        cache[number] = number

    assert cache.stats().hits == 50
    assert cache.stats().evictions == 180


def test_the_repr_helps() -> None:
    """It tells the name, how full it is and how much is being computed."""
    cache = filled(3, name="users")
    assert repr(cache) == "<Cache 'users' 3 of 3: 0 being computed>"
    inside: list[str] = []
    cache.get_or_compute("d", lambda: inside.append(repr(cache)) or 1)

    assert inside == ["<Cache 'users' 3 of 3: 1 being computed>"]
    assert repr(Cache(None)) == "<Cache 0: 0 being computed>"


def test_its_home_is_the_package() -> None:
    """Users see it where they import it from."""
    assert Cache.__module__ == "concutil"
    assert concutil.Cache is Cache
    with pytest.raises(AttributeError):
        Cache().size = 5  # type: ignore[attr-defined]  # that is the point


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda cache: pickle.loads(pickle.dumps(cache))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_is_empty_with_the_same_options(copied) -> None:
    """Options go along; values, numbers and computations stay behind."""
    cache = filled(5, ttl=10, stale=5, weigh=add_weights, name="users")
    again = copied(cache)
    assert again is not cache
    assert repr(again) == "<Cache 'users' 0 of 5: 0 being computed>"
    assert again.stats().hits == 0
    again["a"] = 5
    again["b"] = 1

    assert again.snapshot() == {"b": 1}, "weigh and maxsize are those of the original"
    assert cache.snapshot() == {"a": 0, "b": 1, "c": 2}


def add_weights(_: str, value: int) -> int:
    """Weigh what the value says."""
    return add(value, 0)


def test_a_copy_shares_the_clock() -> None:
    """A copy expires by the same clock."""
    clock = ManualClock()
    again = copy.copy(Cache[str, int](ttl=10, clock=clock))
    again["a"] = 1
    clock.advance(10)

    assert "a" not in again


def test_copies_of_a_copy() -> None:
    """A cache with the options left out can be copied again and again."""
    again = copy.copy(copy.copy(Cache[str, int]()))

    assert again.stats().maxsize == 1024
