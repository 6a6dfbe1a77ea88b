"""For your own tests: a clock that moves when told to, cancellation where told to."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from heapq import heappop, heappush
from itertools import count
from operator import index
from typing import Any, ParamSpec, final

from ._core.options import duration_or_zero, number, shown
from ._runtime.clock import Clock
from ._runtime.rest import skipped

__all__ = ("Clock", "ManualClock", "cancelled_at", "no_waiting")

P = ParamSpec("P")


@final
class ManualClock:
    """A clock that stands still until `advance` moves it: pass it as `clock=`.

    Args:
        start: The time that it shows at first, in seconds.

    Threads:
        Safe from any number of threads and event loops at once.

    .. versionadded:: 0.1
    """

    __module__ = "concutil.testing"
    __slots__ = ("_lock", "_now", "_numbers", "_timers")

    def __init__(self, start: float = 0.0) -> None:
        self._now = number("start", start)
        self._lock = threading.Lock()
        self._numbers = count()
        self._timers: list[tuple[float, int, Callable[[], object]]] = []

    def now(self) -> float:
        """Return the time that the clock shows, in seconds.

        .. versionadded:: 0.1
        """
        return self._now

    def call_at(self, when: float, wake: Callable[[], object]) -> Callable[[], object]:
        """Call *wake* once, as soon as the clock shows *when* or later.

        Args:
            when: A time of this clock, in seconds. If it is past, *wake* is called
                at once.
            wake: Called in the thread that moves the clock.

        Returns:
            A function that calls this off; calling it late or twice does nothing.

        .. versionadded:: 0.1
        """
        with self._lock:
            due = when <= self._now
            timer = when, next(self._numbers), wake
            if not due:
                heappush(self._timers, timer)
        if due:
            wake()
        return lambda: self._call_off(timer)

    def advance(self, seconds: float | timedelta) -> None:
        """Move the clock on, and wake all whose time has come, in that order.

        Whoever is woken runs when its thread or event loop gets round to it; to wait
        for that is up to the test.

        Args:
            seconds: How far; at least 0.

        Raises:
            TypeError: If *seconds* is of the wrong kind.
            ValueError: If it is negative or not finite.

        .. versionadded:: 0.1
        """
        target = self._now + duration_or_zero("seconds", seconds)
        while (wake := self._next_until(target)) is not None:
            wake()

    def _next_until(self, target: float) -> Callable[[], object] | None:
        """Move on to the next timer, at most to *target*, and return what it calls."""
        with self._lock:
            if self._timers and self._timers[0][0] <= target:
                when, _, wake = heappop(self._timers)
                self._now = max(self._now, when)
                return wake
            self._now = max(self._now, target)
            return None

    def _call_off(self, timer: tuple[float, int, Callable[[], object]]) -> None:
        with self._lock:
            if timer in self._timers:
                self._timers.remove(timer)
                self._timers.sort()  # a sorted list is a heap

    def __repr__(self) -> str:
        return f"<ManualClock at {self._now:g} s: {len(self._timers)} timers>"


@contextmanager
def no_waiting() -> Iterator[None]:
    """Leave out the waits of retry policies inside of this block.

    All else is as ever: attempts and budgets are counted, a wait that would end after
    the deadline gives up, a limiter lets nobody start before their time. It concerns
    the context that entered it and whatever inherits that: tasks that are started
    there, and on free-threaded builds from 3.14 on threads as well.

    Threads:
        Safe; any number at once.

    .. versionadded:: 0.1
    """
    token = skipped.set(True)
    try:
        yield
    finally:
        skipped.reset(token)


async def cancelled_at(
    n: int,
    fn: Callable[P, Awaitable[object]],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> bool:
    """Call *fn*, and cancel it at its *n*-th suspension.

    Call it with 1, 2, 3 and so on until it returns False, and *fn* has been cancelled
    at every point where it lets go of its event loop; after each call, check that
    nothing is left behind. It works on asyncio and on trio.

    Args:
        n: Which suspension, counted from 1; those inside of what *fn* awaits count.
        fn: An async function. It runs in the task of the caller, and is cancelled as
            by an `anyio.CancelScope` around the call: each further await is cancelled
            as well, unless it is shielded.
        *args: What *fn* is called with.
        **kwargs: What *fn* is called with by name.

    Returns:
        True if *fn* came to that point, False if it ended before.

    Raises:
        TypeError: If *n* is not a whole number.
        ValueError: If *n* is below 1.
        BaseException: Whatever *fn* raises, unless it is this cancellation.

    Cancellation:
        Passed on to *fn*.

    Threads:
        Of any event loop of asyncio or trio, any number at once.

    .. versionadded:: 0.1
    """
    at = _ordinal(n)
    import anyio

    async def call() -> None:
        """Await what is no coroutine as well."""
        await fn(*args, **kwargs)

    with anyio.CancelScope() as scope:
        stepped = _Stepped(call(), at, scope.cancel)
        await stepped
    return stepped.suspensions >= at


@final
class _Stepped:
    """Awaits a coroutine, and calls *strike* as it suspends for the *at*-th time."""

    __slots__ = ("_at", "_coroutine", "_strike", "suspensions")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, None],
        at: int,
        strike: Callable[[], object],
    ) -> None:
        self._coroutine = coroutine
        self._at = at
        self._strike = strike
        self.suspensions = 0

    def __await__(self) -> Generator[Any, Any, None]:
        send, throw = self._coroutine.send, self._coroutine.throw
        answer: Any = None
        error: BaseException | None = None
        while True:
            try:
                yielded = send(answer) if error is None else throw(error)
            except StopIteration:
                return
            self.suspensions += 1
            if self.suspensions == self._at:
                self._strike()
            error = None
            try:
                answer = yield yielded
            except BaseException as thrown:  # noqa: ASYNC103, BLE001, HC10 - goes in
                error = thrown


def _ordinal(n: object) -> int:
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"n must be a whole number, not {shown(n)}")
    ordinal = index(n)
    if ordinal < 1:
        raise ValueError(f"n must be at least 1, not {shown(n)}")
    return ordinal
