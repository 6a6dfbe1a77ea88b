"""Waiting in a thread."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from contextlib import suppress
from math import inf
from typing import Final, final

from . import clock

# Only the main thread is interrupted by Ctrl-C. On Windows no wait for a lock is, and
# elsewhere a signal that comes in the instant before the wait begins is not noticed
# until it ends: so the main thread waits in slices. (Not run on Windows yet.)
_SLICE_S: Final = 0.25


@final
class ThreadWaiter:
    """A thread that may be parked: a lock that is held until somebody wakes it.

    A wake-up that comes before the parking ends that parking at once.
    """

    __slots__ = ("_gate",)

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()

    def wake(self) -> bool:
        """End the parking; a thread that is gone can't be told from one that waits."""
        with suppress(RuntimeError):  # it was woken already, and hasn't run yet
            self._gate.release()
        return True

    def is_leaving(self) -> bool:
        """Nobody cancels a thread."""
        return False

    def block(self, until: float) -> None:
        """Block this thread until it is woken or *until*, or at whim before."""
        if threading.get_ident() == threading.main_thread().ident:
            until = min(until, clock.monotonic() + _SLICE_S)
        if until == inf:
            self._gate.acquire()
            return
        patience = max(0.0, until - clock.monotonic())
        self._gate.acquire(timeout=min(patience, threading.TIMEOUT_MAX))

    def close(self) -> None:
        """A thread's waiter holds nothing."""


@final
class ThreadsWorld:
    """All threads that run no event loop, or block the one they run."""

    __slots__ = ()

    line: Hashable = "threads"

    def now(self) -> float:
        """Return the system's monotonic time."""
        return clock.monotonic()

    def waiter(self) -> ThreadWaiter:
        """Return a waiter for this thread."""
        return ThreadWaiter()

    async def park(self, waiter: ThreadWaiter, until: float) -> None:
        """Block this thread; there is nothing to suspend."""
        waiter.block(until)

    async def sleep(self, seconds: float) -> None:
        """Block this thread."""
        ThreadWaiter().block(self.now() + seconds)

    async def checkpoint(self) -> None:
        """Do nothing: the operating system lets other threads run."""


THREADS: Final = ThreadsWorld()
