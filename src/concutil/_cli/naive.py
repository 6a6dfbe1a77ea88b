"""The rate limiter that everyone writes first, to show what it does.

A semaphore bounds how many run at once, and "sleep until the last call plus an
interval" is meant to space them. But all who hold a place read the same last call,
sleep the same time and start together, so up to *max_concurrent* times the rate goes
out. It also keeps its place for ever when cancelled while it sleeps, has to be
written once for threads and once for tasks, and neither can be shared with the other,
nor with a second event loop. Nothing in concutil uses it.
"""

from __future__ import annotations

import threading
import time

import anyio

from .._runtime import clock


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
