"""Measure the rate limiter that most of us write first, and concutil's beside it.

    python examples/naive_limiter.py

Both are told to let 100 calls per second through, ten at once. The calls themselves
take no time, so what is measured is the limiter alone.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager

from concutil import RateLimiter

PER_SECOND = 100
AT_ONCE = 10
CALLS = 40


class NaiveLimiter:
    """A semaphore, and a pause until the last call plus an interval."""

    def __init__(self, per_second: float, at_once: int) -> None:
        self.places = asyncio.Semaphore(at_once)
        self.interval = 1 / per_second
        self.last_call = 0.0

    async def __aenter__(self) -> None:
        await self.places.acquire()
        pause = self.last_call + self.interval - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        self.last_call = time.monotonic()

    async def __aexit__(self, *_: object) -> None:
        self.places.release()


async def rate_through(limiter: AbstractAsyncContextManager[None]) -> float:
    """Return how many calls per second *limiter* lets through."""
    entered: list[float] = []

    async def call() -> None:
        async with limiter:
            entered.append(time.monotonic())

    await asyncio.gather(*(call() for _ in range(CALLS)))
    # CALLS moments have one gap less between them.
    return (CALLS - 1) / (max(entered) - min(entered))


async def places_after_a_cancelled_wait(limiter: NaiveLimiter) -> int:
    """Cancel a task in its pause, and return how many places are left after it."""

    async def call() -> None:
        async with limiter:
            pass

    await call()  # so that the next one has to pause
    waiting = asyncio.create_task(call())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    left = 0
    while not limiter.places.locked():
        await limiter.places.acquire()
        left += 1
    return left


async def main() -> None:
    naive = await rate_through(NaiveLimiter(PER_SECOND, AT_ONCE))
    ours = await rate_through(RateLimiter(f"{PER_SECOND}/s", max_concurrent=AT_ONCE))
    left = await places_after_a_cancelled_wait(NaiveLimiter(PER_SECOND, AT_ONCE))
    print(f"limit           {PER_SECOND:6.0f} calls per second")
    print(f"naive limiter   {naive:6.0f}")
    print(f"RateLimiter     {ours:6.0f}")
    print(f"After one cancelled wait the naive one has {left} of {AT_ONCE} places.")


if __name__ == "__main__":
    asyncio.run(main())
