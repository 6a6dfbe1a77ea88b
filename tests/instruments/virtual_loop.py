"""An asyncio loop that never sleeps: when nobody can run, its time jumps."""

from __future__ import annotations

import asyncio
import selectors
from math import inf, nextafter, ulp
from typing import final


@final
class JumpingSelector(selectors.DefaultSelector):
    """Look at the files, but instead of waiting for them let *now* jump.

    Args:
        lateness: Seconds by which each jump goes too far, as real timers are late.
    """

    def __init__(self, *, lateness: float = 0.0) -> None:
        super().__init__()
        self.now = 0.0
        self.lateness = lateness
        # Who wants to know when nobody else can run; they go before any timer.
        self.onlookers: list[asyncio.Future[None]] = []

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the files that are ready; if there are none, wait by jumping."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.onlookers:
            _finish(self.onlookers)
            return []
        if timeout is None:  # no timer: only another thread can wake this loop
            return super().select(None)
        # A step too small for the float would make this loop spin for ever.
        self.now = max(self.now + timeout + self.lateness, nextafter(self.now, inf))
        return []


def _finish(onlookers: list[asyncio.Future[None]]) -> None:
    for onlooker in onlookers:
        if not onlooker.done():
            onlooker.set_result(None)
    onlookers.clear()


@final
class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time moves only when all of its tasks wait.

    Work in other threads is not waited for while a timer is set.
    """

    def __init__(self, *, lateness: float = 0.0) -> None:
        self._jumping = JumpingSelector(lateness=lateness)
        super().__init__(self._jumping)

    # By so much asyncio lets timers go off early. Here they go off exactly in time;
    # less than this would be lost in the rounding of a late time, and they never would.
    @property
    def _clock_resolution(self) -> float:
        return ulp(self._jumping.now)

    @_clock_resolution.setter
    def _clock_resolution(self, resolution: float) -> None:
        """Ignore what the base class finds out about the real clock."""

    def time(self) -> float:
        """Return the virtual time in seconds; it begins at 0."""
        return self._jumping.now

    async def idle(self) -> None:
        """Wait until no other task can run, without letting time pass."""
        onlooker: asyncio.Future[None] = self.create_future()
        self._jumping.onlookers.append(onlooker)
        await onlooker
