"""What could go wrong where a computation is abandoned, and somebody else leads it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from concutil import Cache
from concutil._cache import asking, flights, store
from concutil._cache.flights import Flight
from concutil._cache.lead import Lead
from concutil._cache.store import Store
from concutil._core.lru import Entry
from concutil._core.waits import Step
from instruments.battery import Call, Plan, Subject, exhaust_one, hold
from instruments.cache_subjects import unlogged

# --- whoever has waited for a computation that came to its end computes nothing


class Shared(Subject, targets=(asking, flights), around=unlogged, alphabet=("ask",)):
    """A cache that keeps nothing: whoever misses the end of a flight finds nothing."""

    def __init__(self) -> None:
        self.cache: Cache[str, int] = Cache(0)

    def ask(self) -> None:
        """Get or compute the one key."""
        contextvars.Context().run(self.cache.get_or_compute, "a", self.compute)

    def compute(self) -> int:
        """Take a while."""
        hold()
        return 1

    def settled(self) -> None:
        assert not self.cache._store.flights

    def check(self, calls: Sequence[Call]) -> None:
        stats = self.cache.stats()
        assert stats.computes + stats.joins == len(calls)


@pytest.mark.slow
def test_who_joined_does_not_compute() -> None:
    """Not even if the flight ends between two looks of who is about to wait for it."""
    plan: Plan = (("ask",), ("ask",))
    exhaust_one(Shared, plan, bound=2, held=0.0, grain="line")


def test_who_comes_late_to_take_over(calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finds what somebody else has computed meanwhile, though it was not kept."""
    cache: Cache[str, int] = Cache(0)
    begin, gate = Store.begin, calls.gate()

    def late(self: Store, key: object, again: Flight | None = None) -> Any:
        if again is not None:
            monkeypatch.undo()
            compute = partial(cache.get_or_compute, "a", lambda: 2)
            assert contextvars.Context().run(compute) == 2
        return begin(self, key, again)

    monkeypatch.setattr(Store, "begin", late)
    first = calls.lead("asyncio", cache, "a", lambda: 1, gate)
    second = calls.join("thread", cache, "a", lambda: 3)
    first.cancel()

    assert second.result() == 2
    assert cache.stats().computes == 2


# --- whoever is told to look again is told as often as there was something to tell


class Known:
    """Stands for who waits, and counts how often it was woken."""

    def __init__(self) -> None:
        self.times = 0

    def wake(self) -> bool:
        """Count it."""
        self.times += 1
        return True


class Abandoned(
    Subject,
    targets=(store,),
    around=unlogged,
    alphabet=("end", "look", "leave"),
):
    """A flight for which two wait, of whom one leaves as it is to take over."""

    def __init__(self) -> None:
        self.keeper = Cache[str, int]()._store
        lead, flight = self.keeper.begin("a"), self.keeper.begin("a")
        assert isinstance(lead, Lead)
        assert isinstance(flight, Flight)
        self.lead, self.flight = lead, flight
        self.line = flight.line("threads")
        self.first, self.second = Known(), Known()
        self.line.update({self.first: None, self.second: None})

    def end(self) -> None:
        """End what is computed as Ctrl-C does."""
        with suppress(KeyboardInterrupt), self.lead:
            raise KeyboardInterrupt

    def look(self) -> None:
        """Use the cache for something else."""
        if self.keeper.undone:
            self.keeper.settle(wait=True)

    def leave(self) -> None:
        """Do what `_waited` does at its end."""
        self.line.pop(self.first)
        if self.flight.state == "abandoned":
            self.keeper.undone[partial(self.keeper.told, self.flight)] = None
            self.keeper.settle(wait=False)

    def settled(self) -> None:
        assert not self.keeper.undone

    def check(self, calls: Sequence[Call]) -> None:
        assert self.second.times, "nobody has woken the one who still waits"


@pytest.mark.slow
def test_who_is_woken_by_two_and_leaves() -> None:
    """The other is woken then: neither of the two takes that for what it has done."""
    plan: Plan = (("end",), ("look",), ("leave",))
    exhaust_one(Abandoned, plan, bound=2, held=0.0, grain="line")


# --- a lead that came to nothing ends late: its error's traceback keeps it alive


def led(keeper: Store, key: object = "a") -> tuple[Lead, Flight]:
    """Return the lead of a new flight, and that."""
    lead, flight = keeper.begin(key), keeper.begin(key)
    assert isinstance(lead, Lead)
    assert isinstance(flight, Flight)
    return lead, flight


def abandoned(keeper: Store, key: object = "a") -> tuple[Flight, Known]:
    """Return a flight that nobody leads, and who waits for it."""
    lead, flight = led(keeper, key)
    waiting = Known()
    flight.line("threads")[waiting] = None
    with suppress(KeyboardInterrupt), lead:
        raise KeyboardInterrupt
    return flight, waiting


