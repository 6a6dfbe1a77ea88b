"""The rate limiter: one object for threads, asyncio and trio at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from math import inf
from types import EllipsisType, TracebackType
from typing import final

from .._core import options
from .._core.admission import Admission
from .._core.cost import Cost
from .._core.rates import Rate
from .._core.record import Record
from .._core.ticket import Ticket
from .._runtime import waiters
from .._runtime.clock import Clock, check_clock
from .._runtime.fork import renew_in_children
from .face import Face
from .gate import Gate, Setting


@final
class LimiterStats(Record):
    """What a limiter did so far, as of one instant.

    Attributes:
        waiting: How many wait now.
        in_flight: How many hold a place now; 0 if `max_concurrent` is None.
        granted: How many were let in, without those that were cancelled just then.
        cancelled: How many were cancelled while they waited or just as they were
            let in.
        waited_total: Seconds that all who were let in had waited together.
        next_in: Seconds until the rates admit a cost of 1, were nobody waiting.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"
    __slots__ = (
        "cancelled",
        "granted",
        "in_flight",
        "next_in",
        "waited_total",
        "waiting",
    )

    waiting: int
    in_flight: int
    granted: int
    cancelled: int
    waited_total: float
    next_in: float


@final
class RateLimiter(Face):
    """Let through so many calls per second, and so many at once.

    Enter it with `with` or `async with`, or decorate a function with it. All limits
    are decided together, in the order of arrival across threads and event loops.
    Leaving the block gives the place among `max_concurrent` back; what was taken of
    a rate stays spent.

    In any window of w seconds at most `burst + rate * (w + slack)` calls start.

    Args:
        *rates: `Rate` objects or their texts, such as `"500/min"`.
        calls_per_second: Short for `Rate(calls_per_second, burst=burst)`.
        burst: How many calls may start at once after an idle spell: for
            `calls_per_second`, and for each text that names no burst of its own.
        max_concurrent: How many may be inside at once.
        slack: Seconds of lateness that are made up for, so that timers which fire
            late don't lose rate; 0 is strict.
        name: Shown in messages, events and the `repr`.
        clock: What tells the time instead of the system's monotonic clock.

    Raises:
        TypeError: If an argument is of the wrong kind, or *burst* has nothing to
            apply to.
        ValueError: If there is no limit at all, or an argument is out of its range.

    Cancellation:
        While it waits. If cancelled, nothing stays booked, and whoever waited behind
        moves up. An entry that needn't wait may return without yielding on asyncio,
        but lets others run at least every 10 ms; on trio it is always a checkpoint.

    Threads:
        Safe from any number of threads and event loops at once, and in a child after
        a fork: nobody is inside or waits there. Not re-entrant: who enters twice
        takes two places. It can't be pickled: a copy would be a second limit.

    Cost:
        About one uncontended `threading.Semaphore`; who waits costs one timer per
        event loop, not one each.

    Source:
        The generic cell rate algorithm (ITU-T I.371), one point in time per rate.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"
    __slots__ = ("__weakref__", "_gate")

    def __init__(
        self,
        *rates: Rate | str,
        calls_per_second: float | None = None,
        burst: float = 1,
        max_concurrent: int | None = None,
        slack: float | timedelta = 0.01,
        name: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        known, limit = limits_of(
            rates,
            calls_per_second=calls_per_second,
            burst=burst,
            max_concurrent=max_concurrent,
        )
        seconds = options.duration_or_zero("slack", slack)
        self._gate = Gate(
            Admission.of(known, limit, seconds),
            Setting(options.label("name", name), check_clock(clock)),
        )
        renew_in_children(self._gate)

    def __enter__(self) -> None:
        gate = self._gate
        if not gate.try_enter():
            gate.wait(Ticket())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        gate = self._gate
        if gate.bounded:
            gate.leave(kind)

    async def __aenter__(self) -> None:
        gate = self._gate
        loop = waiters.running_loop()
        world = waiters.worlds.get(loop)
        now = gate.now()
        # This asyncio task needn't yield if the others had a turn lately.
        if (
            world is not None
            and now - world.turn < gate.yield_every
            and waiters.current_task(loop) is not None
        ):
            # On 3.13 and older `with` costs 2.5 times as much; what makes it worth it
            # elsewhere, Ctrl-C, is kept out of tasks by asyncio.run.
            lock = gate.lock
            lock.acquire()
            try:
                admission = gate.admission
                entered = not admission.lines and admission.book_one(now)
            finally:
                lock.release()
            if gate.inbox:  # the collector came while it was held
                gate.settle()
            if entered:
                return
        await gate.admit(waiters.running_world(), Ticket())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        gate = self._gate
        if gate.bounded:
            gate.leave(kind)

    def update(
        self,
        *rates: Rate | str,
        max_concurrent: int | EllipsisType | None = ...,
    ) -> None:
        """Change the limits, while others may be inside or waiting.

        A rate goes on with the debt, in calls, of the one that had its position among
        those of the same unit. Whoever waits is timed anew at once.

        Args:
            *rates: What takes the place of all rates; none leaves them as they are. A
                text that names no burst has one of 1: `burst=` of the limiter was for
                the rates that it was made with.
            max_concurrent: How many may be inside at once; left out, as it was. Those
                who are inside stay.

        Raises:
            TypeError: If an argument is of the wrong kind, or there is none.
            ValueError: If an argument is out of its range, or *max_concurrent* is
                given to a limiter that was made without, which has not counted who
                is inside. Whoever waits for a cost that the new rates never admit
                gets one as well.

        Threads:
            From any thread, with or without a running event loop. It doesn't wait.

        .. versionadded:: 0.1
        """
        if not rates and max_concurrent is ...:
            raise TypeError("update() needs rates, max_concurrent=, or both")
        known = _rates_of(rates, None, 1)
        limit: float = inf
        if max_concurrent is not None and max_concurrent is not ...:
            limit = options.count("max_concurrent", max_concurrent)
        if max_concurrent is not ... and not self._gate.bounded:
            raise ValueError(
                "this limiter was made without max_concurrent= and has not counted who"
                " is inside: make it with a number, which may be large, to change it"
            )

        def change(core: Admission, now: float) -> None:
            if known:
                core.change(known, now)
            if max_concurrent is not ...:
                core.limit = limit

        self._gate.apply(change)

    def stats(self) -> LimiterStats:
        """Return counts and times as of now.

        Threads:
            Safe from any thread.

        .. versionadded:: 0.1
        """
        return self._gate.read(stats_of)

    def __repr__(self) -> str:
        gate, stats = self._gate, self.stats()
        limit = gate.admission.limit if gate.bounded else None
        name = "" if gate.name is None else f"{gate.name!r} "
        limits = shown_limits(gate.admission.rates, limit)
        return f"<RateLimiter {name}{limits}: {shown_state(stats, limit)}>"

    def __reduce__(self) -> str:
        raise TypeError(
            "a RateLimiter can't be pickled or copied: the copy would be a second"
            " limit; make one in each process and share out the rate"
        )

    @property
    def _rates(self) -> tuple[Rate, ...]:
        return self._gate.admission.rates

    # It is the only one, whatever it is needed for.
    def _hold_for(self, cost: Cost, *, lasting: bool) -> Gate:  # noqa: ARG002 - as Face
        return self._gate

    def _hold_if_room(self) -> Gate:
        return self._gate


def limits_of(
    rates: tuple[Rate | str, ...],
    *,
    calls_per_second: float | None,
    burst: float,
    max_concurrent: int | None,
) -> tuple[tuple[Rate, ...], int | None]:
    """Return all rates and the number of places that the options of a limiter mean."""
    known = _rates_of(rates, calls_per_second, burst)
    if max_concurrent is not None:
        return known, options.count("max_concurrent", max_concurrent)
    if not known:
        raise ValueError(
            "a limiter needs a limit: a rate such as '100/s', calls_per_second=,"
            " or max_concurrent="
        )
    return known, None


def shown_limits(rates: Iterable[Rate], limit: float | None) -> str:
    """Return what a limiter's repr says of its limits."""
    places = () if limit is None else (f"{limit} at once",)
    return ", ".join([*map(str, rates), *places])


