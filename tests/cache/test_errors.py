"""An error goes to all who waited for it, as it is, and leaves nothing behind."""

from __future__ import annotations

import gc
import logging
import traceback
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import anyio
import pytest

from concutil import Cache
from concutil.testing import ManualClock

WORLDS = ["thread", "asyncio", "trio"]


class BrokenError(Exception):
    """What a computation fails with."""


def fail() -> int:
    """Fail."""
    raise BrokenError


async def afail() -> int:
    """Fail in a task, after others had a turn."""
    await anyio.lowlevel.checkpoint()
    raise BrokenError


def fix() -> int:
    """Succeed."""
    return 1


@pytest.mark.parametrize(("leader", "waiter"), list(product(WORLDS, WORLDS)))
def test_all_who_waited_get_the_same_object(leader: str, waiter: str, calls) -> None:
    """The very exception is raised in each of them; the next caller computes anew."""
    cache: Cache[str, int] = Cache()
    gate = calls.gate()
    made = [calls.lead(leader, cache, "a", fail, gate)]
    made += [calls.join(waiter, cache, "a", fix) for _ in range(3)]
    gate.open()
    errors = []
    for call in made:
        with pytest.raises(BrokenError) as caught:
            call.result()
        errors.append(caught.value)

    assert len(set(map(id, errors))) == 1
    assert len(cache) == 0
    assert (cache.stats().failures, cache.stats().computes) == (1, 1)
    assert cache.get_or_compute("a", fix) == 1


def test_an_error_leaves_the_old_entries() -> None:
    """What was held before is held after."""
    cache: Cache[str, int] = Cache(2)
    cache["a"], cache["b"] = 1, 2
    with pytest.raises(BrokenError):
        cache.get_or_compute("c", fail)

    assert cache.snapshot() == {"a": 1, "b": 2}


def test_the_traceback_leads_to_where_it_was_raised(calls) -> None:
    """A waiter sees the frames of the computation, and one way to them."""
    cache: Cache[str, int] = Cache()
    gate = calls.gate()
    calls.lead("thread", cache, "a", fail, gate)
    waiter = calls.join("thread", cache, "a", fix)
    gate.open()
    waiter.join()
    assert waiter.error is not None
    names = [frame.name for frame in traceback.extract_tb(waiter.error.__traceback__)]

    assert names.count("fail") == 1
    assert names[-1] == "fail"


def test_the_traceback_does_not_grow(calls) -> None:
    """However often it is raised again, it is as long as the first time."""
    cache: Cache[str, int] = Cache()
    gate, lengths = calls.gate(), set()
    leader = calls.lead("thread", cache, "a", fail, gate)
    flight = cache._store.flights["a"]
    gate.open()
    leader.join()
    for _ in range(20):
        with pytest.raises(BrokenError) as caught:
            flight.reraise()
        lengths.add(len(list(traceback.walk_tb(caught.value.__traceback__))))

    assert len(lengths) == 1


@pytest.mark.anyio
async def test_the_traceback_does_not_grow_among_tasks() -> None:
    """Tasks of one loop, which raise it one after the other, don't add up either."""
    lengths = []
    for waiters in (1, 30):
        cache: Cache[str, int] = Cache()
        errors: list[BaseException] = []

        async def ask(cache=cache, errors=errors) -> None:
            try:
                await cache.aget_or_compute("a", afail)
            except BrokenError as error:
                errors.append(error)

        async with anyio.create_task_group() as group:
            for _ in range(waiters + 1):
                group.start_soon(ask)
        assert len(errors) == waiters + 1
        lengths.append(len(list(traceback.walk_tb(errors[0].__traceback__))))

    assert lengths[0] == lengths[1]


@contextmanager
def without_collector() -> Iterator[None]:
    """Have objects die by their reference counts alone, or not at all."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_an_error_is_in_no_circle() -> None:
    """Once the caller has let go of it, it is gone, without the collector."""
    cache: Cache[str, int] = Cache()
    with without_collector():
        try:
            cache.get_or_compute("a", fail)
        except BrokenError as error:
            gone = weakref.ref(error)

        assert gone() is None


def test_an_error_of_a_refresh_is_in_no_circle(
    seen, caplog: pytest.LogCaptureFixture
) -> None:
    """What the event told of is gone when the event is."""
    caplog.set_level(logging.CRITICAL, "concutil")  # pytest keeps what is logged
    clock = ManualClock()
    cache: Cache[str, int] = Cache(ttl=10, stale=5, clock=clock)
    cache["a"] = 1
    clock.advance(10)
    with without_collector():
        assert cache.get_or_compute("a", fail) == 1
        gone = weakref.ref(seen[0].error)
        seen.clear()

        assert gone() is None
