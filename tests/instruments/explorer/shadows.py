"""Puts shadows of locks, clock and sleep where a program looks for the real ones."""

from __future__ import annotations

import importlib
import queue
import threading
import time
from _thread import allocate_lock
from collections.abc import Iterable
from types import ModuleType
from typing import Final, final

from .primitives import OUTSIDE, Lock, RLock
from .scheduler import EPOCH_S, Scheduler


@final
class _Time:
    """What a sleeping thread waits for: it never becomes free."""

    name = "its time"

    def __init__(self) -> None:
        self.owner: object = self


_TIME: Final = _Time()


@final
class Shadows:
    """Stands in for `threading.Lock` and `RLock`, `time.monotonic` and `time.sleep`.

    `Condition`, `Event`, `Semaphore`, `Barrier` and `queue.Queue` follow: the standard
    library makes them of locks. A default argument or a class attribute that holds
    the real thing stays as it is.

    Args:
        modules: Modules in which `from threading import Lock` and the like are found.
        clocks: Dotted names of more functions that read the time.
    """

    def __init__(self, modules: Iterable[ModuleType], clocks: Iterable[str]) -> None:
        self._scheduler: Scheduler | None = None
        stand_ins: list[tuple[object, object]] = [
            (threading.Lock, self.lock),
            (allocate_lock, self.lock),
            (threading.RLock, self.rlock),
            (time.monotonic, self.monotonic),
            (time.sleep, self.sleep),
        ]
        self._places = [
            (module, name, real, shadow)
            for module in dict.fromkeys([threading, time, queue, *modules])
            for name, real in vars(module).items()
            for known, shadow in stand_ins
            if real is known
        ]
        for clock in clocks:
            path, _, name = clock.rpartition(".")
            module = importlib.import_module(path)
            self._places.append((module, name, getattr(module, name), self.monotonic))

    def put_on(self, scheduler: Scheduler) -> None:
        """Have the program make and use shadows that *scheduler* controls."""
        self._scheduler = scheduler
        for module, name, _, shadow in self._places:
            setattr(module, name, shadow)

    def take_off(self) -> None:
        """Put the real things back."""
        for module, name, real, _ in self._places:
            setattr(module, name, real)
        self._scheduler = None

    def lock(self) -> Lock:
        return Lock(self._on())

    def rlock(self) -> RLock:
        return RLock(self._on())

    def monotonic(self) -> float:
        if self._scheduler is None:  # somebody has kept it
            return EPOCH_S
        self._scheduler.after_call()
        return self._scheduler.now

    def sleep(self, seconds: float) -> None:
        scheduler = self._on()
        me = scheduler.here()
        if me is None:
            raise RuntimeError(f"{OUTSIDE} would sleep for ever")
        scheduler.wait(me, _TIME, max(0.0, seconds))
        scheduler.after_call()

    def _on(self) -> Scheduler:
        assert self._scheduler is not None, "a shadow was used after its schedule"
        return self._scheduler
