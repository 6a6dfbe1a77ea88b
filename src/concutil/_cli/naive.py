"""The rate limiter and the retry loop that everyone writes first, to show what they do.

A semaphore bounds how many run at once, and "sleep until the last call plus an
interval" is meant to space them. But all who hold a place read the same last call,
sleep the same time and start together, so up to *max_concurrent* times the rate goes
out. It also keeps its place for ever when cancelled while it sleeps, has to be
written once for threads and once for tasks, and neither can be shared with the other,
nor with a second event loop.

The retry loop waits as long each time, whatever the server says, and each caller is
alone with it: so all come back together, again and again, while nothing can be had, and
have used up their attempts when it could. Nothing in concutil uses either.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable

import anyio

from .._runtime import clock
from .flaky import Unavailable

RETRY_WAIT_S = 0.05


class _Pace:
    def __init__(self, calls_per_second: float) -> None:
        self._interval = 1.0 / calls_per_second
        self.last_call = 0.0

    def pause(self) -> float:
        return max(0.0, self.last_call + self._interval - clock.monotonic())


class NaiveThreadLimiter:
    """The naive limiter for threads."""

    def __init__(self, *, max_concurrent: int, calls_per_second: float) -> None:
        self._semaphore = threading.Semaphore(max_concurrent)
        self._pace = _Pace(calls_per_second)

    def __enter__(self) -> None:
        self._semaphore.acquire()
        time.sleep(self._pace.pause())
        self._pace.last_call = clock.monotonic()

    def __exit__(self, *exc_info: object) -> None:
        self._semaphore.release()


class NaiveTaskLimiter:
    """The naive limiter for the tasks of one event loop."""

    def __init__(self, *, max_concurrent: int, calls_per_second: float) -> None:
        self._semaphore = anyio.Semaphore(max_concurrent)
        self._pace = _Pace(calls_per_second)

    async def __aenter__(self) -> None:
        await self._semaphore.acquire()
        await anyio.sleep(self._pace.pause())
        self._pace.last_call = clock.monotonic()

    async def __aexit__(self, *exc_info: object) -> None:
        self._semaphore.release()


def naive_retry(attempts: int, fn: Callable[[], object]) -> None:
    """Call *fn* up to so many times, from a thread."""
    for _ in range(attempts - 1):
        try:
            fn()
        except Unavailable:
            time.sleep(RETRY_WAIT_S)
        else:
            return
    fn()


async def naive_aretry(attempts: int, fn: Callable[[], Awaitable[object]]) -> None:
    """Call *fn* up to so many times, from a task."""
    for _ in range(attempts - 1):
        try:
            await fn()
        except Unavailable:
            await anyio.sleep(RETRY_WAIT_S)
        else:
            return
    await fn()
