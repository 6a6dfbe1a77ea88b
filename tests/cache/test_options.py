"""Wrong arguments are refused when the cache is made, or used with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from concutil import Cache
from concutil.testing import ManualClock

NAN = float("nan")
INFINITE = float("inf")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"maxsize": -1}, ValueError, "maxsize must be a whole number of at least 0"),
        ({"maxsize": 1.5}, TypeError, "maxsize must be"),
        ({"maxsize": True}, TypeError, "maxsize must be"),
        ({"maxsize": "10"}, TypeError, "maxsize must be"),
        ({"maxsize": print}, TypeError, "maxsize must be"),
        ({"ttl": 0}, ValueError, "ttl must be a finite number of seconds above 0"),
        ({"ttl": -1}, ValueError, "ttl must be"),
        ({"ttl": NAN}, ValueError, "ttl must be"),
        ({"ttl": INFINITE}, ValueError, "ttl must be"),
        ({"ttl": "10"}, TypeError, "ttl must be"),
        ({"ttl": True}, TypeError, "ttl must be"),
        ({"ttl": timedelta(0)}, ValueError, "ttl must be"),
        ({"ttl": ...}, TypeError, "ttl must be"),
        ({"stale": 5}, ValueError, "stale= needs ttl="),
        ({"ttl": 5, "stale": 0}, ValueError, "stale must be"),
        ({"ttl": 5, "stale": -1}, ValueError, "stale must be"),
        ({"ttl": 5, "stale": NAN}, ValueError, "stale must be"),
        ({"ttl": 5, "stale": "5"}, TypeError, "stale must be"),
        ({"ttl": 5, "stale": print}, TypeError, "stale must be"),
        ({"weigh": 5}, TypeError, "weigh must be a function, or None"),
        ({"on_evict": 5}, TypeError, "on_evict must be a function, or None"),
        ({"name": ""}, ValueError, "name must be"),
        ({"name": 5}, TypeError, "name must be"),
        ({"clock": object()}, TypeError, "clock must have the methods"),
    ],
)
def test_wrong_options(options: Any, error: type[Exception], message: str) -> None:
    """What is out of range is a ValueError, what is no such thing a TypeError."""
    with pytest.raises(error, match=message):
        Cache(**options)


class Whole:
    """A whole number as numpy has them."""

    def __index__(self) -> int:
        return 2


@pytest.mark.parametrize("maxsize", [2, Whole()])
def test_a_whole_number_is_anything_with_index(maxsize: Any) -> None:
    """The bound may be any kind of int."""
    cache: Cache[int, int] = Cache(maxsize)
    for number in range(3):
        cache[number] = number

    assert list(cache) == [1, 2]


@pytest.mark.parametrize("ttl", [timedelta(seconds=5), 5, 5.0, Whole()])
@pytest.mark.parametrize("where", ["cache", "set", "compute"])
def test_times_are_seconds_or_timedeltas(ttl: Any, where: str) -> None:
    """Each place takes each kind of time."""
    clock = ManualClock()
    cache: Cache[str, int] = Cache(ttl=ttl if where == "cache" else None, clock=clock)
    if where == "cache":
        cache["a"] = 1
    elif where == "set":
        cache.set("a", 1, ttl=ttl)
    else:
        cache.get_or_compute("a", lambda: 1, ttl=ttl)
    clock.advance(1.9)
    assert "a" in cache
    clock.advance(3.2)
    assert "a" not in cache


@pytest.mark.parametrize("ttl", [0, -1, NAN, "5", True])
def test_a_wrong_ttl_of_one_value_changes_nothing(ttl: Any) -> None:
    """Given to `set` it is refused, and the old value stays."""
    cache: Cache[str, int] = Cache()
    cache["a"] = 1
    with pytest.raises((TypeError, ValueError), match="ttl must be"):
        cache.set("a", 2, ttl=ttl)

    assert cache.snapshot() == {"a": 1}


@pytest.mark.parametrize(
    ("ttl", "error"), [("5", TypeError), (NAN, ValueError), (True, TypeError)]
)
def test_what_a_ttl_function_returns_is_checked(ttl: Any, error: Any) -> None:
    """A function that returns no time is told so, and nothing is stored."""
    cache: Cache[str, int] = Cache(ttl=lambda key, value: ttl)
    with pytest.raises(error, match=r"ttl\(key, value\) must be"):
        cache["a"] = 1
    with pytest.raises(error, match=r"ttl\(key, value\) must be"):
        cache.get_or_compute("a", lambda: 1)

    assert len(cache) == 0


@pytest.mark.parametrize(
    ("weight", "error"),
    [(-1, ValueError), (1.5, TypeError), (None, TypeError), (True, TypeError)],
)
def test_what_weigh_returns_is_checked(weight: Any, error: Any) -> None:
    """A function that returns no weight is told so, and nothing is stored."""
    cache: Cache[str, int] = Cache(weigh=lambda key, value: weight)
    with pytest.raises(error, match=r"weigh\(key, value\) must be"):
        cache["a"] = 1
    with pytest.raises(error, match=r"weigh\(key, value\) must be"):
        cache.get_or_compute("a", lambda: 1)

    assert len(cache) == 0
