"""Drive a coroutine by hand, count its suspensions, and strike at one of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, final


@final
class Probe:
    """An awaitable that runs *operation* and sees each of its suspensions.

    Args:
        operation: What to run; suspensions inside anyio, asyncio and trio count too.
        at: The suspension, counted from 1, at which `strike` is called; 0 for none.
        first: Called at the first suspension.

    Attributes:
        strike: Called with what was yielded to the loop, just before the loop sees it.
        instead: An error to be thrown in at the next resumption, however that comes.
        suspensions: How many there have been.
        struck: Whether `strike` was called.
        completed: Whether *operation* returned.
    """

    def __init__(
        self,
        operation: Coroutine[Any, Any, object],
        at: int,
        *,
        first: Callable[[], None],
    ) -> None:
        self._operation = operation
        self._at = at
        self._first = first
        self.strike: Callable[[object], object] = _nothing
        self.instead: BaseException | None = None
        self.suspensions = 0
        self.struck = False
        self.completed = False

    def __await__(self) -> Generator[Any, Any, None]:
        go_on = partial(self._operation.send, None)
        while True:
            try:
                yielded = go_on()
            except StopIteration:
                self.completed = True
                return
            self._suspended(yielded)
            try:
                value = yield yielded
            except BaseException as exc:  # noqa: ASYNC103, BLE001 - goes on inside
                go_on = partial(self._operation.throw, self._taken(exc))
            else:
                error = self._taken(None)
                go_on = partial(self._operation.send, value)
                if error is not None:
                    go_on = partial(self._operation.throw, error)

    def _suspended(self, yielded: object) -> None:
        self.suspensions += 1
        if self.suspensions == 1:
            self._first()
        if self.suspensions == self._at:
            self.struck = True
            self.strike(yielded)

    def _taken(self, exc: BaseException | None) -> BaseException | None:
        error, self.instead = self.instead, None
        return error or exc


def _nothing(_: object) -> None:
    """Let it go on."""
