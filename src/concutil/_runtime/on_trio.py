"""Waiting in a task of trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from typing import Any, final

import trio

from . import clock, waiters


@final
class TrioWaiter:
    """A task that may be parked by trio's own means."""

    __slots__ = ("_closed", "_task", "_token", "_woken")

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        self._token = token
        self._task: trio.lowlevel.Task | None = None
        self._closed = False
        # While it was not parked: by its own thread, if the collector ran there.
        self._woken = False

    def wake(self) -> bool:
        """End the parking; False if the run ended while this was parked."""
        if (
            trio.lowlevel.in_trio_run()
            and trio.lowlevel.current_trio_token() is self._token
        ):
            self._come_back()
            return True
        try:
            self._token.run_sync_soon(self._come_back)
        except trio.RunFinishedError:
            return self._closed
        return True

    def is_leaving(self) -> bool:
        """It can't be told: the end of a wait is a cancellation as well."""
        return False

    async def park(self, until: float) -> None:
        """Suspend this task until it is woken or *until*."""
        self._task = trio.lowlevel.current_task()
        if self._woken:
            self._woken, self._task = False, None
        elif until == inf:
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        else:
            # In this order: a difference of near times is exact, a sum of far ones not.
            deadline = trio.current_time() + (until - clock.monotonic())
            with trio.CancelScope(deadline=deadline):
                await trio.lowlevel.wait_task_rescheduled(self._abort)

    def close(self) -> None:
        """Note that the task goes on by itself; `park` left nothing behind."""
        self._closed = True

    def _come_back(self) -> None:
        task = self._task
        if task is None:
            self._woken = True
        elif trio.lowlevel.in_trio_task() and trio.lowlevel.current_task() is task:
            self._token.run_sync_soon(self._come_back)  # it is just about to park
        else:
            self._task = None
            trio.lowlevel.reschedule(task)

    def _abort(self, _raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


@final
class TrioWorld:
    """The tasks of one trio run."""

    __slots__ = ("line",)

    def __init__(self) -> None:
        self.line = trio.lowlevel.current_trio_token()

    def now(self) -> float:
        """Return the time of the run."""
        return trio.current_time()

    def waiter(self) -> TrioWaiter:
        """Return a waiter for the task that runs now."""
        return TrioWaiter(self.line)

    def park(self, waiter: TrioWaiter, until: float) -> Awaitable[None]:
        """Suspend the task that runs now."""
        return waiter.park(until)

    async def sleep(self, seconds: float) -> None:
        """Suspend the task that runs now."""
        await trio.sleep(seconds)

    async def checkpoint(self) -> None:
        """Let other tasks run, and be cancelled, as every trio operation does."""
        await trio.lowlevel.checkpoint()

    def scope(self, delay: float | None) -> waiters.Scope:
        """Return a cancel scope."""
        if delay is None:
            return trio.CancelScope()
        return trio.CancelScope(deadline=trio.current_time() + delay)

    def soon(self, fn: Callable[[], object]) -> None:
        """Have *fn* called in this run, unless that has ended."""
        with suppress(trio.RunFinishedError):
            self.line.run_sync_soon(fn)
