"""Async functions that remember, in tasks of both backends and in threads."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import pickle
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest
import trio
from anyio.lowlevel import checkpoint

from concutil import Cache, RecursiveComputeError, cached
from concutil._runtime import clock as clocks
from concutil.testing import ManualClock, cancelled_at
from patience import eventually, threads

pytestmark = pytest.mark.anyio


@cached(maxsize=50)
async def fetch(page: int, *, order: str = "up") -> list[str]:
    """Fetch a page."""
    await checkpoint()
    return [order] * page


async def test_async_functions() -> None:
    """An async function stays one, and its value is kept, not its coroutine."""
    fetch.cache_clear()

    assert inspect.iscoroutinefunction(fetch)
    assert str(inspect.signature(fetch)).startswith("(page: 'int', *, order: 'str' = ")
    assert (fetch.__name__, fetch.__doc__) == ("fetch", "Fetch a page.")
    first = await fetch(1)
    assert await fetch(1) is first
    assert await fetch(1, order="up") is not first
    assert await fetch.__wrapped__(1) is not first
    assert fetch.cache_info() == (1, 2, 50, 2)
    assert fetch.cache_invalidate(1)
    assert await fetch(1) is not first
    assert fetch.cache_parameters() == {"maxsize": 50, "typed": False}


async def test_it_is_copied_and_pickled_by_reference() -> None:
    """A decorated async function is itself wherever it arrives."""
    assert pickle.loads(pickle.dumps(fetch)) is fetch
    assert copy.copy(fetch) is copy.deepcopy(fetch) is fetch


async def test_one_computation_for_many_tasks() -> None:
    """All who ask at once get the value of one computation."""
    calls: list[int] = []
    values: list[object] = []

    @cached
    async def slow(x: int) -> object:
        calls.append(x)
        await anyio.wait_all_tasks_blocked()
        return object()

    async def ask(x: int) -> None:
        values.append(await slow(x))

    async with anyio.create_task_group() as group:
        for x in [1, 2] * 10:
            group.start_soon(ask, x)
    assert sorted(calls) == [1, 2]
    assert len(set(values)) == 2
    assert slow.cache.stats().joins == 18
    assert slow.cache_info() == (0, 20, 128, 2)


async def test_an_error_goes_to_all_who_wait() -> None:
    """It is one and the same, and not kept."""
    errors: list[Exception] = []
    calls: list[int] = []

    @cached
    async def failing(x: int) -> None:
        calls.append(x)
        await anyio.wait_all_tasks_blocked()
        raise ConnectionError(len(calls))

    async def ask() -> None:
        try:
            await failing(1)
        except ConnectionError as error:
            errors.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask)
    assert calls == [1]
    assert len(errors) == 5
    assert len(set(map(id, errors))) == 1
    with pytest.raises(ConnectionError, match="2"):
        await failing(1)


async def test_who_computes_is_cancelled() -> None:
    """One of those who wait takes over, and none of them sees it."""
    calls: list[str] = []
    values: list[str] = []

    @cached
    async def slow(x: int) -> str:
        calls.append(name := f"call {len(calls)}")
        await anyio.wait_all_tasks_blocked()
        return name

    async def ask() -> None:
        values.append(await slow(1))

    async def ask_and_leave(scope: anyio.CancelScope) -> None:
        with scope:
            await ask()

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(ask_and_leave, scope)
        while not calls:  # noqa: ASYNC110 - each step counts
            await checkpoint()
        group.start_soon(ask)
        group.start_soon(ask)
        while slow.cache.stats().joins < 2:  # noqa: ASYNC110 - as above
            await checkpoint()
        scope.cancel()
    assert values == ["call 1"] * 2
    assert slow.cache_info().currsize == 1


async def test_cancelled_at_every_pause() -> None:
    """Wherever it is cut, nothing is left over, and the next call computes."""

    @cached
    async def slow(x: int) -> int:
        await checkpoint()
        await checkpoint()
        return x

    n = 1
    while await cancelled_at(n, slow, n):
        assert slow.cache_info().currsize == 0
        assert "0 being computed" in repr(slow.cache)
        n += 1
    assert n > 2
    assert await slow(n) == n


async def test_recursion() -> None:
    """What would wait for itself is an error, in a child task as well."""

    @cached
    async def alone(x: int) -> int:
        async with anyio.create_task_group() as group:  # noqa: ASYNC112 - the subject
            group.start_soon(alone, x)
        return x

    @cached
    async def fib(n: int) -> int:
        return n if n < 2 else await fib(n - 1) + await fib(n - 2)

    with pytest.raises(BaseException) as info:
        await alone(1)
    error: Any = info.value
    while not isinstance(error, RecursiveComputeError):
        [error] = error.exceptions
    assert error.keys == ((1,),)
    assert await fib(15) == 610
    assert fib.cache_info() == (13, 16, 128, 16)


async def test_generators_are_refused() -> None:
    """An async generator can be used up only once."""

    async def numbers() -> Any:
        yield 1

    class Numbers:
        async def __call__(self) -> Any:
            yield 1

    for each in (numbers, Numbers(), functools.partial(numbers)):
        with pytest.raises(TypeError, match="makes a generator"):
            cached(each)


async def test_other_async_callables() -> None:
    """Objects with an async `__call__` and partials are awaited and kept."""

    class Later:
        async def __call__(self, x: int) -> list[int]:
            await checkpoint()
            return [x]

    async def pair(x: int, y: int) -> list[int]:
        await checkpoint()
        return [x, y]

    several: list[Any] = [cached(Later()), cached(functools.partial(pair, 5))]
    for each in several:
        assert inspect.iscoroutinefunction(each)
        assert await each(1) is await each(1)
        assert each.cache_info() == (1, 1, 128, 1)


async def test_ttl_and_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old value stands in for one that can't be computed, and then no more."""
    clock = ManualClock()
    monkeypatch.setattr(clocks, "monotonic", clock.now)
    down = False

    @cached(ttl=10, stale=5)
    async def fetch(x: int) -> object:
        await checkpoint()
        if down:
            raise ConnectionError
        return object()

    first = await fetch(1)
    clock.advance(9)
    assert await fetch(1) is first
    clock.advance(1)
    down = True
    assert await fetch(1) is first
    clock.advance(5)
    with pytest.raises(ConnectionError):
        await fetch(1)


