"""Hold threads, asyncio tasks and trio tasks to one limit, all at the same time.

    python examples/one_limiter_everywhere.py

Needs trio: python -m pip install trio
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter

import trio

from concutil import RateLimiter

PER_SECOND = 200
CALLS_EACH = 20

limiter = RateLimiter(f"{PER_SECOND}/s", name="everywhere")
entered: list[tuple[float, str]] = []  # when, and from where


def in_a_thread() -> None:
    for _ in range(CALLS_EACH):
        with limiter:
            entered.append((time.monotonic(), "thread"))


async def in_asyncio() -> None:
    for _ in range(CALLS_EACH):
        async with limiter:
            entered.append((time.monotonic(), "asyncio"))


async def in_trio() -> None:
    for _ in range(CALLS_EACH):
        async with limiter:
            entered.append((time.monotonic(), "trio"))


def main() -> None:
    threads = [
        threading.Thread(target=in_a_thread),
        threading.Thread(target=lambda: asyncio.run(in_asyncio())),
        threading.Thread(target=lambda: trio.run(in_trio)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    times = [when for when, _ in sorted(entered)]
    seconds = times[-1] - times[0]
    first_half = Counter(where for _, where in sorted(entered)[: len(times) // 2])
    print(f"{len(times)} calls in {seconds:.2f} s, at most {PER_SECOND} per second")
    print(f"the first half of them: {dict(sorted(first_half.items()))}")
    print(limiter.stats())


if __name__ == "__main__":
    main()
