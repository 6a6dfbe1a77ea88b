"""What stands for the locks while a schedule runs."""

from __future__ import annotations

import sys
import threading
from types import FrameType, TracebackType
from typing import Final

from .scheduler import Scheduler

OUTSIDE: Final = "make() or check()"
# Where a thread looks for Ctrl-C after `__enter__`; elsewhere `with` goes on first.
WITH_IS_A_CALL: Final = sys.version_info[:2] == (3, 14)


class LeftLocked(AssertionError):  # noqa: N818  # says what happened
    """Some lock is never given back."""


class Lock:
    """Stands for `threading.Lock`."""

    __slots__ = ("__weakref__", "_scheduler", "name", "owner")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.name = scheduler.lock_name(type(self).__name__)
        self.owner: object = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002  # as the real one
        taken = self._take(_patience(timeout, blocking=blocking))
        self._scheduler.after_call()
        return taken

    def release(self) -> None:
        self._give()
        self._scheduler.after_call()

    def locked(self) -> bool:
        return self.owner is not None

    def __enter__(self) -> bool:
        self._take(None)
        if WITH_IS_A_CALL:
            self._scheduler.after_call()
        return True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._give()
        if kind is None:  # after an error, `with` goes on before it looks for Ctrl-C
            self._scheduler.after_call()

    def _take(self, patience: float | None) -> bool:
        scheduler = self._scheduler
        me = scheduler.here()
        if me is not None:
            scheduler.lock_step(_caller())
        if self.owner is not None:
            if patience == 0:
                return False
            if me is None:
                raise LeftLocked(f"{OUTSIDE} would wait for {self.name} for ever")
            if not scheduler.wait(me, self, patience):
                return False
        self.owner = me or OUTSIDE
        return True

    def _give(self) -> None:
        scheduler = self._scheduler
        if not scheduler.stopping:  # else somebody is unwound who may not have it
            if scheduler.here() is not None:
                scheduler.lock_step(_caller())
            if self.owner is None:
                raise RuntimeError("release unlocked lock")
        self.owner = None
        scheduler.freed(self)


class RLock(Lock):
    """Stands for `threading.RLock`, and has what `threading.Condition` asks of it."""

    __slots__ = ("_count",)

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__(scheduler)
        self._count = 0

    def _take(self, patience: float | None) -> bool:
        taken = self._is_owned() or super()._take(patience)
        self._count += taken
        return taken

    def _give(self) -> None:
        if not self._is_owned() and not self._scheduler.stopping:
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if self._count <= 0:
            super()._give()

    def _is_owned(self) -> bool:
        return self.owner is (self._scheduler.here() or OUTSIDE)

    def _release_save(self) -> int:
        count, self._count = self._count, 0
        super()._give()
        return count

    def _acquire_restore(self, count: int) -> None:
        super()._take(None)
        self._count = count


def _patience(timeout: float, *, blocking: bool) -> float | None:
    """Check what the real locks check; return how long to wait, None for ever."""
    if not blocking:
        if timeout != -1:
            raise ValueError("can't specify a timeout for a non-blocking call")
        return 0.0
    if timeout == -1:
        return None
    if timeout < 0:
        raise ValueError("timeout value must be a non-negative number")
    if timeout > threading.TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    return timeout


def _caller() -> FrameType:
    """Return the frame that uses the lock."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename == __file__ and frame.f_back is not None:
        frame = frame.f_back
    return frame
