"""Threads that run one at a time, in a fixed order, and wait in virtual time."""

from __future__ import annotations

import queue
import sys
import threading
from _thread import allocate_lock, get_ident, start_new_thread
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from heapq import heappop, heappush
from math import inf
from typing import final
from unittest.mock import patch

from .virtual_time import concutil_reads

if sys.version_info >= (3, 11):
    from typing import Self
else:
    from typing_extensions import Self


class Deadlock(AssertionError):  # noqa: N818  # says what happened
    """All threads wait, and no timer is set."""


@final
class _Thread:
    """One program, and the real lock that holds it up while others run."""

    __slots__ = ("baton", "error", "late", "parking", "program")

    def __init__(self, program: Callable[[], object]) -> None:
        self.program = program
        self.baton = allocate_lock()
        self.baton.acquire()
        self.parking = 0  # the number of the wait that it is in; 0 while it isn't
        self.late = False  # whether its last wait took as long as it could
        self.error: BaseException | None = None


@final
class VirtualThreads:
    """A world of threads: inside its block, time and all locks that are made are ours.

    Whoever blocks passes the baton to whoever has been ready for longest. When nobody
    is, time jumps to the next timer. Nobody is ever preempted: that is the schedule
    explorer's part. What the standard library builds from `threading.Lock` is taken
    over as well, `threading.RLock` is not.

    Args:
        lateness: Seconds by which each jump goes too far, as real timers are late.
    """

    def __init__(self, *, lateness: float = 0.0) -> None:
        self.now = 0.0
        self._lateness = lateness
        self._idents = {get_ident()}
        self._running: _Thread | None = None  # None while our creator runs
        self._living: list[_Thread] = []
        self._ready: deque[_Thread] = deque()
        self._timers: list[tuple[float, int, _Thread]] = []
        self._parkings = 0
        self._over = allocate_lock()
        self._over.acquire()
        self._patches = ExitStack()

    def __enter__(self) -> Self:
        enter = self._patches.enter_context
        enter(concutil_reads(self.monotonic))
        enter(patch.object(threading, "Lock", self._make_lock))
        enter(patch.object(threading, "_allocate_lock", self._make_lock))
        enter(patch.object(threading, "_time", self.monotonic))
        enter(patch.object(queue, "time", self.monotonic))
        return self

    def __exit__(self, *exc: object) -> None:
        self._patches.close()

    def monotonic(self) -> float:
        """Return the virtual time in seconds; it begins at 0."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let *seconds* of virtual time pass for the thread that runs."""
        self.block(self.now + seconds)

    def run(self, *programs: Callable[[], object]) -> None:
        """Run *programs*, each in a thread of its own, until all have ended.

        Raises:
            Deadlock: If some can't end.
        """
        threads = [_Thread(program) for program in programs]
        self._living = threads[:]
        self._ready.extend(threads)
        for thread in threads:
            start_new_thread(self._live, (thread,))
        self._pass_on()
        self._over.acquire()
        self._running = None
        for thread in threads:
            if thread.error is not None:
                raise thread.error

    def block(self, until: float = inf) -> bool:
        """Block the thread that runs until `wake`, or *until*: False if it was that.

        Raises:
            Deadlock: If nobody will ever wake it.
        """
        me = self.current()
        self._parkings += 1
        me.parking = self._parkings
        if until < inf:
            heappush(self._timers, (until, me.parking, me))
        if self._pass_on() is not me:
            me.baton.acquire()
        if me.parking:
            me.parking = 0
            raise Deadlock("all threads wait, and no timer is set")
        return not me.late

    def wake(self, thread: _Thread, *, late: bool = False) -> None:
        """Let *thread*, which is blocked, go on when its turn comes."""
        thread.parking = 0
        thread.late = late
        self._ready.append(thread)

    def current(self) -> _Thread:
        """Return the thread that runs.

        Raises:
            Deadlock: If none does, so that nobody could wake the caller.
        """
        if self._running is None:
            raise Deadlock("outside of run() nobody can be waited for")
        return self._running

    def _live(self, thread: _Thread) -> None:
        thread.baton.acquire()
        self._idents.add(get_ident())
        try:
            thread.program()
        except BaseException as error:  # noqa: ASYNC103, BLE001 - run raises it
            thread.error = error
        self._living.remove(thread)
        if self._living:
            self._pass_on()
        else:
            self._over.release()

    def _pass_on(self) -> _Thread:
        if not self._ready:
            self._jump()
        # If nobody can go on, one who waits is told so: it is still parked.
        chosen = self._ready.popleft() if self._ready else self._living[0]
        if chosen is not self._running:
            self._running = chosen
            chosen.baton.release()
        return chosen

    def _jump(self) -> None:
        while self._timers and (not self._ready or self._timers[0][0] <= self.now):
            until, parking, thread = heappop(self._timers)
            if thread.parking == parking:  # else it was woken before
                if until > self.now:
                    self.now = until + self._lateness
                self.wake(thread, late=True)

    def _make_lock(self) -> object:
        # Threads that aren't ours, such as a test runner's, get what they always get.
        return VirtualLock(self) if get_ident() in self._idents else allocate_lock()


@final
class VirtualLock:
    """A lock that is handed over in the order of arrival."""

    __slots__ = ("_held", "_waiting", "_world")

    def __init__(self, world: VirtualThreads) -> None:
        self._world = world
        self._held = False
        self._waiting: deque[_Thread] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002  # as the real one
        """Take the lock; wait for it in virtual time."""
        if not self._held:
            self._held = True
            return True
        if not blocking or timeout == 0:
            return False
        me = self._world.current()
        self._waiting.append(me)
        until = inf if timeout < 0 else self._world.now + timeout
        try:
            return self._world.block(until)
        finally:
            if me in self._waiting:
                self._waiting.remove(me)

    def release(self) -> None:
        """Hand the lock to whoever has waited for longest.

        Raises:
            RuntimeError: If nobody holds it.
        """
        if not self._held:
            raise RuntimeError("release unlocked lock")
        while self._waiting:
            first = self._waiting.popleft()
            if first.parking:  # else its time is up, and it is about to leave
                self._world.wake(first)
                return
        self._held = False

    def locked(self) -> bool:
        """Whether anybody holds it."""
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()
