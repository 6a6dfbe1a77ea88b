"""Who asked for it is told of what is held no longer, when all is done."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from concutil import Cache
from concutil.testing import ManualClock
from patience import threads

WORLDS = ["thread", "asyncio", "trio"]


class Told:
    """A cache of 2 for 10 seconds, and what it has told."""

    def __init__(self) -> None:
        self.gone: list[tuple[str, int, str]] = []
        self.clock = ManualClock()
        self.cache: Cache[str, int] = Cache(
            2, ttl=10, on_evict=lambda *it: self.gone.append(it), clock=self.clock
        )
        self.cache["a"] = 1


@pytest.fixture
def told() -> Told:
    """Return a cache that tells."""
    return Told()


def test_size(told: Told) -> None:
    """Others needed the room."""
    told.cache["b"] = 2
    assert told.gone == []
    told.cache["c"] = 3

    assert told.gone == [("a", 1, "size")]


def test_replaced(told: Told) -> None:
    """Another value of its key came, be it set or equal to the old one."""
    told.cache["a"] = 1

    assert told.gone == [("a", 1, "replaced")]


def test_removed(told: Told) -> None:
    """Somebody asked for that, in whichever way; each is told of once."""
    told.cache["b"] = 2
    del told.cache["a"]
    told.cache.invalidate("a", "b", "b")
    told.cache["c"] = 3
    told.cache["d"] = 4
    told.cache.clear()
    told.cache.clear()

    assert told.gone == [(key, n, "removed") for n, key in enumerate("abcd", 1)]


@pytest.mark.parametrize(
    "cause",
    [
        lambda cache: cache.set("b", 2),
        lambda cache: cache.set("a", 2),
        lambda cache: cache.get_or_compute("a", lambda: 2),
        lambda cache: cache.invalidate("a"),
        lambda cache: cache.clear(),
    ],
    ids=["newcomer", "set", "computed", "invalidate", "clear"],
)
def test_expired(told: Told, cause: Any) -> None:
    """Whatever comes for it in the end, it went because its time was over."""
    told.clock.advance(10)
    cause(told.cache)

    assert told.gone == [("a", 1, "expired")]


def test_looking_evicts_nothing(told: Told) -> None:
    """An expired value goes with the next write, not with a look at it."""
    told.clock.advance(10)
    told.cache.get("a")
    told.cache.peek("a")
    told.cache.snapshot()

    assert told.gone == []


@pytest.mark.parametrize("world", WORLDS)
def test_it_runs_when_all_is_done(world: str, calls) -> None:
    """The new value is there, its flight is over and the lock is free."""
    found: list[Any] = []

    def tell(key: str, value: int, cause: str) -> None:
        if key == "a":
            found.append((cause, cache["b"], dict(cache._store.flights)))
            found.append(cache._store._is_mine())
            found.append(cache.get_or_compute("b", lambda: 5))
            cache.set("b", 6)
            cache.invalidate("b", "x")

    cache: Cache[str, int] = Cache(1, on_evict=tell)
    cache["a"] = 1
    assert calls.start(world, cache, "b", lambda: 2).result() == 2

    assert found == [("size", 2, {}), False, 2]
    assert len(cache) == 0


def test_it_may_compute_what_went() -> None:
    """Computing the very key anew in there is no circle."""
    values: list[int] = []

    def tell(key: str, value: int, cause: str) -> None:
        if key == "a":
            values.append(cache.get_or_compute(key, lambda: value + 1))

    cache: Cache[str, int] = Cache(1, on_evict=tell)
    cache["a"] = 1
    cache.get_or_compute("b", lambda: 2)

    assert values == [2]
    assert cache.snapshot() == {"a": 2}


def test_it_runs_in_the_thread_that_caused_it() -> None:
    """Not in that of whoever had put the value in."""
    idents = []
    cache: Cache[str, int] = Cache(1, on_evict=lambda *_: idents.append(me()))
    cache["a"] = 1

    def other() -> None:
        cache["b"] = 2
        assert idents == [me()]

    with threads(other):
        pass
    assert idents != [me()]


def me() -> int:
    """Return the ident of this thread."""
    return threading.get_ident()


def test_waiters_do_not_wait_for_it(calls) -> None:
    """They get the value before it is told what went."""
    gate = calls.gate()
    waiter: list[Any] = []

    def tell(key: str, value: int, cause: str) -> None:
        assert waiter[0].result() == 2

    cache: Cache[str, int] = Cache(1, on_evict=tell)
    cache["a"] = 1
    first = calls.lead("thread", cache, "b", lambda: 2, gate)
    waiter.append(calls.join("trio", cache, "b", lambda: 3))
    gate.open()

    assert first.result() == 2


def broken(key: str, value: int, cause: str) -> None:
    """Fail."""
    raise ZeroDivisionError


def test_its_errors_do_no_harm(unraisable: list[Any]) -> None:
    """They go to `sys.unraisablehook`, and all who should be told are."""
    cache: Cache[str, int] = Cache(2, on_evict=broken)
    cache["a"], cache["b"] = 1, 2
    cache["c"] = 3
    assert cache.get_or_compute("d", lambda: 4) == 4
    cache.clear()

    assert len(unraisable) == 4
    assert {report.exc_type for report in unraisable} == {ZeroDivisionError}
    assert unraisable[0].err_msg == "Exception ignored in on_evict of a cache"
    assert unraisable[0].object is broken


def test_ctrl_c_in_it_goes_through() -> None:
    """The operation is done all the same."""

    def interrupted(key: str, value: int, cause: str) -> None:
        raise KeyboardInterrupt

    cache: Cache[str, int] = Cache(1, on_evict=interrupted)
    cache["a"] = 1
    with pytest.raises(KeyboardInterrupt):
        cache.get_or_compute("b", lambda: 2)

    assert cache.snapshot() == {"b": 2}
    assert cache._store.flights == {}
    assert cache.stats().failures == 0


def test_what_is_returned_is_ignored() -> None:
    """A function that returns something is as good."""
    cache: Cache[str, int] = Cache(1, on_evict=lambda *it: it)
    cache["a"] = 1
    cache["b"] = 2

    assert list(cache) == ["b"]
