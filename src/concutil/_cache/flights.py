"""Computations under way: who waits for them, and that nobody waits for itself."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from types import TracebackType
from typing import Any, Final, Literal, NoReturn, final

from .._core.lru import Entry
from .._core.options import shown
from .._core.waits import Step, live, way
from .._errors import RecursiveComputeError
from .._runtime.fork import renew_in_children
from .._runtime.on_threads import THREADS
from .._runtime.waiters import Waiter, World

State = Literal["running", "computed", "failed", "abandoned"]

# The computation that this context is about, or was; children of it inherit that.
innermost: Final[ContextVar[Step | None]] = ContextVar(
    "concutil.computing", default=None
)


@final
class Flight:
    """One computation, as those see it who wait for it.

    Args:
        step: What it waits for itself.
        stale: What it is to refresh, which stands in if that fails; None for nothing.

    Attributes:
        state: Set once, last of all.
        value: What was computed.
        error: What it failed with.
        trace: The traceback of that error as it was then.
        waiters: Who has to be woken at its end: a set, changed without a lock.
    """

    __slots__ = ("error", "stale", "state", "step", "trace", "value", "waiters")

    def __init__(self, step: Step, stale: Entry | None) -> None:
        self.step = step
        self.stale = stale
        self.state: State = "running"
        self.value: Any = None
        self.error: Exception | None = None
        self.trace: TracebackType | None = None
        self.waiters: dict[Waiter, None] = {}

    def fail(self, error: Exception) -> None:
        """End with *error*."""
        self.error, self.trace = error, error.__traceback__
        self.state = "failed"

    def wake_all(self) -> None:
        """Let all who wait look again; those of a closed loop are gone anyway."""
        for waiter in list(self.waiters):
            waiter.wake()

    async def wait(self, world: World) -> None:
        """Wait until it has ended: the one text for threads and tasks.

        Args:
            world: Where this runs.

        Raises:
            RecursiveComputeError: If it could not end while somebody waits here.
        """
        waiter = world.waiter()
        try:
            with _waiting(self.step, blocks=world is THREADS):
                # In this order: whoever ends it wakes all after having set the state.
                self.waiters[waiter] = None
                while self.state == "running":
                    await world.park(waiter, inf)
        finally:
            self.waiters.pop(waiter, None)
            waiter.close()
            del self  # it may fail with what was raised here

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
        if step.over:  # nobody needs it to go on
            return ()
        onward = list(step.needs.values())
        here = None if step.key is _THREAD else self.blocked.get(step.thread)
        return onward if here is None else [*onward, here]


@contextmanager
def _waiting(goal: Step, *, blocks: bool) -> Iterator[None]:
    """Wait for *goal* in this block, in a thread that this *blocks* or not.

    First it says who waits for what, and then looks for a way round. Each of these is
    one operation of a dict, so of those who close a circle at the same time at least
    one sees it, and no lock is held that the collector could stumble upon.

    Args:
        goal: What is waited for.
        blocks: Whether that blocks the thread.

    Raises:
        RecursiveComputeError: If *goal* waits for who would wait here.
    """
    me = object()
    mine: list[Step] = []
    try:
        if (computing := live(innermost.get())) is not None:
            mine.append(computing)
        if blocks:
            mine.append(_threads.here())
        for step in mine:
            step.needs[me] = goal
        circle = way(goal, mine, _threads.onward) if mine else None
        if circle is not None:
            raise RecursiveComputeError(_told(circle), keys=_keys(circle))
        yield
    finally:
        for step in mine:
            step.needs.pop(me, None)
        if blocks and mine and not mine[-1].needs:
            _threads.blocked.pop(mine[-1].thread, None)


def begin(step: Step) -> None:
    """Compute *step* in this context, as a part of what that computes already."""
    if step.outer is not None:
        step.outer.needs[step] = step
    innermost.set(step)


def end(step: Step, *, here: bool) -> None:
    """Compute *step* no more; *here* if this is certainly the context of its begin."""
    step.over = True
    if step.outer is not None:
        step.outer.needs.pop(step, None)
    if here:
        innermost.set(step.outer)


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
