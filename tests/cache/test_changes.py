"""What is set or removed meanwhile beats what is being computed."""

from __future__ import annotations

import threading
from itertools import product

import pytest

from concutil import Cache
from patience import threads

WORLDS = ["thread", "asyncio", "trio"]


def delete(cache: Cache[str, str]) -> None:
    """Delete a key that only is being computed."""
    with pytest.raises(KeyError):
        del cache["a"]


CHANGES = {
    "set": lambda cache: cache.set("a", "set"),
    "[]=": lambda cache: cache.__setitem__("a", "set"),
    "set, too heavy": lambda cache: cache.set("a", "much too heavy"),
    "invalidate": lambda cache: cache.invalidate("x", "a"),
    "del": delete,
    "clear": lambda cache: cache.clear(),
}
LEFT = {"set": "set", "[]=": "set"}


def weighed() -> Cache[str, str]:
    """Return a cache whose values weigh what they are long."""
    return Cache(5, weigh=lambda key, value: len(value))


@pytest.mark.parametrize(("change", "world"), list(product(CHANGES, WORLDS)))
def test_those_who_asked_before_get_the_value(change: str, world: str, calls) -> None:
    """It goes to them as if nothing had happened, and is not stored."""
    cache, gate = weighed(), calls.gate()
    first = calls.lead(world, cache, "a", lambda: "old", gate)
    made = [first] + [calls.join(it, cache, "a", lambda: "no") for it in WORLDS]
    CHANGES[change](cache)
    assert cache.peek("a") == LEFT.get(change)
    gate.open()

    assert [call.result() for call in made] == ["old"] * 4
    assert cache.peek("a") == LEFT.get(change)
    assert cache.stats().size == len(LEFT.get(change, ""))


@pytest.mark.parametrize("change", ["set, too heavy", "invalidate", "del", "clear"])
@pytest.mark.parametrize("world", WORLDS)
def test_who_asks_afterwards_computes_anew(change: str, world: str, calls) -> None:
    """The new value is stored, whichever of the two is ready first."""
    for old_first in (True, False):
        cache, old_gate, new_gate = weighed(), calls.gate(), calls.gate()
        old = calls.lead("thread", cache, "a", lambda: "old", old_gate)
        CHANGES[change](cache)
        new = calls.lead(world, cache, "a", lambda: "new", new_gate)
        joined = calls.join("thread", cache, "a", lambda: "no")
        first, second = (old, new) if old_first else (new, old)
        for call in (first, second):
            (old_gate if call is old else new_gate).open()
            call.join()

        assert (old.result(), new.result(), joined.result()) == ("old", "new", "new")
        assert cache.snapshot() == {"a": "new"}
        assert cache._store.flights == {}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("how", ["fails", "is cancelled"])
def test_the_end_of_the_old_one_changes_nothing(change: str, how: str, calls) -> None:
    """Whether it fails or is cancelled, what came after it stays."""
    cache, gate, new_gate = weighed(), calls.gate(), calls.gate()
    old = calls.lead("trio", cache, "a", lambda: 1 // 0, gate)
    CHANGES[change](cache)
    new = None
    if change not in LEFT:
        new = calls.lead("thread", cache, "a", lambda: "new", new_gate)
    if how == "fails":
        gate.open()
        with pytest.raises(ZeroDivisionError):
            old.result()
    else:
        old.cancel()
    if new is None:
        assert cache["a"] == "set"
    else:
        assert "a" in cache._store.flights, "the new one goes on"
        new_gate.open()
        assert new.result() == cache["a"] == "new"


def test_a_waiter_of_a_cancelled_old_one(calls) -> None:
    """It takes what was set meanwhile."""
    cache, gate = weighed(), calls.gate()
    old = calls.lead("asyncio", cache, "a", lambda: "old", gate)
    waiter = calls.join("thread", cache, "a", lambda: "no")
    cache["a"] = "set"
    old.cancel()

    assert waiter.result() == "set"


def test_a_waiter_of_a_cancelled_old_one_joins_the_new_one(calls) -> None:
    """It waits for who computes now, and computes nothing itself."""
    cache, gate, new_gate = weighed(), calls.gate(), calls.gate()
    old = calls.lead("asyncio", cache, "a", lambda: "old", gate)
    waiter = calls.join("thread", cache, "a", lambda: "no")
    cache.invalidate("a")
    new = calls.lead("trio", cache, "a", lambda: "new", new_gate)
    old.cancel()
    new_gate.open()

    assert waiter.result() == new.result() == "new"


def test_a_computation_may_change_its_own_key() -> None:
    """What it sets stays, what it returns goes to its caller."""
    cache = weighed()

    def compute() -> str:
        cache["a"] = "set"
        return "value"

    assert cache.get_or_compute("a", compute) == "value"
    assert cache["a"] == "set"


def test_removing_what_is_being_computed_counts_as_none() -> None:
    """A key that only is being computed is not there."""
    cache = weighed()
    removed = []
    cache.get_or_compute("a", lambda: removed.append(cache.invalidate("a")) or "")

    assert removed == [0]


@pytest.mark.slow
def test_nobody_gets_what_was_removed_before_they_asked() -> None:
    """Under removals from all sides, a value is as new as its key's last removal."""
    cache: Cache[int, int] = Cache(2)
    source = [0, 0, 0]
    removed = [0, 0, 0]  # what the source was when the key was last removed
    stop, errors = threading.Event(), []

    def client() -> None:
        for number in range(1500):
            key = number % 3
            least = removed[key]
            if cache.get_or_compute(key, lambda: source[key]) < least:  # noqa: B023 - called at once
                errors.append(key)

    def remover() -> None:
        while not stop.is_set():
            for key in range(3):
                source[key] += 1
                cache.invalidate(key)
                removed[key] = source[key]

    with threads(remover):
        with threads(client, client):
            pass
        stop.set()

    assert errors == []
    assert source[0] > 10
