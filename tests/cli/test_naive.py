from itertools import pairwise
from types import SimpleNamespace

import anyio
import pytest
import trio
import trio.testing

from concutil._cli import naive
from concutil._cli.naive import NaiveTaskLimiter, NaiveThreadLimiter


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
