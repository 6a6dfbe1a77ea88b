"""How much of a configured rate is reached by clients that come back at once.

    python benchmarks/throughput.py [--quick]

5,000 calls per second leave 200 µs from one to the next, less than timers are late by:
who waits for each turn anew loses what the timer was late. `RateLimiter` makes up for
that within its slack. `aiolimiter` is shown without a burst, as ours is, and with one
of a second's calls, which is spent before time is taken.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from clients import (
    AsyncBlock,
    Crowd,
    run_asyncio_tasks,
    run_threads,
    run_trio_tasks,
)
from side_by_side import Cell, peer, print_head, print_table, wants_quick

from concutil import RateLimiter

RATE_PER_S = 5_000
Scenario = Callable[[float], float]  # calls for so many seconds, and returns the rate

aiolimiter, trio = map(peer, ("aiolimiter", "trio"))


class Contestant(NamedTuple):
    """What is entered, and how many calls of its burst are made beforehand."""

    make: Callable[[], AsyncBlock]
    spent: int = 0


def limiter() -> RateLimiter:
    return RateLimiter(calls_per_second=RATE_PER_S)


def by_threads(number: int, seconds: float) -> float:
    shared, crowd = limiter(), Crowd(number, seconds)
    run_threads([partial(client.in_a_thread, shared) for client in crowd.clients])
    return crowd.rate()


async def by_asyncio_tasks(
    contestant: Contestant, number: int, seconds: float
) -> float:
    shared = contestant.make()
    for _ in range(contestant.spent):
        async with shared:
            pass
    crowd = Crowd(number, seconds)
    await run_asyncio_tasks([partial(it.in_a_task, shared) for it in crowd.clients])
    return crowd.rate()


def on_asyncio(contestant: Contestant, number: int, seconds: float) -> float:
    return asyncio.run(by_asyncio_tasks(contestant, number, seconds))


async def by_trio_tasks(number: int, seconds: float) -> float:
    shared, crowd = limiter(), Crowd(number, seconds)
    await run_trio_tasks([partial(it.in_a_task, shared) for it in crowd.clients])
    return crowd.rate()


def asyncio_contestants() -> dict[str, Contestant]:
    result = {"RateLimiter": Contestant(limiter)}
    if aiolimiter is not None:
        make = aiolimiter.AsyncLimiter
        result["aiolimiter"] = Contestant(partial(make, 1, 1 / RATE_PER_S))
        # Calls of its burst are no sign of the rate: they are made beforehand.
        burst = RATE_PER_S
        result["aiolimiter, burst 5,000"] = Contestant(partial(make, burst, 1), burst)
    return result


def scenarios() -> dict[str, Scenario]:
    result: dict[str, Scenario] = {
        "RateLimiter: 1 thread": partial(by_threads, 1),
        "RateLimiter: 8 threads": partial(by_threads, 8),
    }
    tasks = {"1 task": 1, "100 tasks": 100}
    if trio is not None:
        for name, number in tasks.items():
            run = partial(trio.run, by_trio_tasks, number)
            result[f"RateLimiter: {name} of trio"] = run
    for who, contestant in asyncio_contestants().items():
        for name, number in tasks.items():
            run = partial(on_asyncio, contestant, number)
            result[f"{who}: {name} of asyncio"] = run
    return result


def with_cpu(scenario: Scenario, seconds: float) -> tuple[float, float]:
    """Return the calls per second, and how much of a core they took."""
    cpu, start = time.process_time(), time.perf_counter()
    rate = scenario(seconds)
    return rate, (time.process_time() - cpu) / (time.perf_counter() - start)


def main() -> None:
    seconds, rounds = (0.02, 1) if wants_quick(__doc__) else (2.0, 3)
    print_head(__doc__, "aiolimiter", "trio")
    runs = scenarios()
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, scenario in runs.items():
            figures[name].append(with_cpu(scenario, seconds))
    rows: list[tuple[Cell, ...]] = []
    for name, pairs in figures.items():
        rates, cores = zip(*pairs, strict=True)
        low, high = min(rates), max(rates)
        shares = [f"{rate / RATE_PER_S:.3f}" for rate in (low, high)]
        rows.append((name, f"{low:,.0f}", f"{high:,.0f}", *shares, min(cores)))
    headings = ("", "least/s", "most/s", "least share", "most share", "cores taken")
    title = f"{RATE_PER_S:,}/s configured, for {seconds:g} s, in turn {rounds} times"
    print_table(title, headings, rows)


if __name__ == "__main__":
    main()
