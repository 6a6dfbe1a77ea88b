"""Virtual time: sleeps take none of the real one, and the order is fixed."""

from __future__ import annotations

import asyncio
import threading
from time import perf_counter

import anyio
import pytest

from concutil import RateLimiter
from concutil._runtime import clock

from .virtual_loop import VirtualLoop
from .virtual_time import BACKENDS, Backend, run, settle

YEAR_S = 365 * 24 * 3600.0

both = pytest.mark.parametrize("backend", BACKENDS)


@both
def test_sleeps_take_no_real_time(backend: Backend) -> None:
    """A year passes at once, and timers go off in the order of their times."""
    went_off: list[tuple[float, float]] = []

    async def sleep(seconds: float) -> None:
        await anyio.sleep(seconds)
        went_off.append((seconds, round(anyio.current_time(), 3)))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for seconds in (YEAR_S, 0.25, 3600.0):
                tasks.start_soon(sleep, seconds)

    began = perf_counter()
    run(backend, main)
    assert perf_counter() - began < 10
    assert went_off == [(it, it) for it in (0.25, 3600.0, YEAR_S)]


@both
def test_settling_lets_no_time_pass(backend: Backend) -> None:
    """Whoever settles goes on when all others wait, before any timer goes off."""
    done: list[str] = []

    async def work() -> None:
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        done.append("worked")
        await anyio.sleep(1e-6)
        done.append("slept")

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            await settle()
            assert done == ["worked"]
            assert anyio.current_time() == 0

    run(backend, main)
    assert done == ["worked", "slept"]


@both
def test_concutil_reads_the_same_time(backend: Backend) -> None:
    """What concutil makes in virtual time waits in virtual time."""

    async def main() -> float:
        limiter = RateLimiter("1/hour", slack=0)
        for _ in range(3):
            async with limiter:
                pass
        return anyio.current_time()

    real = clock.monotonic
    assert run(backend, main) == pytest.approx(2 * 3600.0)
    assert clock.monotonic is real


def test_order_of_trio_depends_on_the_seed_alone() -> None:
    """The same seed gives the same order of tasks, and seeds differ."""

    def order(seed: int) -> tuple[int, ...]:
        ran: list[int] = []

        async def task(number: int) -> None:
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
                ran.append(number)

        async def main() -> None:
            async with anyio.create_task_group() as tasks:
                for number in range(4):
                    tasks.start_soon(task, number)

        run("trio", main, seed=seed)
        return tuple(ran)

    orders = [order(seed) for seed in range(4)]
    assert orders == [order(seed) for seed in range(4)]
    assert len(set(orders)) > 1


def test_late_timers_are_late_by_that_much() -> None:
    """With a lateness, each jump of the loop's time goes too far by it."""

    async def main() -> float:
        for _ in range(3):
            await asyncio.sleep(1)
        return anyio.current_time()

    assert run("asyncio", main, lateness=0.25) == pytest.approx(3.75)


def test_smallest_step_ends() -> None:
    """A timer closer than a float can tell goes off all the same."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(YEAR_S)
        due = loop.create_future()
        loop.call_at(loop.time() + 2e-9, due.set_result, None)
        await due
        return loop.time()

    assert run("asyncio", main) == pytest.approx(YEAR_S)


def test_loop_without_timers_waits_for_other_threads() -> None:
    """With nothing to jump to, the loop really waits to be woken from outside."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        answer = loop.create_future()
        thread = threading.Thread(
            target=loop.call_soon_threadsafe, args=(answer.set_result, "from outside")
        )
        thread.start()
        result = await answer
        thread.join()
        return str(result)

    assert run("asyncio", main) == "from outside"
