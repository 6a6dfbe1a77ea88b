"""Errors that keep nothing alive, keys that break, forks in the midst of something."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import anyio
import pytest
import trio

from concutil import Cache, RecursiveComputeError

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


# --- errors that others waited for are in no circle of references


class BrokenError(Exception):
    """What a computation fails with."""


def fail() -> int:
    """Fail."""
    raise BrokenError


def fix() -> int:
    """Succeed."""
    return 1


@contextmanager
def without_collector() -> Iterator[None]:
    """Have objects die by their reference counts alone, or not at all."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("run", [asyncio.run, trio.run], ids=["asyncio", "trio"])
def test_an_error_of_a_task_is_in_no_circle(run) -> None:
    """The same for those who wait in tasks."""
    cache: Cache[str, int] = Cache()
    gone = []

    async def compute() -> int:
        for _ in range(5):  # so that others wait
            await anyio.lowlevel.checkpoint()
        raise BrokenError

    async def ask() -> None:
        try:
            await cache.aget_or_compute("a", compute)
        except BrokenError as error:
            gone.append(weakref.ref(error))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask)
        assert [ref() for ref in gone] == [None] * 3

    with without_collector():
        if run is trio.run:
            run(main)
        else:
            run(main())
    assert (cache.stats().joins, cache.stats().failures) == (2, 1)


def test_an_error_that_threads_waited_for_is_in_no_circle(calls) -> None:
    """The same for threads that waited."""
    cache: Cache[str, int] = Cache()
    gate, gone = calls.gate(), []

    with without_collector():
        made = [calls.lead("thread", cache, "a", fail, gate)]
        made += [calls.join("thread", cache, "a", fix) for _ in range(3)]
        gate.open()
        for call in made:
            call.join()
            gone.append(weakref.ref(call.error))
            call.error = None

        assert [ref() for ref in gone] == [None] * 4


# --- keys that break


class Fickle:
    """A key that can't be hashed once its luck has run out."""

    def __init__(self) -> None:
        self.luck = 10**6

    def __hash__(self) -> int:
        self.luck -= 1
        if self.luck < 0:
            raise BrokenError
        return 1


def test_a_key_that_breaks_is_told_of_once(unraisable) -> None:
    """The caller gets the error, and nothing of it goes to `sys.unraisablehook`."""
    cache: Cache[object, int] = Cache()
    for luck in range(1, 10):
        key = Fickle()
        key.luck = luck
        try:
            cache.get_or_compute(key, fix)
        except BrokenError:
            continue
        break

    assert [report.exc_type for report in unraisable] == []


def test_a_broken_key_is_nobody_elses_error() -> None:
    """Who asks for another key doesn't get the error of one that was dropped."""
    cache: Cache[object, int] = Cache()
    key = Fickle()

    class Forever:
        def __await__(self):
            yield

    computing = cache.aget_or_compute(key, Forever)
    computing.send(None)
    with cache._store._lock:  # as if the collector came by now
        computing.close()
    key.luck = 0

    assert cache.get_or_compute("innocent", fix) == 1


def told(gone: list[tuple[object, ...]], *what: object) -> None:
    """Note what went."""
    gone.append(what)


def test_what_went_for_a_key_that_breaks_is_told() -> None:
    """Either it is still there, or it was told that it went."""
    for luck in range(1, 10):
        gone: list[tuple[object, ...]] = []
        cache: Cache[object, int] = Cache(1, on_evict=partial(told, gone))
        cache["old"] = 1
        key = Fickle()
        key.luck = luck
        try:
            cache[key] = 2
        except BrokenError:
            assert ("old" in cache) != (gone == [("old", 1, "size")])
        else:
            break


def test_an_error_about_recursion_is_in_no_circle() -> None:
    """Once the caller has let go of it, it is gone, without the collector."""
    cache: Cache[str, int] = Cache()
    with without_collector():
        try:
            cache.get_or_compute("a", lambda: cache.get_or_compute("a", fix))
        except RecursiveComputeError as error:
            gone = weakref.ref(error)

        assert gone() is None


# --- what is over is no part of a way: its children may wait on


def test_no_false_alarm_through_what_is_over() -> None:
    """G needs X, which needed F, whose child outlives it and needs G: no circle."""
    cache: Cache[str, int] = Cache()
    values: dict[str, int] = {}

    async def main() -> None:
        f_go, g_go = asyncio.Event(), asyncio.Event()
        children: list[asyncio.Task[int]] = []

        async def f() -> int:
            children.append(asyncio.create_task(cache.aget_or_compute("g", afix)))
            await f_go.wait()
            return 1

        async def x() -> int:
            return await cache.aget_or_compute("f", afix) + 1

        async def g() -> int:
            await g_go.wait()
            return await cache.aget_or_compute("x", afix) + 1

        tasks = {}
        for name, fn in {"g": g, "f": f, "x": x}.items():
            tasks[name] = asyncio.create_task(cache.aget_or_compute(name, fn))
            for _ in range(3):
                await asyncio.sleep(0)
        f_go.set()  # it ends; before who waited for it runs, g goes on
        g_go.set()
        for name, task in tasks.items():
            values[name] = await task
        values["child"] = await children[0]

    asyncio.run(main())
    assert values == {"g": 3, "f": 1, "x": 2, "child": 3}


async def afix() -> int:
    """Succeed in a task."""
    return 0


# --- forks while another thread of the parent has the lock


@needs_fork
def test_a_fork_while_dates_are_tidied(in_child) -> None:
    """The child's bookkeeping doesn't grow, whatever a thread of the parent was at."""
    cache: Cache[int, int] = Cache(ttl=1000)
    cache[0] = 0
    cache._store.lru.tidying()  # another thread sorts when this one forks

    def check() -> bool:
        for number in range(1000):
            cache[0] = number
        return len(cache._store.lru._dates.heap) < 100

    assert in_child(check)


@needs_fork
def test_a_fork_while_an_entry_is_put(in_child) -> None:
    """The child's cache holds as much as it may, whatever a thread was at."""
    cache: Cache[int, int] = Cache(3)
    cache[0] = 0
    cache._store.lru.weight -= 1  # another thread is in the midst of `put`

    def check() -> bool:
        for number in range(10):
            cache[number] = number
        return len(cache) == 3 == cache.stats().size

    assert in_child(check)
