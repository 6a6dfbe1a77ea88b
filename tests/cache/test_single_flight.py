"""Each key is computed once, whoever asks for it, and other keys aren't held up."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from itertools import product

import anyio
import pytest

from concutil import Cache
from patience import eventually, threads

WORLDS = ["thread", "asyncio", "trio"]


@pytest.mark.parametrize(("leader", "waiter"), list(product(WORLDS, WORLDS)))
def test_who_asks_meanwhile_waits(leader: str, waiter: str, calls) -> None:
    """A second caller gets the very object that the first one computes."""
    cache: Cache[str, object] = Cache()
    value, gate = object(), calls.gate()
    first = calls.lead(leader, cache, "a", lambda: value, gate)
    second = calls.join(waiter, cache, "a", object)
    gate.open()

    assert first.result() is second.result() is value
    stats = cache.stats()
    assert (stats.computes, stats.joins, stats.misses, stats.hits) == (1, 1, 2, 0)
    assert cache._store.flights == {}


@pytest.mark.parametrize("maxsize", [0, 1, 1024, None])
def test_all_worlds_at_once(maxsize: int | None, calls) -> None:
    """However many ask, one computes, even if nothing can be held."""
    cache: Cache[str, object] = Cache(maxsize)
    gate, computed = calls.gate(), []

    def compute() -> object:
        computed.append(1)
        return object()

    made = [calls.lead("asyncio", cache, "a", compute, gate)]
    made += [calls.join(world, cache, "a", compute) for world in WORLDS * 3]
    gate.open()
    values = {call.result() for call in made}

    assert len(values) == len(computed) == 1
    assert len(cache) == (maxsize != 0)
    assert cache.stats().joins == 9


@pytest.mark.parametrize("world", WORLDS)
def test_other_keys_are_not_held_up(world: str, calls) -> None:
    """While one key is being computed, others are computed, set and found."""
    cache: Cache[str, int] = Cache()
    cache["c"] = 3
    gate = calls.gate()
    calls.lead(world, cache, "a", lambda: 1, gate)

    assert cache.get_or_compute("b", lambda: 2) == 2
    assert calls.start("trio", cache, "d", lambda: 4).result() == 4
    assert cache["c"] == 3
    assert cache.get("a") is None
    assert "a" not in cache
    assert len(cache) == 3


@pytest.mark.parametrize("world", WORLDS)
def test_nothing_is_kept_with_a_maxsize_of_zero(world: str, calls) -> None:
    """It only brings those together who ask at the same time."""
    cache: Cache[str, int] = Cache(0)
    assert calls.start(world, cache, "a", lambda: 1).result() == 1
    assert calls.start(world, cache, "a", lambda: 2).result() == 2
    cache["b"] = 1

    assert len(cache) == 0
    assert (cache.stats().computes, cache.stats().evictions) == (2, 0)


def test_several_keys_at_once(calls) -> None:
    """Each of many keys is computed once by threads that ask for all of them."""
    cache: Cache[int, int] = Cache()
    computed: Counter[int] = Counter()
    start = threading.Barrier(4)

    def compute(key: int) -> int:
        computed[key] += 1
        return key

    def client() -> None:
        start.wait(10)
        for key in range(100):
            assert cache.get_or_compute(key, lambda k=key: compute(k)) == key

    with threads(*[client] * 4):
        pass

    assert computed == Counter(range(100))
    stats = cache.stats()
    assert stats.hits + stats.misses == 400
    assert stats.misses == stats.computes + stats.joins


@pytest.mark.anyio
async def test_tasks_of_one_loop() -> None:
    """Tasks that ask at the same time share one computation."""
    cache: Cache[str, object] = Cache()
    go, values = anyio.Event(), []

    async def compute() -> object:
        await go.wait()
        return object()

    async def ask() -> None:
        values.append(await cache.aget_or_compute("a", compute))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        assert await cache.aget_or_compute("b", other) == "other"
        go.set()

    assert len(values) == 10
    assert len(set(values)) == 1
    assert cache.stats().computes == 2


async def other() -> str:
    """Compute another key."""
    return "other"


@pytest.mark.anyio
async def test_an_async_hit_does_not_yield() -> None:
    """What is there is returned at once, stale or fresh, and nothing is called."""
    cache: Cache[str, int] = Cache()
    cache["a"] = 1
    hit = cache.aget_or_compute("a", other)
    with pytest.raises(StopIteration) as done:
        hit.send(None)

    assert done.value.value == 1


@pytest.mark.anyio
async def test_an_awaitable_of_any_kind_will_do() -> None:
    """What the async function returns is awaited, whatever it is."""

    class Awaited:
        def __await__(self):
            yield from anyio.lowlevel.checkpoint().__await__()
            return 5

    cache: Cache[str, int] = Cache()

    assert await cache.aget_or_compute("a", Awaited) == 5


def test_an_async_function_needs_the_async_form(calls) -> None:
    """Its coroutine is closed, and the error says what to do; nothing is stored."""
    cache: Cache[str, object] = Cache()
    with pytest.raises(
        TypeError, match=r"await aget_or_compute with an async function"
    ):
        cache.get_or_compute("a", other)

    assert len(cache) == 0
    assert cache.get_or_compute("a", lambda: 1) == 1


def test_the_async_form_without_a_loop(calls) -> None:
    """Whoever must wait, and runs in no loop, is told so."""
    cache: Cache[str, int] = Cache()
    gate = calls.gate()
    calls.lead("thread", cache, "a", lambda: 1, gate)
    waiting = cache.aget_or_compute("a", other)
    with pytest.raises(RuntimeError, match="must be awaited in a task"):
        waiting.send(None)


def test_one_loop_after_another() -> None:
    """A cache belongs to no loop: what one has computed the next one finds."""
    cache: Cache[str, str] = Cache()

    assert asyncio.run(cache.aget_or_compute("a", other)) == "other"
    assert asyncio.run(cache.aget_or_compute("a", other)) == "other"
    assert cache.stats().computes == 1


def test_who_asks_after_the_end_finds_the_value(calls) -> None:
    """There is no instant between the end of a computation and its value's storing."""
    cache: Cache[int, int] = Cache()
    computed: Counter[int] = Counter()

    def compute(key: int) -> int:
        computed[key] += 1
        return key

    def client(step: int) -> None:
        for key in range(300)[::step]:
            cache.get_or_compute(key, lambda k=key: compute(k))

    with threads(lambda: client(1), lambda: client(-1), lambda: client(1)):
        pass

    assert computed == Counter(range(300))


def test_joining_counts_nobody_twice(calls) -> None:
    """A waiter that is there when the flight ends is counted as one miss, one join."""
    cache: Cache[str, int] = Cache()
    gate = calls.gate()
    made = [calls.lead("thread", cache, "a", lambda: 1, gate)]
    made += [calls.join(world, cache, "a", lambda: 2) for world in WORLDS]
    eventually(lambda: cache.stats().joins == 3)
    gate.open()

    assert [call.result() for call in made] == [1] * 4
    assert cache.stats().misses == 4
