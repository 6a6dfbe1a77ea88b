"""What would wait for itself is an error that names the keys, in any world."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import product
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from concutil import Cache, RecursiveComputeError
from insides import waiters_of
from patience import LONG_S, eventually

WORLDS = ["thread", "asyncio", "trio"]


def test_a_key_that_needs_itself() -> None:
    """Asked for again in its own computation, it is an error and not a hang."""
    cache: Cache[str, int] = Cache()

    def compute() -> int:
        return cache.get_or_compute("a", compute)

    with pytest.raises(RecursiveComputeError, match="'a' needs 'a'") as caught:
        cache.get_or_compute("a", compute)

    assert caught.value.keys == ("a",)
    assert cache._store.flights == {}
    assert cache.get_or_compute("a", lambda: 1) == 1


def test_a_key_that_needs_itself_through_others() -> None:
    """The keys are named in the order in which they need each other."""
    cache: Cache[str, int] = Cache()

    def compute(key: str) -> int:
        following = "bca"["abc".index(key)]
        return cache.get_or_compute(following, lambda: compute(following))

    with pytest.raises(RecursiveComputeError) as caught:
        cache.get_or_compute("a", lambda: compute("a"))

    assert caught.value.keys == ("a", "b", "c")
    assert str(caught.value) == (
        "'a' needs 'b' needs 'c' needs 'a': a computation that waits for itself"
    )


def test_the_computation_may_go_on_without() -> None:
    """The error is raised where the key is asked for, and can be handled there."""
    cache: Cache[str, int] = Cache()

    def compute() -> int:
        with pytest.raises(RecursiveComputeError):
            cache.get_or_compute("a", int)
        return 5

    assert cache.get_or_compute("a", compute) == 5


def test_recursion_over_other_keys_is_fine() -> None:
    """A computation may ask for other keys, as deep as it likes."""
    cache: Cache[int, int] = Cache()

    def fibonacci(n: int) -> int:
        if n < 2:
            return n
        return sum(
            cache.get_or_compute(m, lambda m=m: fibonacci(m)) for m in (n - 1, n - 2)
        )

    assert cache.get_or_compute(60, lambda: fibonacci(60)) == 1548008755920
    assert cache.stats().computes == 61


def test_two_caches_that_need_each_other() -> None:
    """Detection is over all caches of the program."""
    one: Cache[str, int] = Cache()
    two: Cache[str, int] = Cache()

    def compute() -> int:
        return two.get_or_compute("b", lambda: one.get_or_compute("a", int))

    with pytest.raises(RecursiveComputeError) as caught:
        one.get_or_compute("a", compute)
    assert caught.value.keys == ("a", "b")


@pytest.mark.anyio
async def test_in_one_task() -> None:
    """The same for async functions."""
    cache: Cache[str, int] = Cache()

    async def compute() -> int:
        return await cache.aget_or_compute("a", compute)

    with pytest.raises(RecursiveComputeError) as caught:
        await cache.aget_or_compute("a", compute)
    assert caught.value.keys == ("a",)


@pytest.mark.anyio
async def test_through_a_child_task() -> None:
    """A task that the computation starts, and waits for, belongs to it."""
    cache: Cache[str, int] = Cache()
    errors = []

    async def child() -> None:
        try:
            await cache.aget_or_compute("a", compute)
        except RecursiveComputeError as error:
            errors.append(error)

    async def compute() -> int:
        async with anyio.create_task_group() as group:  # noqa: ASYNC112 - the subject
            group.start_soon(child)
        return 1

    assert await cache.aget_or_compute("a", compute) == 1
    assert [error.keys for error in errors] == [("a",)]


@pytest.mark.anyio
async def test_through_a_worker_thread() -> None:
    """A worker thread that the computation waits for belongs to it as well."""
    cache: Cache[str, int] = Cache()

    async def compute() -> int:
        return await anyio.to_thread.run_sync(
            cache.get_or_compute, "b", lambda: cache.get_or_compute("a", int)
        )

    with pytest.raises(RecursiveComputeError) as caught:
        await cache.aget_or_compute("a", compute)
    assert caught.value.keys == ("a", "b")


@pytest.mark.anyio
async def test_through_a_worker_thread_and_back() -> None:
    """A worker thread that calls back into the loop belongs to it too."""
    cache: Cache[str, int] = Cache()

    def work() -> int:
        return anyio.from_thread.run(cache.aget_or_compute, "a", other)

    async def compute() -> int:
        return await anyio.to_thread.run_sync(work)

    with pytest.raises(RecursiveComputeError) as caught:
        await cache.aget_or_compute("a", compute)
    assert caught.value.keys == ("a",)


def test_through_a_worker_thread_of_asyncio() -> None:
    """The same with asyncio's own way into a thread."""
    cache: Cache[str, int] = Cache()

    async def compute() -> int:
        return await asyncio.to_thread(cache.get_or_compute, "a", int)

    with pytest.raises(RecursiveComputeError):
        asyncio.run(cache.aget_or_compute("a", compute))


def test_through_a_loop_in_the_computation() -> None:
    """A sync computation that runs a loop for a while is no way round."""
    cache: Cache[str, int] = Cache()

    async def ask() -> int:
        return await cache.aget_or_compute("a", ask)

    with pytest.raises(RecursiveComputeError) as caught:
        cache.get_or_compute("a", lambda: asyncio.run(ask()))
    assert caught.value.keys == ("a",)


