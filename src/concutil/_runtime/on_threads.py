"""Waiting in a thread."""

from __future__ import annotations

import sys
import threading
from collections.abc import Hashable
from contextlib import suppress
from math import inf
from typing import Final, final

from . import clock

# Windows delivers Ctrl-C only between waits for a lock; elsewhere it ends them.
# (Not run on Windows yet.)
_LONGEST_WAIT_S: Final = 0.25 if sys.platform == "win32" else threading.TIMEOUT_MAX


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

    def block(self, until: float) -> None:
        """Block this thread until it is woken or *until*, or at whim before."""
        if until == inf and _LONGEST_WAIT_S == threading.TIMEOUT_MAX:
            self._gate.acquire()
            return
        patience = min(until - clock.monotonic(), _LONGEST_WAIT_S)
        self._gate.acquire(timeout=max(0.0, patience))

    def close(self) -> None:
        """A thread's waiter holds nothing."""


@final
class ThreadsWorld:
    """All threads that run no event loop, or block the one they run."""

    __slots__ = ()

    line: Hashable = "threads"

    def waiter(self) -> ThreadWaiter:
        """Return a waiter for this thread."""
        return ThreadWaiter()

    async def park(self, waiter: ThreadWaiter, until: float) -> None:
        """Block this thread; there is nothing to suspend."""
        waiter.block(until)

    async def checkpoint(self) -> None:
        """Do nothing: the operating system lets other threads run."""


THREADS: Final = ThreadsWorld()
