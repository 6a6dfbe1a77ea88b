"""Cancelled anywhere in any way, who computes hands over, and who waits is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest

from concutil import Cache
from concutil._cache.store import Store
from patience import eventually, threads

from .cache_canaries import settles_silently
from .cache_scenarios import KEY, Failed, Led, Nested, Promoted, Refreshed, Waiting
from .sweep import sweep
from .ways import WAYS

EVERY_WAY = sum(len(ways) for ways in WAYS.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "scenario", [Led, Nested, Refreshed, Waiting, Promoted, Failed]
)
def test_cancelled_call_was_never_made(
    scenario: type[Led], tell: Callable[[object], None]
) -> None:
    """One of the others has computed, nobody is left waiting, and nothing is left."""
    report = sweep(f"Cache, {scenario.__name__}", partial(scenario))
    tell(report)
    assert not report.found, report
    assert report.cut >= EVERY_WAY


@pytest.mark.canary
def test_waiters_that_nobody_wakes_are_found(
    monkeypatch: pytest.MonkeyPatch, tell: Callable[[object], None]
) -> None:
    """The sweep finds who waits for a computation that was cancelled."""
    monkeypatch.setattr(Store, "settle", settles_silently)
    report = sweep("Cache, planted", Led)
    tell(f"{report}".splitlines()[0])
    assert report.ways("asyncio") == set(WAYS["asyncio"])
    assert report.ways("trio") == set(WAYS["trio"])


async def forever() -> str:
    """Compute until cancelled."""
    await anyio.sleep_forever()
    raise AssertionError


@pytest.mark.anyio
async def test_thread_takes_over_from_a_cancelled_task() -> None:
    """With its own function, and nobody sees the cancellation."""
    cache: Cache[str, str] = Cache()
    got: list[str] = []

    def wait() -> None:
        got.append(cache.get_or_compute(KEY, lambda: "of a thread"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.aget_or_compute, KEY, forever)
        await anyio.wait_all_tasks_blocked()
        with threads(wait, wait):
            await anyio.to_thread.run_sync(eventually, lambda: cache.stats().joins == 2)
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(eventually, lambda: len(got) == 2)
    assert got == ["of a thread"] * 2
    assert cache.stats().computes == 2
    assert not cache._store.flights


@pytest.mark.anyio
async def test_task_takes_over_from_an_interrupted_thread() -> None:
    """So does a task, if Ctrl-C ends what a thread computes."""
    cache: Cache[str, str] = Cache()
    go = threading.Event()

    def stop() -> str:
        go.wait()
        raise KeyboardInterrupt

    def lead() -> None:
        with pytest.raises(KeyboardInterrupt):
            cache.get_or_compute(KEY, stop)

    async def compute() -> str:
        return "of a task"

    with threads(lead):
        await anyio.to_thread.run_sync(eventually, lambda: cache.stats().computes == 1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cache.aget_or_compute, KEY, compute)
            tasks.start_soon(cache.aget_or_compute, KEY, compute)
            await anyio.wait_all_tasks_blocked()
            go.set()
    assert cache.snapshot() == {KEY: "of a task"}
    assert cache.stats().computes == 2
    assert not cache._store.flights


@pytest.mark.parametrize("one", ["asyncio", "trio"])
@pytest.mark.parametrize("two", ["asyncio", "trio"])
def test_task_of_another_loop_takes_over(one: str, two: str) -> None:
    """So does a task of a loop in another thread, of either kind."""
    cache: Cache[str, str] = Cache()

    async def lead() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cache.aget_or_compute, KEY, forever)
            await anyio.to_thread.run_sync(eventually, lambda: cache.stats().joins == 1)
            tasks.cancel_scope.cancel()

    async def follow() -> None:
        async def compute() -> str:
            return "of the other"

        await anyio.to_thread.run_sync(eventually, lambda: cache.stats().computes == 1)
        assert await cache.aget_or_compute(KEY, compute) == "of the other"

    def run(backend: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        anyio.run(main, backend=backend)

    with threads(partial(run, one, lead), partial(run, two, follow)):
        pass
    assert cache.stats().computes == 2