def shown_state(stats: LimiterStats, limit: float | None) -> str:
    """Return what a limiter's repr says of those who use it."""
    inside = "" if limit is None else f", {stats.in_flight} inside"
    return f"{stats.waiting} waiting{inside}"


def _rates_of(
    rates: tuple[Rate | str, ...], calls_per_second: float | None, burst: float
) -> tuple[Rate, ...]:
    burst = options.at_least_one("burst", burst)
    result = [_one_rate(rate, burst) for rate in rates]
    if calls_per_second is not None:
        number = options.positive("calls_per_second", calls_per_second)
        result.append(Rate(number, burst=burst))
    if burst != 1 and not result:
        raise TypeError("burst= belongs to a rate, and there is none")
    return tuple(result)


def _one_rate(rate: Rate | str, burst: float) -> Rate:
    if isinstance(rate, str):
        parsed = Rate.parse(rate)
        if burst == 1:
            return parsed
        if parsed.burst == 1:
            unit, exact = parsed.unit, parsed.exact
            return Rate(parsed.limit, parsed.per, burst=burst, exact=exact, unit=unit)
        raise TypeError(f"burst={burst:g} contradicts the text {rate!r}: use only one")
    if not isinstance(rate, Rate):
        raise TypeError(
            "rates must be Rate objects or texts such as '100/s', not"
            f" {options.shown(rate)}; for calls per second use calls_per_second="
        )
    if burst != 1:
        raise TypeError(f"burst={burst:g} beside {rate!r}: give it to that Rate")
    return rate


def stats_of(admission: Admission, now: float) -> LimiterStats:
    """Return what *admission* did so far."""
    return LimiterStats(
        waiting=admission.waiting,
        in_flight=admission.running,
        granted=admission.booked,
        cancelled=admission.cancelled,
        waited_total=admission.waited_total,
        next_in=admission.next_in(now),
    )
