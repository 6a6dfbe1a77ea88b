"""A value past its time stands in for the next one, while that is computed."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest

from concutil import Cache
from concutil.events import CacheRefreshFailed
from concutil.testing import ManualClock

WORLDS = ["thread", "asyncio", "trio"]


class Aging:
    """A cache with a value of "old", fresh for 10 seconds and stale for 5 more."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.gone: list[tuple[str, str, str]] = []
        self.cache: Cache[str, str] = Cache(
            ttl=10,
            stale=5,
            name="aging",
            clock=self.clock,
            on_evict=lambda *it: self.gone.append(it),
        )
        self.cache["a"] = "old"


@pytest.fixture
def aging() -> Aging:
    """Return a cache with an old value."""
    return Aging()


def fail() -> str:
    """Fail."""
    raise ZeroDivisionError


@pytest.mark.parametrize(("leader", "waiter"), list(product(WORLDS, WORLDS)))
def test_one_refreshes_and_others_get_the_old(
    leader: str, waiter: str, calls, aging: Aging
) -> None:
    """Nobody waits but who computes; when that is done, all get the new value."""
    cache, gate = aging.cache, calls.gate()
    aging.clock.advance(10)
    refresher = calls.lead(leader, cache, "a", lambda: "new", gate)
    for _ in range(2):
        assert calls.start(waiter, cache, "a", lambda: "no").result() == "old"
    gate.open()
    assert refresher.result() == "new"

    assert calls.start(waiter, cache, "a", lambda: "no").result() == "new"
    stats = cache.stats()
    assert (stats.computes, stats.joins, stats.hits, stats.misses) == (1, 0, 3, 1)
    assert aging.gone == [("a", "old", "replaced")]


def test_only_computing_callers_see_what_is_stale(aging: Aging) -> None:
    """`get`, `in`, `[]`, `peek`, iteration and snapshots see fresh values alone."""
    cache = aging.cache
    aging.clock.advance(10)

    assert cache.get("a") is None
    assert cache.peek("a") is None
    assert "a" not in cache
    assert list(cache) == []
    assert cache.snapshot() == {}
    with pytest.raises(KeyError):
        cache["a"]
    assert cache.invalidate("a") == 0
    assert aging.gone == [("a", "old", "removed")]


def test_the_new_value_has_its_whole_time(aging: Aging) -> None:
    """It counts from when it is stored."""
    cache = aging.cache
    aging.clock.advance(14)
    assert cache.get_or_compute("a", lambda: "new") == "new"
    aging.clock.advance(9)

    assert cache["a"] == "new"


@pytest.mark.parametrize("world", WORLDS)
def test_a_failed_refresh(world: str, calls, seen, aging: Aging) -> None:
    """It returns the old value and is told of; the next caller tries again."""
    cache = aging.cache
    aging.clock.advance(10)
    assert calls.start(world, cache, "a", fail).result() == "old"
    assert cache.stats().failures == 1
    (event,) = seen
    assert isinstance(event, CacheRefreshFailed)
    assert (event.cache, event.key) == ("aging", "a")
    assert isinstance(event.error, ZeroDivisionError)

    assert calls.start(world, cache, "a", fail).result() == "old"
    assert calls.start(world, cache, "a", lambda: "new").result() == "new"
    assert len(seen) == 2


@pytest.mark.parametrize("world", WORLDS)
def test_too_old_to_stand_in(world: str, calls, seen, aging: Aging) -> None:
    """After ttl and stale are over, an error is an error, and others wait."""
    cache, gate = aging.cache, calls.gate()
    aging.clock.advance(15)
    made = [calls.lead(world, cache, "a", fail, gate)]
    made.append(calls.join(world, cache, "a", lambda: "no"))
    gate.open()
    for call in made:
        with pytest.raises(ZeroDivisionError):
            call.result()

    assert seen == []
    assert cache.get_or_compute("a", lambda: "new") == "new"
    assert aging.gone == [("a", "old", "expired")]


@pytest.mark.parametrize("world", WORLDS)
def test_it_gets_too_old_meanwhile(world: str, calls, seen, aging: Aging) -> None:
    """Who asks then waits; a failure after that time is an error for everybody."""
    cache, gate = aging.cache, calls.gate()
    aging.clock.advance(10)
    made = [calls.lead(world, cache, "a", fail, gate)]
    aging.clock.advance(5)
    made += [calls.join(it, cache, "a", lambda: "no") for it in WORLDS]
    gate.open()
    for call in made:
        with pytest.raises(ZeroDivisionError):
            call.result()

    assert seen == []
    assert cache.stats().joins == 3


