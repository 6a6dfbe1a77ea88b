from itertools import pairwise
from types import SimpleNamespace

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.testing

from concutil._cli import naive
from concutil._cli.flaky import Unavailable
from concutil._cli.naive import (
    NaiveCache,
    NaiveTaskLimiter,
    NaiveThreadLimiter,
    naive_aretry,
    naive_retry,
)


def test_tasks_that_hold_a_place_start_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten tasks with ten places, five per second wanted, start in one instant."""
    # Virtual time: trio's clock jumps to the next deadline.
    monkeypatch.setattr(naive, "clock", SimpleNamespace(monotonic=trio.current_time))
    starts: list[float] = []

    async def start_all() -> None:
        limiter = NaiveTaskLimiter(max_concurrent=10, calls_per_second=5)

        async def start() -> None:
            async with limiter:
                starts.append(trio.current_time())

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(start)

    virtual = trio.testing.MockClock(autojump_threshold=0)
    anyio.run(start_all, backend="trio", backend_options={"clock": virtual})
    assert starts == [starts[0]] * 10


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_all_places_come_back(backend: str) -> None:
    """On both event loops, who leaves makes room for the next."""

    async def enter_twice() -> None:
        limiter = NaiveTaskLimiter(max_concurrent=1, calls_per_second=1000)
        for _ in range(2):
            async with limiter:
                pass

    anyio.run(enter_twice, backend=backend)


def test_alone_it_keeps_its_interval() -> None:
    """One caller after another is spaced as asked, which is why it looks right."""
    limiter = NaiveThreadLimiter(max_concurrent=1, calls_per_second=100)
    starts: list[float] = []
    for _ in range(3):
        with limiter:
            starts.append(limiter._pace.last_call)
    assert all(later - earlier >= 0.01 for earlier, later in pairwise(starts))


class Failing:
    """Fails so many times, then succeeds."""

    def __init__(self, times: int) -> None:
        self.calls = 0
        self._times = times

    def call(self) -> None:
        self.calls += 1
        if self.calls <= self._times:
            raise Unavailable(1.0)

    async def acall(self) -> None:
        self.call()


@pytest.mark.parametrize("fails", [0, 1, 2])
def test_the_loop_tries_again(monkeypatch: pytest.MonkeyPatch, fails: int) -> None:
    """In a thread and in a task, the naive loop goes on until a call succeeds."""
    monkeypatch.setattr(naive, "RETRY_WAIT_S", 0)
    in_thread, in_task = Failing(fails), Failing(fails)
    naive_retry(3, in_thread.call)
    anyio.run(naive_aretry, 3, in_task.acall)
    assert in_thread.calls == in_task.calls == fails + 1


def test_the_loop_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many attempts the naive loop raises what the last one did."""
    monkeypatch.setattr(naive, "RETRY_WAIT_S", 0)
    in_thread, in_task = Failing(9), Failing(9)
    with pytest.raises(Unavailable):
        naive_retry(3, in_thread.call)
    with pytest.raises(Unavailable):
        anyio.run(naive_aretry, 3, in_task.acall)
    assert in_thread.calls == in_task.calls == 3


def test_a_naive_cache_computes_for_each_who_looks_in_time() -> None:
    """Whoever looks between another one's look and store computes as well."""
    cache = NaiveCache[int]()
    inner = cache.get_or_compute
    assert inner("a", lambda: inner("a", lambda: 1) + 1) == 2
    assert inner("a", lambda: 3) == 2


def test_a_naive_cache_of_tasks_does_so_too() -> None:
    """Between its look and its store a task lets all others look."""
    cache = NaiveCache[int]()
    computed: list[int] = []

    async def compute() -> int:
        await anyio.lowlevel.checkpoint()
        computed.append(1)
        return len(computed)

    async def stampede() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(cache.aget_or_compute, "a", compute)
        assert len(computed) == 3
        assert await cache.aget_or_compute("a", compute) == 3

    anyio.run(stampede)
