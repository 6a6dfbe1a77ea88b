"""Rate limiters with bugs planted in their sense of time, for the soak to find."""

from __future__ import annotations

import threading
from itertools import cycle

import anyio

from concutil._runtime import clock


class BooksAhead:
    """A bucket that fills with time; who overdraws it sleeps it off. No bug."""

    def __init__(self, rate: float, burst: float) -> None:
        self.now = clock.monotonic
        self.rate = rate
        self.burst = burst
        self.permits = burst
        self.since = self.now()

    async def __aenter__(self) -> None:
        await anyio.sleep(self.book(self.now()))

    async def __aexit__(self, *exc: object) -> None:
        """Leave."""

    def __enter__(self) -> None:
        _sleep(self.book(self.now()))

    def __exit__(self, *exc: object) -> None:
        """Leave."""

    def book(self, now: float) -> float:
        """Take a permit, and return the seconds until it may be used."""
        earned = (now - self.since) * self.rate
        self.since = now
        self.permits = min(self.burst, self.permits + earned) - 1
        return max(0.0, -self.permits / self.rate)


class Drifts(BooksAhead):
    """Planted: each call mints a thousandth of a permit."""

    def book(self, now: float) -> float:
        """Take a little less than a permit."""
        wait = super().book(now)
        self.permits += 0.001
        return wait


class PreparesFirst(BooksAhead):
    """Some calls have something to do before they book. No bug."""

    def __init__(self, rate: float, burst: float) -> None:
        super().__init__(rate, burst)
        self.preparations = cycle((0.0, 0.4))

    async def __aenter__(self) -> None:
        await anyio.sleep(next(self.preparations))
        await super().__aenter__()

    def __enter__(self) -> None:
        _sleep(next(self.preparations))
        super().__enter__()


class BooksStaleTime(PreparesFirst):
    """Planted: the time is read before that, so it runs backwards for the bucket."""

    async def __aenter__(self) -> None:
        now = self.now()
        await anyio.sleep(next(self.preparations))
        await anyio.sleep(self.book(now))

    def __enter__(self) -> None:
        now = self.now()
        _sleep(next(self.preparations))
        _sleep(self.book(now))


def _sleep(seconds: float) -> None:
    never = threading.Lock()
    never.acquire()
    never.acquire(timeout=seconds)
