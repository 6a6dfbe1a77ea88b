"""An event loop as small as may be, which runs in a thread of a schedule."""

from __future__ import annotations

import contextvars
import threading
from asyncio import CancelledError  # noqa: ASYNC106 - nothing else of it
from collections.abc import Awaitable, Coroutine, Generator
from contextlib import AbstractContextManager, suppress
from typing import Any, final
from unittest.mock import patch

from concutil._cache import asking

_here = threading.local()


@final
class Pause(Awaitable[None]):
    """Lets the other tasks of a loop have a turn."""

    def __await__(self) -> Generator[None, None, None]:
        _here.loop.current.ready = True
        yield


@final
class Task:
    """A coroutine, in a context of its own."""

    def __init__(self, loop: Loop, body: Coroutine[Any, Any, None]) -> None:
        self.ready = True
        self.ended = False
        self._loop = loop
        self._body = body
        self._context = contextvars.Context()
        self._error: BaseException | None = None

    def cancel(self) -> None:
        """Have it see a cancellation where it waits."""
        if not self.ended:
            self._error = CancelledError()
            self.wake()

    def wake(self) -> bool:
        """Have it go on."""
        self.ready = True
        with suppress(RuntimeError):  # it was rung already
            self._loop.bell.release()
        return True

    def go_on(self) -> None:
        """Run it to its next pause."""
        self.ready, error = False, self._error
        self._error = None
        try:
            if error is None:
                self._context.run(self._body.send, None)
            else:
                self._context.run(self._body.throw, error)
        except (StopIteration, CancelledError):  # noqa: ASYNC103 - it is the loop
            self.ended = True

    def close(self) -> None:
        """Drop it where it waits."""
        self._context.run(self._body.close)


@final
class _Waiter:
    """A task as the library knows it."""

    def __init__(self, task: Task) -> None:
        self.wake = task.wake

    def close(self) -> None:
        """It holds nothing."""


@final
class Loop:
    """Runs its tasks in turns, in the thread that calls `run`."""

    def __init__(self) -> None:
        self.line = self
        self.current: Task | None = None
        self.tasks: list[Task] = []
        self.bell = threading.Lock()  # held while nobody was woken
        self.bell.acquire()

    def add(self, body: Coroutine[Any, Any, None]) -> Task:
        """Add a task."""
        task = Task(self, body)
        self.tasks.append(task)
        return task

    def run(self) -> None:
        """Run all tasks to their ends."""
        _here.loop = self
        try:
            while alive := [task for task in self.tasks if not task.ended]:
                ready = [task for task in alive if task.ready]
                if not ready:
                    self.bell.acquire()
                for self.current in ready:
                    self.current.go_on()
        finally:
            for task in self.tasks:
                task.close()
            _here.loop = None

    def waiter(self) -> _Waiter:
        """Return what wakes the task that runs now."""
        assert self.current is not None
        return _Waiter(self.current)

    async def park(self, waiter: _Waiter, until: float) -> None:
        """Wait until somebody wakes it."""
        await _Parking()

    async def checkpoint(self) -> None:
        """Let others have a turn."""
        await Pause()


@final
class _Parking(Awaitable[None]):
    def __await__(self) -> Generator[None, None, None]:
        yield


def loops_are_these() -> AbstractContextManager[object]:
    """Let caches take these loops for those that they know."""
    return patch.multiple(
        asking,
        running_world=lambda: _here.loop,
        runs_a_loop=lambda: getattr(_here, "loop", None) is not None,
    )
