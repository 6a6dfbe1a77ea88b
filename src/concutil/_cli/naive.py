"""The limiter, retry loop and cache that everyone writes first, to show what they do.

A semaphore bounds how many run at once, and "sleep until the last call plus an
interval" is meant to space them. But all who hold a place read the same last call,
sleep the same time and start together, so up to *max_concurrent* times the rate goes
out. It also keeps its place for ever when cancelled while it sleeps, has to be
written once for threads and once for tasks, and neither can be shared with the other,
nor with a second event loop.

The retry loop waits as long each time, whatever the server says, and each caller is
alone with it: so all come back together, again and again, while nothing can be had, and
have used up their attempts when it could.

The cache has a lock around each look and each store, as one is told to. In between all
who look find nothing, and all of them compute. Nothing in concutil uses any of these.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from .._runtime import clock
from .flaky import Unavailable

RETRY_WAIT_S = 0.05

V = TypeVar("V")


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


class NaiveCache(Generic[V]):
    """The naive cache, for threads and tasks."""

    def __init__(self) -> None:
        self._values: dict[str, V] = {}
        self._lock = threading.Lock()

    def get_or_compute(self, key: str, fn: Callable[[], V]) -> V:
        """Return what there is for *key*, or compute it, from a thread."""
        with self._lock:
            if key in self._values:
                return self._values[key]
        value = fn()
        with self._lock:
            self._values[key] = value
        return value

    # Twice, as everyone writes it.
    async def aget_or_compute(  # noqa: HC2 - see above
        self, key: str, fn: Callable[[], Awaitable[V]]
    ) -> V:
        """Return what there is for *key*, or compute it, from a task."""
        with self._lock:
            if key in self._values:
                return self._values[key]
        value = await fn()
        with self._lock:
            self._values[key] = value
        return value
