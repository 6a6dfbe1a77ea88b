"""What entering and leaving a limiter costs when nobody has to wait.

    python benchmarks/uncontended.py [--quick]

Every contestant is entered and left again and again by one thread or task. A limiter of
a rate does what `aiolimiter` does, one of places what a semaphore does. On asyncio a
free limiter, `aiolimiter` and `asyncio.Semaphore` go on without yielding (ours yields
every 10 ms), `anyio.Semaphore` yields each time; on trio all are checkpoints.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from side_by_side import (
    Measure,
    least,
    peer,
    print_head,
    print_table,
    wants_quick,
    with_ratios,
)

from concutil import Rate, RateLimiter

Block = AbstractContextManager[Any]
AsyncBlock = AbstractAsyncContextManager[Any]
Run = Callable[[Callable[[], Coroutine[Any, Any, float]]], float]

ENDLESS_PER_S = 1e9  # no machine gets there, so nobody waits

aiolimiter, anyio, trio = map(peer, ("aiolimiter", "anyio", "trio"))


def limiters() -> dict[str, Callable[[], RateLimiter]]:
    endless = [Rate(ENDLESS_PER_S * per, per) for per in (1, 60, 3600)]
    return {
        "RateLimiter, a rate": lambda: RateLimiter(endless[0]),
        "RateLimiter, places": lambda: RateLimiter(max_concurrent=1),
        "RateLimiter, both": lambda: RateLimiter(endless[0], max_concurrent=1),
        "RateLimiter, three rates": lambda: RateLimiter(*endless),
    }


def in_a_thread(make: Callable[[], Block], times: int) -> Measure:
    def measure() -> tuple[float]:
        block = make()
        start = time.perf_counter()
        for _ in range(times):
            with block:
                pass
        return ((time.perf_counter() - start) / times * 1e9,)

    return measure


def in_a_task(make: Callable[[], AsyncBlock], times: int, run: Run) -> Measure:
    async def enter_and_leave() -> float:
        block = make()
        start = time.perf_counter()
        for _ in range(times):
            async with block:
                pass
        return (time.perf_counter() - start) / times * 1e9

    return lambda: (run(enter_and_leave),)


def compare(title: str, contestants: dict[str, Measure], rounds: int) -> None:
    """Print what each takes, and how that compares with each of the peers."""
    peers = [name for name in contestants if name not in limiters()]
    best = least(contestants, rounds=rounds)
    headings = ("", "ns", *[f"/ {name}" for name in peers])
    print_table(title, headings, with_ratios(best, peers))


def run_on_asyncio(main: Callable[[], Coroutine[Any, Any, float]]) -> float:
    return asyncio.run(main())


def thread_peers() -> dict[str, Callable[[], Block]]:
    return {
        "threading.Semaphore": lambda: threading.Semaphore(1),
        "threading.BoundedSemaphore": lambda: threading.BoundedSemaphore(1),
    }


def asyncio_peers() -> dict[str, Callable[[], AsyncBlock]]:
    peers: dict[str, Callable[[], AsyncBlock]] = {}
    if aiolimiter is not None:
        peers["aiolimiter"] = lambda: aiolimiter.AsyncLimiter(ENDLESS_PER_S, 1)
    peers["asyncio.Semaphore"] = lambda: asyncio.Semaphore(1)
    if anyio is not None:
        peers["anyio.Semaphore"] = lambda: anyio.Semaphore(1)
    return peers


def trio_peers() -> dict[str, Callable[[], AsyncBlock]]:
    return {
        "trio.Semaphore": lambda: trio.Semaphore(1),
        "trio.CapacityLimiter": lambda: trio.CapacityLimiter(1),
    }


def in_threads(times: int) -> dict[str, Measure]:
    makers: dict[str, Callable[[], Block]] = {**thread_peers(), **limiters()}
    return {name: in_a_thread(make, times) for name, make in makers.items()}


def on_asyncio(times: int) -> dict[str, Measure]:
    makers: dict[str, Callable[[], AsyncBlock]] = {**asyncio_peers(), **limiters()}
    return {
        name: in_a_task(make, times, run_on_asyncio) for name, make in makers.items()
    }


def on_trio(times: int) -> dict[str, Measure]:
    makers: dict[str, Callable[[], AsyncBlock]] = {**trio_peers(), **limiters()}
    return {name: in_a_task(make, times, trio.run) for name, make in makers.items()}


def main() -> None:
    times, rounds = (20, 2) if wants_quick(__doc__) else (2_000, 100)
    print_head(__doc__, "aiolimiter", "anyio", "trio")
    compare("with x: pass", in_threads(times), rounds)
    compare("async with x: pass, on asyncio", on_asyncio(times), rounds)
    if trio is not None:
        compare("async with x: pass, on trio", on_trio(times), rounds)


if __name__ == "__main__":
    main()
