"""What many waiting tasks cost: to start, to let in, and to cancel.

    python benchmarks/waiters.py [--quick]

First 10,000 tasks wait at a limit of 1,000/s until 2,000 are let in; then all others
are cancelled. Beside them 10,000 tasks sleep until their turn would come, each with a
timer of its own: the least that waiting for different times can cost on asyncio. Then
what a single waiter costs when 1,000, 10,000 or 100,000 wait: it should not grow more
than a task that sleeps does. All times are CPU time of this process, but "took", which
is by the clock.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from side_by_side import (
    Cell,
    Measure,
    least,
    peer,
    print_head,
    print_table,
    wants_quick,
)

from concutil import RateLimiter

RATE_PER_S = 1_000
Client = Coroutine[Any, Any, None]
AsyncBlock = AbstractAsyncContextManager[Any]
Make = Callable[[], AsyncBlock]
MakeClients = Callable[[int], list[Client]]

aiolimiter, anyio = map(peer, ("aiolimiter", "anyio"))


def sleepers(number: int) -> list[Client]:
    return [asyncio.sleep(i / RATE_PER_S) for i in range(number)]


def clients_of(block: AsyncBlock, number: int) -> list[Client]:
    async def client() -> None:
        async with block:
            pass

    return [client() for _ in range(number)]


def waiting_for_time() -> dict[str, MakeClients]:
    """Return what makes clients that each wait for an instant of their own."""
    makers: dict[str, MakeClients] = {
        "asyncio.sleep": sleepers,
        "RateLimiter": lambda n: clients_of(RateLimiter(f"{RATE_PER_S}/s"), n),
    }
    if aiolimiter is not None:
        limiter = aiolimiter.AsyncLimiter
        makers["aiolimiter"] = lambda n: clients_of(limiter(1, 1 / RATE_PER_S), n)
    return makers


def waiting_for_a_place() -> dict[str, Make]:
    """Return what makes blocks with a single place."""
    makers: dict[str, Make] = {
        "asyncio.Semaphore": lambda: asyncio.Semaphore(1),
        "RateLimiter": lambda: RateLimiter(max_concurrent=1),
    }
    if anyio is not None:
        makers["anyio.Semaphore"] = lambda: anyio.Semaphore(1)
    return makers


async def wait_and_cancel(
    make: MakeClients, number: int, let_in: int
) -> tuple[float, ...]:
    """Return the CPU time to start, wait, do both, and cancel; and what both took."""
    gc.collect()
    begun = time.perf_counter()
    at = [time.process_time()]
    tasks = [asyncio.ensure_future(client) for client in make(number)]
    await asyncio.sleep(0)
    at.append(time.process_time())
    missing = let_in
    while missing > 0:
        await asyncio.sleep(missing / RATE_PER_S)
        missing = let_in - sum(task.done() for task in tasks)
    at.append(time.process_time())
    took = time.perf_counter() - begun
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    at.append(time.process_time())
    return at[1] - at[0], at[2] - at[1], at[2] - at[0], at[3] - at[2], took


async def start_and_cancel(make: MakeClients, number: int) -> tuple[float, ...]:
    """Return the CPU time of one waiter, in µs: to start it, to cancel it, both."""
    start, _, _, cancel, _ = await wait_and_cancel(make, number, 0)
    return tuple(it / number * 1e6 for it in (start, cancel, start + cancel))


async def hand_on(make: Make, number: int) -> tuple[float]:
    """Return the CPU time, in µs, in which one waiter comes, gets a place and goes."""
    gc.collect()
    begun = time.process_time()
    async with (block := make()):
        tasks = [asyncio.ensure_future(client) for client in clients_of(block, number)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    return ((time.process_time() - begun) / number * 1e6,)


def on_asyncio(
    measure: Callable[..., Coroutine[Any, Any, tuple[float, ...]]], *args: Any
) -> Measure:
    return lambda: asyncio.run(measure(*args))


def compare_waiting(number: int, let_in: int, rounds: int) -> None:
    makers = waiting_for_time()
    best = least(
        {
            name: on_asyncio(wait_and_cancel, make, number, let_in)
            for name, make in makers.items()
        },
        rounds=rounds,
    )
    rows: list[list[Cell]] = []
    for name, (*times, took) in best.items():
        row: list[Cell] = [name]
        for figure, beside in zip(times, best["asyncio.sleep"], strict=False):
            row += [f"{figure:.3f}", figure / beside]
        rows.append([*row, took])
    headings = ["", "start", "/ sleep", "wait", "/ sleep", "both", "/ sleep"]
    headings += ["cancel", "/ sleep", "took"]
    title = f"{number:,} tasks, {let_in:,} let in at {RATE_PER_S:,}/s: seconds of CPU"
    print_table(title, headings, rows)


def compare_numbers(rounds: dict[int, int]) -> None:
    """Print what a waiter costs for each number of them, least of so many rounds."""
    lives: dict[str, Callable[[int], Measure]] = {
        f"{name}: start and cancel": partial(on_asyncio, start_and_cancel, make)
        for name, make in waiting_for_time().items()
    }
    for name, block in waiting_for_a_place().items():
        lives[f"{name}: come, get a place, go"] = partial(on_asyncio, hand_on, block)
    columns = [
        least({name: life(number) for name, life in lives.items()}, rounds=times)
        for number, times in rounds.items()
    ]
    rows: list[list[Cell]] = []
    for name in lives:
        figures = [column[name][-1] for column in columns]
        texts = [f"{figure:.2f}" for figure in figures]
        rows.append([name, *texts, figures[-1] / figures[0]])
    headings = ["waiting:", *[f"{number:,}" for number in rounds], "last / first"]
    print_table("One waiter among many: µs of CPU", headings, rows)


def main() -> None:
    quick = wants_quick(__doc__)
    print_head(__doc__, "aiolimiter", "anyio")
    if quick:
        compare_waiting(100, 20, rounds=1)
        compare_numbers({10: 1, 100: 1})
    else:
        compare_waiting(10_000, 2_000, rounds=5)
        compare_numbers({1_000: 10, 10_000: 5, 100_000: 2})


if __name__ == "__main__":
    main()
