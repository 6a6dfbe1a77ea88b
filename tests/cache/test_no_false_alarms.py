"""Waits that are no circle are waited for, however much they look like one."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

from concutil import Cache, RecursiveComputeError
from concutil._cache import flights
from concutil._core.waits import Step, way
from concutil.events import LoopBlocked
from insides import waiters_of
from patience import eventually, threads

WORLDS = ["thread", "asyncio", "trio"]


def test_two_that_need_the_same(calls) -> None:
    """A key that two others need is waited for by both, and they by a fourth."""
    cache: Cache[str, int] = Cache()
    gate = calls.gate()
    bottom = calls.lead("asyncio", cache, "bottom", lambda: 1, gate)

    def need() -> int:
        return cache.get_or_compute("bottom", int) + 1

    left = calls.start("thread", cache, "left", need)
    right = calls.start("thread", cache, "right", need)
    eventually(lambda: len(waiters_of(cache._store.flights["bottom"])) == 2)
    top = calls.start(
        "thread",
        cache,
        "top",
        lambda: cache.get_or_compute("left", int) + cache.get_or_compute("right", int),
    )
    eventually(lambda: len(waiters_of(cache._store.flights["left"])) == 1)
    gate.open()

    assert [it.result() for it in (bottom, left, right, top)] == [1, 2, 2, 4]


@pytest.mark.anyio
async def test_a_child_that_outlives_its_computation() -> None:
    """Once that is over, its child may ask for the key as anybody may."""
    cache: Cache[str, int] = Cache()
    over, second_go, values = anyio.Event(), anyio.Event(), []

    async def second() -> int:
        await second_go.wait()
        return 2

    async def child() -> None:
        await over.wait()
        values.append(await cache.aget_or_compute("a", other))

    async with anyio.create_task_group() as group:

        async def first() -> int:
            group.start_soon(child)
            return 1

        assert await cache.aget_or_compute("a", first) == 1
        cache.invalidate("a")
        group.start_soon(cache.aget_or_compute, "a", second)
        await anyio.wait_all_tasks_blocked()
        over.set()
        await anyio.wait_all_tasks_blocked()
        second_go.set()

    assert values == [2]
    assert cache.stats().joins == 1


async def other() -> int:
    """Compute something."""
    return 0


@pytest.mark.anyio
async def test_a_computation_that_waits_for_several() -> None:
    """Child tasks of one computation wait for several keys at the same time."""
    cache: Cache[object, int] = Cache()
    go, values = anyio.Event(), []

    async def part() -> int:
        await go.wait()
        return 1

    async def whole() -> int:
        async def take(key: int) -> None:
            values.append(await cache.aget_or_compute(key, other))

        async with anyio.create_task_group() as inner:
            for key in range(5):
                inner.start_soon(take, key)
        return sum(values)

    async with anyio.create_task_group() as group:
        for key in range(5):
            group.start_soon(cache.aget_or_compute, key, part)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(cache.aget_or_compute, "whole", whole)
        await anyio.wait_all_tasks_blocked()
        assert cache.stats().joins == 5
        go.set()

    assert cache["whole"] == 5


@pytest.mark.anyio
async def test_one_of_several_waits_is_a_circle() -> None:
    """Of all that a computation waits for, the one that leads back is found."""
    cache: Cache[object, int] = Cache()
    go, errors = anyio.Event(), []

    async def part() -> int:
        await go.wait()
        return 1

    async def needing() -> int:
        await anyio.wait_all_tasks_blocked()
        try:
            return await cache.aget_or_compute("whole", other)
        except RecursiveComputeError as error:
            errors.append(error.keys)
            go.set()
            return 1

    async def whole() -> int:
        async with anyio.create_task_group() as inner:
            for key in range(4):
                inner.start_soon(cache.aget_or_compute, key, other)
        return 4

    async with anyio.create_task_group() as group:
        for key in range(3):
            group.start_soon(cache.aget_or_compute, key, part)
        group.start_soon(cache.aget_or_compute, 3, needing)
        await anyio.lowlevel.checkpoint()
        group.start_soon(cache.aget_or_compute, "whole", whole)

    assert errors == [("whole", 3)]
    assert cache["whole"] == 4


@pytest.mark.parametrize("world", WORLDS)
def test_a_blocked_loop_that_nobody_needs(world: str, calls, seen) -> None:
    """It waits for what another thread computes, and is told of once per cache."""
    cache: Cache[str, int] = Cache(name="users")

    async def main() -> None:
        for key in ("a", "b"):
            gate = calls.gate()
            call = calls.lead(world, cache, key, lambda: 1, gate)
            opener = threading.Thread(target=open_when_waited_for, args=(key, gate))
            opener.start()
            assert cache.get_or_compute(key, int) == 1
            opener.join(10)
            assert call.result() == 1

    def open_when_waited_for(key: str, gate) -> None:
        eventually(lambda: len(waiters_of(cache._store.flights[key])) == 1)
        gate.open()

    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)
        cache.clear()
    blocked = [event for event in seen if isinstance(event, LoopBlocked)]

    assert blocked == [LoopBlocked(limiter=None, policy=None, cache="users")]


def test_a_thread_that_waits_blocks_no_loop(calls, seen) -> None:
    """Nothing is told of ordinary waits, nor of sync computations in a loop."""
    cache: Cache[str, int] = Cache()
    gate = calls.gate()
    calls.lead("asyncio", cache, "a", lambda: 1, gate)
    waiter = calls.join("thread", cache, "a", int)
    gate.open()
    waiter.join()

    async def main() -> None:
        cache.get_or_compute("b", int)
        cache.get_or_compute("b", int)

    anyio.run(main)

    assert seen == []


def test_a_loop_that_is_blocked_while_it_computes_something_else(calls) -> None:
    """A computation suspended in a blocked loop is held up, and that is all."""
    cache: Cache[str, int] = Cache()
    gate = calls.gate()
    other_call = calls.lead("thread", cache, "b", lambda: 2, gate)

    async def main() -> None:
        go = anyio.Event()

        async def compute() -> int:
            await go.wait()
            return 1

        async with anyio.create_task_group() as group:
            group.start_soon(cache.aget_or_compute, "a", compute)
            await anyio.wait_all_tasks_blocked()
            assert cache.get_or_compute("b", int) == 2
            go.set()

    def open_when_waited_for() -> None:
        eventually(lambda: len(waiters_of(cache._store.flights["b"])) == 1)
        gate.open()

    with threads(open_when_waited_for):
        anyio.run(main)
    assert other_call.result() == 2
    assert cache["a"] == 1


def test_a_worker_thread_that_others_block_later(calls) -> None:
    """A thread that has waited before is not taken for one that waits still."""
    cache: Cache[str, int] = Cache()
    for key in "abc":
        gate = calls.gate()
        call = calls.lead("thread", cache, key, lambda: 1, gate)
        opener = threading.Timer(0, lambda k=key, g=gate: opens(cache, k, g))
        opener.start()
        assert cache.get_or_compute(key, int) == 1
        assert call.result() == 1
        opener.join(10)

    assert cache.get_or_compute("d", lambda: cache.get_or_compute("e", lambda: 5)) == 5


def test_a_circle_that_is_gone_at_a_second_look(
    calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of it was over, or cancelled, before the rest was seen."""
    looks: list[Step] = []

    def changing(start: Step, goals: list[Step], onward: Any) -> list[Step] | None:
        looks.append(start)
        return [start, *goals] if len(looks) == 1 else way(start, goals, onward)

    monkeypatch.setattr(flights, "way", changing)
    cache: Cache[str, int] = Cache()
    gate = calls.gate()
    calls.lead("thread", cache, "a", lambda: 1, gate)
    waiter = calls.join("thread", cache, "a", int)
    gate.open()

    assert waiter.result() == 1
    assert len(looks) > 1


def opens(cache: Cache[str, int], key: str, gate) -> None:
    """Open *gate* as soon as somebody waits for *key*."""
    eventually(lambda: len(waiters_of(cache._store.flights[key])) == 1)
    gate.open()


@pytest.mark.anyio
async def test_a_hit_is_no_wait() -> None:
    """What is there already is taken, whatever computes around it."""
    cache: Cache[str, int] = Cache()
    cache["b"] = 2

    async def compute() -> int:
        cache["a"] = 5
        return await cache.aget_or_compute("a", other) + cache["b"]

    assert await cache.aget_or_compute("a", compute) == 7
    assert cache["a"] == 5


@pytest.mark.anyio
async def test_what_was_removed_may_be_asked_for_within() -> None:
    """A computation that has lost its key may compute it anew inside."""
    cache: Cache[str, int] = Cache()

    async def compute() -> int:
        cache.invalidate("a")
        return await cache.aget_or_compute("a", other) + 5

    assert await cache.aget_or_compute("a", compute) == 5
    assert cache["a"] == 0
