"""Computations under way: who waits for them, and that nobody waits for itself."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Literal, NoReturn, final

from .._core.lru import Entry
from .._core.options import shown
from .._core.waits import Step, live, way
from .._errors import RecursiveComputeError
from .._runtime.fork import renew_in_children
from .._runtime.waiters import Waiter

State = Literal["running", "computed", "failed", "abandoned"]

# The computation that this context is about, or was; children of it inherit that.
innermost: Final[ContextVar[Step | None]] = ContextVar(
    "concutil.computing", default=None
)


@final
class Flight:
    """The computation of one key, as those see it who wait for it.

    If who leads it is cancelled it is "abandoned", until somebody else leads it.

    Args:
        step: Who computes it, and what that waits for itself.
        stale: What it is to refresh, which stands in if that fails; None for nothing.

    Attributes:
        state: Set last of all; once "computed" or "failed", for good.
        value: What was computed.
        error: What it failed with.
        trace: The traceback of that error as it was then.
        lines: Who has to be woken, in the order in which they came: sets, changed
            without a lock, of those who share a thread; all threads are one.
    """

    __slots__ = ("error", "lines", "stale", "state", "step", "trace", "value")

    def __init__(self, step: Step, stale: Entry | None) -> None:
        self.step = step
        self.stale = stale
        self.state: State = "running"
        self.value: Any = None
        self.error: Exception | None = None
        self.trace: TracebackType | None = None
        self.lines: dict[Hashable, dict[Waiter, None]] = {}

    def line(self, of: Hashable) -> dict[Waiter, None]:
        """Return where those wait who share a thread."""
        return self.lines.setdefault(of, {})

    def is_over(self) -> bool:
        """Whether it has come to its end, and not only lost who led it."""
        return self.state in {"computed", "failed"}

    def pass_on(self, step: Step, stale: Entry | None) -> None:
        """Go on by *step*, after having been abandoned."""
        self.step = step
        self.stale = stale
        self.state = "running"

    def fail(self, error: Exception) -> None:
        """End with *error*."""
        self.error, self.trace = error, error.__traceback__
        self.state = "failed"

    def wake(self) -> bool:
        """Have those who wait look again; False if there is nobody any more.

        If it was abandoned, one of each line is enough: the first who looks leads. It
        must be one of each, as a loop may be blocked, even by somebody who waits here.
        """
        state, anybody = self.state, False
        if state == "running":  # somebody else leads by now
            return True
        for line in list(self.lines.values()):
            for waiter in list(line):
                if waiter.wake():
                    anybody = True
                    if state == "abandoned":
                        break
        return anybody

    def reraise(self) -> NoReturn:
        """Raise the error, with the traceback that the computation gave it.

        Else it would grow with each who waits.
        """
        error, trace = self.error, self.trace
        assert error is not None
        try:
            raise error.with_traceback(trace)
        finally:
            del self, error, trace  # which its traceback would keep alive


@final
class _Threads:
    """The threads that are blocked now, as steps that wait for a flight, by ident."""

    __slots__ = ("__weakref__", "blocked")

    def __init__(self) -> None:
        self.blocked: dict[int, Step] = {}
        renew_in_children(self)

    def after_fork(self) -> None:
        """Go on in a forked child, where nobody waits."""
        self.blocked = {}

    def here(self) -> Step:
        """Return the step of this thread, which is about to be blocked."""
        me = threading.get_ident()
        return self.blocked.setdefault(me, Step(_THREAD, me))

    def onward(self, step: Step) -> Iterable[Step]:
        """Return what *step* waits for, its own thread included if that is blocked."""
        onward = [goal.step for goal in list(step.needs.values())]
        here = None if step.key is _THREAD else self.blocked.get(step.thread)
        # Last of all: its thread may have ended it, and be blocked by something else.
        if step.over:  # nobody needs it to go on
            return ()
        return onward if here is None else [*onward, here]


@contextmanager
def waiting(flight: Flight, *, blocks: bool) -> Iterator[None]:
    """Wait for *flight* in this block, in a thread that this *blocks* or not.

    First it says who waits for what, and then looks for a way round. Each of these is
    one operation of a dict, so of those who close a circle at the same time at least
    one sees it, and no lock is held that the collector could stumble upon.

    Args:
        flight: What is waited for.
        blocks: Whether that blocks the thread.

    Raises:
        RecursiveComputeError: If *flight* waits for who would wait here.
    """
    me = object()
    mine: list[Step] = []
    try:
        if (computing := live(innermost.get())) is not None:
            mine.append(computing)
        if blocks:
            mine.append(_threads.here())
        for step in mine:
            step.needs[me] = flight
        circle = _circle(flight, mine) if mine else None
        if circle is not None:
            raise RecursiveComputeError(_told(circle), keys=_keys(circle))
        yield
    finally:
        for step in mine:
            step.needs.pop(me, None)
        if blocks and mine and not mine[-1].needs:
            _threads.blocked.pop(mine[-1].thread, None)
        del flight  # it may fail with what was raised here


def _circle(flight: Flight, mine: list[Step]) -> list[Step] | None:
    """Return the way by which *flight* waits for one of *mine*, or None.

    It is what two looks have found alike: of a single one, the first part may be over
    when it comes to the last, as a wait that was cancelled is.
    """
    circle = None
    while (again := way(flight.step, mine, _threads.onward)) != circle:
        circle = again
    return circle


def step_here(key: Any) -> Step:
    """Return who computes *key* here, as a part of what is computed here already."""
    outer = innermost.get()
    if outer is not None and outer.over:  # a call for nothing would be felt here
        outer = live(outer)
    return Step(key, threading.get_ident(), outer)


def _keys(circle: list[Step]) -> tuple[object, ...]:
    return tuple(step.key for step in circle if step.key is not _THREAD)


def _told(circle: list[Step]) -> str:
    keys = [shown(key) for key in _keys(circle)]
    needs = " needs ".join(keys)
    if circle[-1].key is _THREAD:
        return (
            f"waiting for {keys[0]} here blocks the thread in which {needs} is"
            " computed: await it there, with aget_or_compute"
        )
    return f"{needs} needs {keys[0]}: a computation that waits for itself"


_THREAD: Final = object()  # stands for a key where a step is a thread
_threads: Final = _Threads()
