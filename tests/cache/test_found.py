"""What these tests say is so by the contract, and isn't yet: each fails.

They move to the file of their subject with the change that mends them.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest
import trio

from concutil import Cache

# --- an error that others waited for is in a circle: Store.found and afound keep the
# flight in a local, and are in the traceback of the error that the flight has


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
    gc.collect()
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


# --- a key that breaks as its flight is registered: Lead.__del__ raises the error again


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


# --- begin() forgets dropped flights first, and theirs may be keys that raise


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


# --- hold() loses what was evicted if the newcomer's key raises afterwards


def test_what_went_for_a_key_that_breaks_is_told() -> None:
    """Either it is still there, or it was told that it went."""
    for luck in range(1, 10):
        gone: list[tuple[object, ...]] = []
        cache: Cache[object, int] = Cache(1, on_evict=lambda *it, g=gone: g.append(it))
        cache["old"] = 1
        key = Fickle()
        key.luck = luck
        try:
            cache[key] = 2
        except BrokenError:
            assert ("old" in cache) != (gone == [("old", 1, "size")])
        else:
            break
