"""An abandoned computation goes to one of those who wait, at the cost of one look."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from concutil import Cache, RecursiveComputeError
from concutil._cache.flights import Flight, innermost
from concutil._cache.store import Store
from concutil._core.waits import Step
from insides import waiters_of
from patience import LONG_S, eventually, threads

LOOPS = ["asyncio", "trio"]
WORLDS = ["thread", *LOOPS]


class Forever:
    """What is awaited until it is closed."""

    def __await__(self) -> Generator[None]:
        while True:
            yield


class Abandoned:
    """A computation that can be abandoned in an instant, before anybody else runs."""

    def __init__(self, cache: Cache[str, int]) -> None:
        self._computing = cache.aget_or_compute("a", Forever)
        self._context = contextvars.copy_context()  # or who asks here is a part of it
        self._context.run(self._computing.send, None)
        self.flight = cache._store.flights["a"]

    def now(self, *, here: bool = False) -> None:
        """Abandon it, in its own context or in the one *here*."""
        if here:
            self._computing.close()
        else:
            self._context.run(self._computing.close)


class Asking:
    """Tasks that ask for one key, and compute until they are told to end.

    Attributes:
        led: Who has computed, in that order.
        values: What they got, by number.
    """

    def __init__(self, cache: Cache[str, int], group: Any) -> None:
        self.cache = cache
        self.led: list[int] = []
        self.values: dict[int, int] = {}
        self._group = group
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._end = anyio.Event()

    async def start(self, *numbers: int) -> None:
        """Have tasks of these numbers ask, in that order."""
        for number in numbers:
            self._group.start_soon(self._ask, number)
            await turns()

    async def _ask(self, number: int) -> None:
        async def compute() -> int:
            self.led.append(number)
            await self._end.wait()
            return number

        with anyio.CancelScope() as self._scopes[number]:
            self.values[number] = await self.cache.aget_or_compute("a", compute)

    def cancel(self, *numbers: int) -> None:
        """Cancel these tasks, in that order."""
        for number in numbers:
            self._scopes[number].cancel()

    async def end(self) -> None:
        """Let whoever computes come to an end."""
        self._end.set()
        await turns()


async def turns() -> None:
    """Let all others get where they wait."""
    for _ in range(10):
        await checkpoint()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Flight]:
    """Count how often somebody who has waited looks again."""
    counted: list[Flight] = []
    real = Store.begin

    def begin(self: Store, key: object, again: Flight | None = None) -> Any:
        if again is not None:
            counted.append(again)
        return real(self, key, again)

    monkeypatch.setattr(Store, "begin", begin)
    return counted


# --- how many are woken


class Sleeper:
    """A waiter that is there, or whose loop was closed."""

    def __init__(self, *, there: bool = True) -> None:
        self.there = there
        self.woken = 0

    def wake(self) -> bool:
        self.woken += 1
        return self.there

    def is_leaving(self) -> bool:
        return False

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("state", "woken", "anybody"),
    [
        ("abandoned", [[1, 0, 0], [1, 0]], True),
        ("computed", [[1, 1, 1], [1, 1]], True),
        ("failed", [[1, 1, 1], [1, 1]], True),
        ("running", [[0, 0, 0], [0, 0]], True),
    ],
)
def test_who_is_woken(state: Any, woken: list[list[int]], anybody: bool) -> None:  # noqa: FBT001 - a parameter
    """One of each line if somebody has to lead, and all when there is a value."""
    flight = Flight(Step("a", 0), None)
    sleepers = [[Sleeper() for _ in line] for line in woken]
    for number, line in enumerate(sleepers):
        flight.line(number).update(dict.fromkeys(line))
    flight.state = state

    assert flight.wake() is anybody
    assert [[it.woken for it in line] for line in sleepers] == woken


def test_who_is_passed_over() -> None:
    """Those of a closed loop are, and with nobody else there is nobody."""
    flight = Flight(Step("a", 0), None)
    gone, here, behind = Sleeper(there=False), Sleeper(), Sleeper()
    flight.state = "abandoned"
    assert not flight.wake()
    flight.line("closed")[gone] = None
    assert not flight.wake()
    flight.line("closed").update({here: None, behind: None})
    assert flight.wake()
    assert (gone.woken, here.woken, behind.woken) == (2, 1, 0)
    assert waiters_of(flight) == [gone, here, behind]


@pytest.mark.anyio
async def test_who_waits_for_a_value_is_woken_once() -> None:
    """Neither who leaves before nor who leaves with it wakes the others again."""
    cache: Cache[str, int] = Cache()
    async with anyio.create_task_group() as group:
        asking = Asking(cache, group)
        await asking.start(*range(5))
        other = Sleeper()
        cache._store.flights["a"].line("elsewhere")[other] = None
        asking.cancel(1)
        await turns()
        assert other.woken == 0
        await asking.end()

    assert asking.values == dict.fromkeys((0, 2, 3, 4), 0)
    assert other.woken == 1


@pytest.mark.anyio
async def test_a_chain_of_cancellations(looks: list[Flight]) -> None:
    """Each has one look again: who came first, and nobody else."""
    cache: Cache[str, int] = Cache()
    async with anyio.create_task_group() as group:
        asking = Asking(cache, group)
        await asking.start(*range(20))
        for number in range(20):
            asking.cancel(number)
            await turns()
            assert len(looks) == min(number + 1, 19)

    assert asking.led == list(range(20))
    assert asking.values == {}
    assert cache._store.flights == {}
    stats = cache.stats()
    assert (stats.misses, stats.hits, stats.joins, stats.computes) == (20, 0, 19, 20)


@pytest.mark.anyio
async def test_the_last_of_a_chain(looks: list[Flight]) -> None:
    """Its value goes to all who are left, who never looked again."""
    cache: Cache[str, int] = Cache()
    async with anyio.create_task_group() as group:
        asking = Asking(cache, group)
        await asking.start(*range(10))
        for number in range(5):
            asking.cancel(number)
            await turns()
        await asking.end()

    assert asking.values == dict.fromkeys(range(5, 10), 5)
    assert len(looks) == 5
    assert cache.snapshot() == {"a": 5}
    stats = cache.stats()
    assert (stats.misses, stats.joins, stats.computes) == (10, 9, 6)


@pytest.mark.anyio
@pytest.mark.parametrize("cancelled", range(1, 5))
async def test_who_is_cancelled_as_it_is_woken(cancelled: int) -> None:
    """The next one leads; if there is none, nothing is left."""
    cache: Cache[str, int] = Cache()
    leading = Abandoned(cache)
    async with anyio.create_task_group() as group:
        asking = Asking(cache, group)
        await asking.start(*range(4))
        leading.now()
        asking.cancel(*range(cancelled))
        await asking.end()

    assert asking.values == dict.fromkeys(range(cancelled, 4), cancelled)
    assert cache._store.flights == {}
    assert not waiters_of(leading.flight)


@pytest.mark.anyio
async def test_who_is_cancelled_in_the_middle_of_the_line() -> None:
    """It is as if it had never been there."""
    cache: Cache[str, int] = Cache()
    leading = Abandoned(cache)
    async with anyio.create_task_group() as group:
        asking = Asking(cache, group)
        await asking.start(*range(3))
        asking.cancel(0)
        await turns()
        leading.now()
        await asking.end()

    assert asking.values == {1: 1, 2: 1}


@pytest.mark.anyio
async def test_who_has_taken_over_asks_for_itself() -> None:
    """It is known by then that it computes the key, so that is a circle."""
    cache: Cache[str, int] = Cache()
    leading = Abandoned(cache)

    async def again() -> int:
        return await cache.aget_or_compute("a", again)

    async def ask() -> None:
        with pytest.raises(RecursiveComputeError) as caught:
            await again()
        assert caught.value.keys == ("a",)

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await turns()
        leading.now()
    assert cache._store.flights == {}


def test_who_closes_another_computation() -> None:
    """It is known to compute its own key as before, whatever context the other had."""
    cache: Cache[str, Any] = Cache()
    leading = Abandoned(cache)

    def compute() -> list[Any]:
        computing = [innermost.get()]
        leading.now(here=True)
        return [*computing, innermost.get()]

    before, after = cache.get_or_compute("b", compute)
    assert before.key == "b"
    assert after is before
    assert list(cache) == ["b"]


# --- what comes between the end of who led and the first who looks


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("change", "value", "held"),
    [
        (lambda cache: cache.set("a", 9), 9, {"a": 9}),
        (lambda cache: cache.invalidate("a"), 0, {"a": 0}),
        (lambda cache: cache.clear(), 0, {"a": 0}),
        (lambda cache: cache.set("b", 9), 0, {"b": 9, "a": 0}),
        (lambda cache: cache.get_or_compute("a", lambda: 8), 8, {"a": 8}),
    ],
    ids=["set", "invalidate", "clear", "nothing", "newcomer"],
)
async def test_what_comes_between(
    change: Callable[[Cache[str, int]], object], value: int, held: dict[str, int]
) -> None:
    """All who wait get what is there then, or what the first of them computes."""
    cache: Cache[str, int] = Cache()
    leading = Abandoned(cache)
    async with anyio.create_task_group() as group:
        asking = Asking(cache, group)
        await asking.start(*range(4))
        leading.now()
        change(cache)
        await turns()
        await asking.end()

    assert asking.values == dict.fromkeys(range(4), value)
    assert asking.led == ([0] if value == 0 else [])
    assert cache.snapshot() == held
    assert cache._store.flights == {}
    stats, came = cache.stats(), value == 8
    assert (stats.misses, stats.hits, stats.joins) == (5 + came, 0, 4)
    assert stats.computes == 1 + came + len(asking.led)


@pytest.mark.anyio
async def test_a_newcomer_that_leads_for_a_while(looks: list[Flight]) -> None:
    """It takes over before those who were woken run, and they wait on for it."""
    cache: Cache[str, int] = Cache()
    leading = Abandoned(cache)
    async with anyio.create_task_group() as group:
        asking = Asking(cache, group)
        await asking.start(*range(3))
        leading.now()
        newcomer = Abandoned(cache)
        assert newcomer.flight is leading.flight
        await turns()
        assert (asking.led, looks) == ([], [])
        newcomer.now()
        await asking.end()

    assert asking.values == dict.fromkeys(range(3), 0)
    assert len(looks) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("change", [Cache.clear, lambda cache: cache.invalidate("a")])
async def test_a_flight_that_nobody_finds(change: Callable[[Any], object]) -> None:
    """Removed while it is computed, and then abandoned: who waits begins anew."""
    cache: Cache[str, int] = Cache()
    leading = Abandoned(cache)
    async with anyio.create_task_group() as group:
        asking = Asking(cache, group)
        await asking.start(*range(3))
        change(cache)
        await asking.start(3)
        assert asking.led == [3]
        leading.now()
        await asking.end()

    assert asking.values == dict.fromkeys(range(4), 3)
    assert asking.led == [3]
    assert cache.snapshot() == {"a": 3}
    assert cache.stats().computes == 2


# --- loops that are blocked or closed


@pytest.mark.parametrize("leader", LOOPS)
def test_a_loop_that_is_blocked_by_a_waiter(leader: str, calls) -> None:
    """Its task, first in line, can't lead; who blocks it for that very key does."""
    cache: Cache[str, int] = Cache()
    leading = calls.lead(leader, cache, "a", lambda: 1, calls.gate())
    values: list[int] = []

    async def compute() -> int:
        raise AssertionError("its loop is blocked")

    async def main() -> None:
        task = asyncio.create_task(cache.aget_or_compute("a", compute))
        await asyncio.sleep(0)
        values.append(cache.get_or_compute("a", lambda: 2))
        values.append(await task)

    with threads(lambda: asyncio.run(main())):
        flight = cache._store.flights["a"]
        eventually(lambda: len(waiters_of(flight)) == 2)
        assert len(flight.lines) == 2
        leading.cancel()

    assert values == [2, 2]