def test_a_lead_that_was_not_taken_ends_when_another_leads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C as somebody takes over: letting go of it takes nothing from the next."""
    keeper = Cache[str, int]()._store
    flight, _ = abandoned(keeper)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Flight, "pass_on", stop)
        with pytest.raises(KeyboardInterrupt) as caught:
            keeper.begin("a")
    assert caught.value.__traceback__ is not None  # which has the first lead
    _, same = led(keeper)
    del caught
    gc.collect()

    assert same is flight
    assert keeper.begin("a") is flight, "a second one computes"


# --- what can't be done yet keeps nobody from doing the rest


class Key:
    """A key that calls *then* when it is compared, once."""

    def __init__(self, then: Callable[[], object]) -> None:
        self._then: list[Callable[[], object]] = [then]

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        if self._then:
            self._then.pop()()
        return self is other


def test_removal_that_has_to_wait_holds_up_nobody() -> None:
    """The collector ends a computation where a removal is to come first."""
    cache: Cache[object, int] = Cache()
    keeper = cache._store
    lead, flight = led(keeper)
    waiting = Known()
    flight.line("threads")[waiting] = None

    def end() -> None:
        cache.invalidate("b")
        with suppress(GeneratorExit), lead:
            raise GeneratorExit
        woken.append(waiting.times)

    woken: list[int] = []
    cache[Key(end)] = 1
    cache.peek(1)

    assert woken == [1]


@pytest.mark.parametrize("use", ["peek", "invalidate", "set"])
def test_removal_by_a_key_that_fails(use: str) -> None:
    """What a finalizer removes goes, though the work that it came upon has failed."""
    cache: Cache[object, int] = Cache()

    def end() -> None:
        cache.invalidate("b")
        raise ArithmeticError

    cache["b"] = 1
    cache[Key(end)] = 1
    with pytest.raises(ArithmeticError):
        getattr(cache, use)(1, *[2] * (use == "set"))

    assert len(cache) == 1


def test_flight_that_is_being_taken_over_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The collector ends the last who waits for it in just that moment."""
    cache: Cache[str, int] = Cache()
    keeper = cache._store

    async def lead_and_look(waiting: Coroutine[Any, Any, int]) -> bool:
        with suppress(asyncio.CancelledError):
            await cache.aget_or_compute("a", forever)

        def step_here(key: object) -> Step:
            waiting.close()
            return flights.step_here(key)

        monkeypatch.setattr(store, "step_here", step_here)
        lead = keeper.begin("a")
        assert isinstance(lead, Lead)
        return isinstance(keeper.begin("a"), Flight)

    async def main() -> bool:
        waiting = cache.aget_or_compute("a", forever)
        leader = asyncio.create_task(lead_and_look(waiting))
        await asyncio.sleep(0)
        waits = asyncio.create_task(waiting)
        await asyncio.sleep(0)
        leader.cancel()
        joined = await leader
        with suppress(RuntimeError):  # it was closed
            await waits
        return joined

    assert asyncio.run(main()), "a second one computes"


async def forever() -> int:
    """Compute until cancelled."""
    await asyncio.Event().wait()
    return 1


# --- a late removal is made once


def test_late_removal_does_not_remove_what_is_set_for_it() -> None:
    """Nor does it go on for ever, if `on_evict` sets another value."""
    told: list[object] = []

    def on_evict(key: object, value: int, cause: str) -> None:
        told.append(key)
        if len(told) < 10:
            cache[key] = value + 1

    cache: Cache[object, int] = Cache(on_evict=on_evict)
    cache["b"] = 1
    cache[Key(lambda: cache.invalidate("b"))] = 1
    cache.peek(1)

    assert told == ["b"]
    assert cache["b"] == 2


def test_late_removal_that_two_are_at(unraisable: list[Any]) -> None:
    """The second does nothing: what it would remove may have been set since."""
    told: list[object] = []
    cache: Cache[object, int] = Cache(on_evict=lambda *it: told.append(it))
    keeper, lock = cache._store, cache._store._lock
    cache["b"] = 1

    class Busy:
        """A lock that one has to wait for, while another thread removes what is due."""

        def __enter__(self) -> None:
            keeper._lock = lock
            keeper.settle(wait=True)
            cache["b"] = 2
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()

    with lock:
        cache.invalidate("b")
    keeper._lock = Busy()  # type: ignore[assignment]  # it does what is asked of it
    keeper.settle(wait=True)

    assert cache["b"] == 2
    assert told == [("b", 1, "removed")]
    assert not unraisable


def test_key_that_removes_another_whenever_it_is_compared() -> None:
    """What isn't there is not removed: or each removal would ask for the next."""
    cache: Cache[object, int] = Cache()
    compared: list[object] = []

    class Weak:
        """A key that has another one removed, which is of no use any more."""

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            if not looks and len(compared) < 50:
                compared.append(other)
                looks.append(True)
                cache.invalidate(dead)
                looks.pop()
            return self is other

    looks: list[bool] = []
    dead = Weak()
    cache[Weak()] = 1
    cache.peek(dead)
    assert len(compared) == 1

    cache[dead] = 1
    cache.peek(dead)
    assert len(cache) == 1


def test_late_clear_removes_what_was_there_then() -> None:
    """What is set afterwards stays, whenever the rest goes."""
    cache: Cache[object, int] = Cache()
    cache["b"] = 1
    with cache._store._lock:
        cache.clear()
        cache._store.lru.place(Entry("c", 2), 0.0, [])
    cache._store.settle(wait=True)
    assert cache.snapshot() == {"c": 2}


def test_clear_comes_with_what_was_left_undone() -> None:
    """As any other use of the cache does."""
    cache: Cache[object, int] = Cache()
    cache["b"] = 1
    with cache._store._lock:
        cache.invalidate("b")
    cache.clear()
    assert not cache._store.undone