async def test_key_and_shared_cache() -> None:
    """They are for async functions as well, and one cache serves both colours."""
    cache: Cache[Any, Any] = Cache()

    @cached(cache=cache, key=str.lower)
    async def later(name: str) -> list[str]:
        return [name]

    @cached(cache=cache, key=str.lower)
    def now(name: str) -> list[str]:
        return [name]

    assert await later("Ada") is await later("ADA")
    assert now("Ada") is now("ADA") is not await later("ada")
    assert len(cache) == 2
    later.cache_clear()
    assert len(cache) == 1
    assert now.cache_invalidate("aDA")


async def test_errors_of_keys() -> None:
    """They come when it is awaited, from the key itself."""
    with pytest.raises(TypeError, match="unhashable"):
        await fetch([])  # type: ignore[arg-type]  # on purpose
    assert "0 being computed" in repr(fetch.cache)


def test_loops_and_threads_at_once() -> None:
    """Two loops of asyncio and one of trio share one computation with a thread."""
    begun, go = threading.Event(), threading.Event()
    calls: list[int] = []
    values: list[object] = []
    cache: Cache[Any, object] = Cache()

    @cached(cache=cache)
    async def slow(x: int) -> object:
        calls.append(x)
        begun.set()
        while not go.is_set():  # noqa: ASYNC110 - of threads
            await checkpoint()
        return object()

    async def ask() -> None:
        values.append(await slow(1))

    def in_a_thread() -> None:
        assert begun.wait(10)
        [key] = cache._store.flights
        values.append(cache.get_or_compute(key, object))

    worlds: list[Callable[[], object]] = [
        lambda: asyncio.run(ask()),
        lambda: asyncio.run(ask()),
        lambda: trio.run(ask),
        in_a_thread,
    ]
    with threads(*worlds):
        eventually(lambda: cache.stats().joins == 3)
        go.set()
    assert calls == [1]
    assert len(values) == 4
    assert len(set(values)) == 1
