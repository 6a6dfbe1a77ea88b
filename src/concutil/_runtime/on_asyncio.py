"""Waiting in a task of asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from math import inf
from typing import cast, final

from . import clock, waiters


@final
class AsyncioWaiter:
    """A task that may be parked on a bare future, with at most one timer."""

    __slots__ = ("_closed", "_future", "_loop", "_timer", "_woken")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._future: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        # While it was not parked: by its own thread, if the collector ran there.
        self._woken = False

    def wake(self) -> bool:
        """End the parking; False if the loop was closed while this was parked."""
        # Compare loops, not thread ids: a closed loop's thread lives on, and ids are
        # used again.
        if waiters.running_loop() is self._loop:
            self._come_back()
            return True
        try:
            self._loop.call_soon_threadsafe(self._come_back)
        except RecursionError:  # there is no stack left: that loop is well
            raise
        except RuntimeError:
            return self._closed
        return True

    def is_leaving(self) -> bool:
        """Whether this task was cancelled, and only hasn't run since."""
        return self._future is not None and self._future.cancelled()

    def park(self, until: float) -> Awaitable[None]:
        """Return what this task awaits until it is woken or *until*."""
        self._cancel_timer()
        loop = self._loop
        self._future = future = loop.create_future()
        if self._woken:
            self._woken = False
            future.set_result(None)
        elif until != inf:
            delay = max(0.0, until - clock.monotonic())
            self._timer = loop.call_later(delay, self._come_back)
        return future

    def close(self) -> None:
        """Cancel the timer; the task goes on by itself."""
        self._closed = True
        self._cancel_timer()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _come_back(self) -> None:
        if self._future is None or self._future.done():
            self._woken = True
        else:
            self._future.set_result(None)


@final
class AsyncioWorld:
    """The tasks of one asyncio loop."""

    __slots__ = ("line", "turn")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.line = loop
        self.turn = -inf  # when one of these tasks last let the others run

    def now(self) -> float:
        """Return the time of the loop."""
        return self.line.time()

    def waiter(self) -> AsyncioWaiter:
        """Return a waiter for the task that runs now."""
        return AsyncioWaiter(self.line)

    def park(self, waiter: AsyncioWaiter, until: float) -> Awaitable[None]:
        """Suspend the task that runs now."""
        return waiter.park(until)

    def sleep(self, seconds: float) -> Awaitable[object]:
        """Suspend the task that runs now."""
        return asyncio.sleep(seconds)

    async def checkpoint(self) -> None:
        """Let other tasks run, if none had a turn for a while."""
        now = clock.monotonic()
        if not 0 <= now - self.turn < waiters.YIELD_EVERY_S:
            self.turn = now
            await asyncio.sleep(0)

    def scope(self, delay: float | None) -> waiters.Scope:
        """Return a cancel scope of anyio, since asyncio has nothing like it."""
        deadline = inf if delay is None else self.line.time() + delay
        return _scope_type()(deadline=deadline)

    def soon(self, fn: Callable[[], object]) -> None:
        """Have *fn* called in this loop, unless that is closed."""
        with suppress(RuntimeError):
            self.line.call_soon_threadsafe(fn)


@cache
def _scope_type() -> Callable[..., waiters.Scope]:
    """Return what anyio makes in a loop of asyncio, where it looks each time."""
    import anyio

    return type(anyio.CancelScope())


def new_world(loop: asyncio.AbstractEventLoop) -> AsyncioWorld:
    """Return the one world of *loop*, which was not known, and forget closed ones."""
    for other in list(waiters.worlds):
        if other.is_closed():
            waiters.worlds.pop(other, None)
    return cast("AsyncioWorld", waiters.worlds.setdefault(loop, AsyncioWorld(loop)))


# The public function raises where there is no loop, which is no error here.
waiters.running_loop = asyncio._get_running_loop  # noqa: SLF001 - as uvloop does
waiters.current_task = asyncio.current_task