class Agents:
    """Computations in worlds of their own, each of which needs the next one's key."""

    def __init__(self, worlds: list[str]) -> None:
        self.cache: Cache[int, int] = Cache()
        self.worlds = worlds
        self.started = threading.Barrier(len(worlds))
        self.errors: list[BaseException] = []
        self.threads = [
            threading.Thread(target=self.guarded(number), daemon=True)
            for number in range(len(worlds))
        ]

    def next(self, number: int) -> int:
        return (number + 1) % len(self.worlds)

    def guarded(self, number: int) -> Callable[[], None]:
        def run() -> None:
            try:
                self.lead(number)
            except BaseException as error:  # noqa: ASYNC103, BLE001 - looked at below
                self.errors.append(error)

        return run

    def lead(self, number: int) -> None:
        """Compute a key, and once all are at it ask for the next one."""
        if self.worlds[number] == "thread":
            self.cache.get_or_compute(number, lambda: self.need(number))
        else:
            anyio.run(
                self.cache.aget_or_compute,
                number,
                lambda: self.aneed(number),
                backend=self.worlds[number],
            )

    def need(self, number: int) -> int:
        self.started.wait(LONG_S)
        return self.cache.get_or_compute(self.next(number), int)

    async def aneed(self, number: int) -> int:
        self.started.wait(LONG_S)  # each has a loop of its own
        return await self.cache.aget_or_compute(self.next(number), other)

    def run(self) -> list[BaseException]:
        """Let them all run, and return what each was told."""
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join(LONG_S)
            assert not thread.is_alive(), "a circle that nobody saw"
        return self.errors


@pytest.mark.parametrize(
    "worlds",
    [
        *[list(it) for it in product(WORLDS, WORLDS)],
        ["thread"] * 3,
        ["asyncio"] * 3,
        WORLDS,
        ["thread"] * 4,
        ["trio"] * 4,
        [*WORLDS, "asyncio"],
    ],
    ids="-".join,
)
def test_a_circle_over_several_agents(worlds: list[str]) -> None:
    """Whoever closes the circle gets the error, and so all fail instead of hanging."""
    for _ in range(3):
        agents = Agents(worlds)
        errors = agents.run()

        assert [type(it) for it in errors] == [RecursiveComputeError] * len(worlds)
        assert agents.cache._store.flights == {}
        for error in errors:
            keys: Any = error.keys
            assert sorted(keys) == list(range(len(worlds)))
            for here, there in zip(keys, keys[1:] + keys[:1], strict=True):
                assert there == agents.next(here), "each needs the one named next"


async def other() -> int:
    """Compute something."""
    return 0


@pytest.mark.anyio
async def test_a_blocking_wait_on_the_loop_that_computes() -> None:
    """It would wait for ever: it is refused, and told what to do instead."""
    cache: Cache[str, int] = Cache()
    go = anyio.Event()

    async def compute() -> int:
        await go.wait()
        return 1

    async with anyio.create_task_group() as group:
        group.start_soon(cache.aget_or_compute, "a", compute)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(RecursiveComputeError) as caught:
            cache.get_or_compute("a", int)
        go.set()

    assert caught.value.keys == ("a",)
    assert str(caught.value) == (
        "waiting for 'a' here blocks the thread in which 'a' is computed:"
        " await it there, with aget_or_compute"
    )
    assert cache["a"] == 1, "the computation itself went on"


@pytest.mark.anyio
async def test_a_blocking_wait_for_who_needs_this_loop(calls) -> None:
    """It is refused as well if the loop is needed in two steps."""
    cache: Cache[str, int] = Cache()
    go, gate = anyio.Event(), calls.gate()

    async def compute() -> int:
        await go.wait()
        return 1

    async with anyio.create_task_group() as group:
        group.start_soon(cache.aget_or_compute, "a", compute)
        await anyio.wait_all_tasks_blocked()
        needing = calls.lead(
            "thread", cache, "b", lambda: cache.get_or_compute("a", int), gate
        )
        gate.open()
        eventually(lambda: len(waiters_of(cache._store.flights["a"])) == 1)
        with pytest.raises(RecursiveComputeError) as caught:
            cache.get_or_compute("b", int)
        go.set()

    assert caught.value.keys == ("b", "a")
    assert "in which 'b' needs 'a' is computed" in str(caught.value)
    assert needing.result() == 1


@pytest.mark.anyio
async def test_needing_a_loop_that_is_blocked(calls) -> None:
    """Who comes second sees it too: a thread that needs the loop that waits for it."""
    cache: Cache[str, int] = Cache()
    go, gate = anyio.Event(), calls.gate()
    errors: list[RecursiveComputeError] = []

    async def compute() -> int:
        await go.wait()
        return 1

    def needing() -> int:
        eventually(lambda: len(waiters_of(cache._store.flights["b"])) == 1)
        try:
            return cache.get_or_compute("a", int)
        except RecursiveComputeError as error:
            errors.append(error)
            return 5

    async with anyio.create_task_group() as group:
        group.start_soon(cache.aget_or_compute, "a", compute)
        await anyio.wait_all_tasks_blocked()
        calls.lead("thread", cache, "b", needing, gate)
        gate.open()
        assert cache.get_or_compute("b", int) == 5
        go.set()

    assert [sorted(map(str, error.keys)) for error in errors] == [["a", "b"]]