@pytest.mark.parametrize("waiter", WORLDS)
def test_a_loop_that_is_blocked_by_something_else(waiter: str, calls) -> None:
    """Its task was woken first, but others don't wait for it."""
    cache: Cache[str, int] = Cache()
    leading = calls.lead("trio", cache, "a", lambda: 1, calls.gate())
    blocked, go = threading.Event(), threading.Event()
    values: list[int] = []

    async def compute() -> int:
        raise AssertionError("its loop is blocked")

    async def main() -> None:
        task = asyncio.create_task(cache.aget_or_compute("a", compute))
        await asyncio.sleep(0)
        blocked.set()
        go.wait(LONG_S)
        values.append(await task)

    with threads(lambda: asyncio.run(main())):
        blocked.wait(LONG_S)
        second = calls.join(waiter, cache, "a", lambda: 2)
        leading.cancel()
        second.join()
        go.set()

    assert second.result() == 2
    assert values == [2]


@pytest.mark.parametrize("others", [0, 1])
def test_tasks_that_a_closed_loop_left_behind(others: int, calls) -> None:
    """They are passed over; with nobody else, the key is free."""
    cache: Cache[str, int] = Cache()
    leading = calls.lead("trio", cache, "a", lambda: 1, calls.gate())
    flight = cache._store.flights["a"]
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)  # it complains

    async def compute() -> int:
        return 2

    left = [loop.create_task(cache.aget_or_compute("a", compute)) for _ in range(2)]
    loop.run_until_complete(asyncio.sleep(0))
    assert len(waiters_of(flight)) == 2
    made = [calls.join("thread", cache, "a", lambda: 3) for _ in range(others)]
    loop.close()
    leading.cancel()

    assert [call.result() for call in made] == [3] * others
    assert cache._store.flights == {}
    assert not any(task.done() for task in left)
    del left
    gc.collect()
    assert cache.get_or_compute("a", lambda: 4) == (3 if others else 4)


@pytest.mark.parametrize("waiter", LOOPS)
def test_who_has_gone_on_misses_nothing(waiter: str, calls) -> None:
    """It isn't taken for somebody who was left behind, though its loop is closed."""
    cache: Cache[str, int] = Cache()
    gate = calls.gate()
    calls.lead("thread", cache, "a", lambda: 1, gate)
    flight = cache._store.flights["a"]
    second = calls.join(waiter, cache, "a", lambda: 2)
    (waiting,) = waiters_of(flight)
    gate.open()

    assert second.result() == 1
    assert waiting.wake()


# --- what a thread is told


def test_a_stop_iteration(calls) -> None:
    """Threads that wait for who raises it get it as it is."""
    cache: Cache[str, int] = Cache()
    gate, error = calls.gate(), StopIteration(5)

    def stop() -> int:
        raise error

    first = calls.lead("thread", cache, "a", stop, gate)
    made = [calls.join("thread", cache, "a", lambda: 1) for _ in range(2)]
    gate.open()

    for call in [first, *made]:
        with suppress(StopIteration):
            call.result()
        assert call.error is error
    assert cache.stats().failures == 1