@pytest.mark.parametrize("world", WORLDS)
def test_a_late_waiter_gets_what_is_computed(world: str, calls, aging: Aging) -> None:
    """Who came when it was too old, and waited, gets the new value."""
    cache, gate = aging.cache, calls.gate()
    aging.clock.advance(10)
    calls.lead(world, cache, "a", lambda: "new", gate)
    aging.clock.advance(5)
    late = calls.join("thread", cache, "a", lambda: "no")
    gate.open()

    assert late.result() == "new"


@pytest.mark.parametrize("change", ["invalidate", "clear", "set"])
@pytest.mark.parametrize("world", WORLDS)
def test_removed_meanwhile(change: str, world: str, calls, seen, aging: Aging) -> None:
    """What was removed stands in for nothing: then a failed refresh is an error."""
    cache, gate = aging.cache, calls.gate()
    aging.clock.advance(10)
    refresher = calls.lead(world, cache, "a", fail, gate)
    if change == "set":
        cache["a"] = "set"
    elif change == "clear":
        cache.clear()
    else:
        cache.invalidate("a")
    gate.open()
    with pytest.raises(ZeroDivisionError):
        refresher.result()

    assert seen == []
    assert cache.get("a") == ("set" if change == "set" else None)


@pytest.mark.parametrize("world", WORLDS)
def test_removed_meanwhile_and_refreshed(world: str, calls, aging: Aging) -> None:
    """The new value goes to who computed it, and is not stored."""
    cache, gate = aging.cache, calls.gate()
    aging.clock.advance(10)
    refresher = calls.lead(world, cache, "a", lambda: "new", gate)
    cache.invalidate("a")
    assert cache.get_or_compute("a", lambda: "newer") == "newer"
    gate.open()

    assert refresher.result() == "new"
    assert cache["a"] == "newer"


@pytest.mark.parametrize("leader", ["asyncio", "trio"])
def test_a_cancelled_refresh(leader: str, calls, seen, aging: Aging) -> None:
    """It is no failure; the next caller refreshes."""
    cache, gate = aging.cache, calls.gate()
    aging.clock.advance(10)
    calls.lead(leader, cache, "a", lambda: "no", gate).cancel()

    assert seen == []
    assert cache.stats().failures == 0
    assert cache.get_or_compute("a", lambda: "new") == "new"


def test_ctrl_c_in_a_refresh(aging: Aging) -> None:
    """It goes through, and the old value is still there."""
    aging.clock.advance(10)

    def interrupted() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        aging.cache.get_or_compute("a", interrupted)
    assert aging.cache.get_or_compute("a", fail) == "old"


def test_a_refresh_that_asks_for_its_own_key(aging: Aging) -> None:
    """It gets the old value: there is something to return, so nobody waits."""
    cache = aging.cache
    aging.clock.advance(10)

    def compute() -> str:
        return cache.get_or_compute("a", fail) + " and new"

    assert cache.get_or_compute("a", compute) == "old and new"


def test_a_stale_value_counts_as_used(aging: Aging) -> None:
    """Serving it saves it from eviction, as any use does."""
    clock = ManualClock()
    cache: Cache[str, str] = Cache(2, ttl=10, stale=5, clock=clock)
    cache["a"] = cache["b"] = "old"
    clock.advance(10)

    def compute() -> str:
        assert cache.get_or_compute("a", fail) == "old"
        cache.set("c", "new", ttl=None)  # b has to go
        return "new"

    cache.get_or_compute("a", compute)
    assert set(cache._entries) == {"a", "c"}


def test_stale_values_are_held_while_they_are_of_use(aging: Aging) -> None:
    """A newcomer clears away only what is past its stale time as well."""
    cache = aging.cache
    aging.clock.advance(14)
    cache["b"] = "new"
    assert len(cache) == 2
    aging.clock.advance(1)
    cache["c"] = "new"

    assert set(cache._entries) == {"b", "c"}
    assert aging.gone == [("a", "old", "expired")]


def test_expired_at_once_and_stale_for_a_while() -> None:
    """A function of ttl may say 0: each caller refreshes, others get the old value."""
    clock = ManualClock()
    cache: Cache[str, Any] = Cache(ttl=lambda key, value: 0, stale=5, clock=clock)
    assert cache.get_or_compute("a", lambda: 1) == 1

    def compute() -> int:
        assert cache.get_or_compute("a", fail) == 1
        return 2

    assert cache.get_or_compute("a", compute) == 2
    assert cache.get_or_compute("a", fail) == 2


def test_an_async_refresh_that_fails(aging: Aging) -> None:
    """The same for a task: it gets the old value."""
    aging.clock.advance(10)

    async def afail() -> str:
        raise ZeroDivisionError

    assert asyncio.run(aging.cache.aget_or_compute("a", afail)) == "old"
