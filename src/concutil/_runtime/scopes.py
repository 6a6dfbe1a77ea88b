"""Cancelling a block at a time of any clock, on asyncio and on trio."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import final

from .clock import Clock
from .waiters import running_world


@final
class Cut:
    """A block of a task that is cancelled at a time, and raises `TimeoutError` then.

    It is a scope around the call, so that scopes, shields and task groups in there nest
    as they should. A cancellation from outside passes through.

    Args:
        delay: In how many seconds to cancel it.
        clock: Whose seconds these are; None for real time.
        late: Makes the error.

    Raises:
        RuntimeError: If neither asyncio nor trio runs.
    """

    __slots__ = ("_call_off", "_late", "_scope")

    def __init__(
        self, delay: float, clock: Clock | None, late: Callable[[], TimeoutError]
    ) -> None:
        world = running_world()
        self._late = late
        self._call_off: Callable[[], object] | None = None
        if clock is None:
            self._scope = world.scope(delay)
        else:
            scope = self._scope = world.scope(None)
            self._call_off = clock.call_at(
                clock.now() + delay, lambda: world.soon(scope.cancel)
            )

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        if self._call_off is not None:
            self._call_off()
        swallowed = self._scope.__exit__(kind, error, trace)
        if self._scope.cancelled_caught:
            raise self._late()
        return swallowed
