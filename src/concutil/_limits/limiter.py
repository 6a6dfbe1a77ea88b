"""The rate limiter: one object for threads, asyncio and trio at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from math import inf
from types import EllipsisType, TracebackType
from typing import ParamSpec, TypeVar, final

from .._core import options
from .._core.admission import Admission, Ticket
from .._core.cost import cost_of
from .._core.rates import Rate
from .._core.record import Record
from .._runtime import waiters
from .._runtime.calls import guarded
from .._runtime.clock import Clock, check_clock
from .._runtime.events import LimiterPaused, emit
from .gate import Gate
from .permit import Permit

P = ParamSpec("P")
R = TypeVar("R")


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
class RateLimiter:
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
        known = _all_rates(rates, calls_per_second, burst)
        limit = max_concurrent
        if limit is not None:
            limit = options.count("max_concurrent", limit)
        elif not known:
            raise ValueError(
                "a limiter needs a limit: a rate such as '100/s', calls_per_second=,"
                " or max_concurrent="
            )
        seconds = options.duration_or_zero("slack", slack)
        self._gate = Gate(
            Admission.of(known, limit, seconds),
            name=options.label("name", name),
            clock=check_clock(clock),
        )

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
            if gate.inbox:
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

    def permit(
        self,
        cost: float | Mapping[str, float] = 1,
        *,
        timeout: float | timedelta | None = None,
    ) -> Permit:
        """Return a permit for *cost*, to be taken by `with`, `await` or `.wait()`.

        Args:
            cost: A number of calls, or amounts by unit such as `{"tokens": 1200}`;
                calls are 1 unless given. May be fractional.
            timeout: Seconds that it may wait, from this call on; None is for ever, 0
                or less not at all. If the rates alone make it longer, it is refused
                at once.

        Raises:
            TypeError: If an argument is of the wrong kind.
            ValueError: If *cost* is not above 0, has a unit that no rate counts, or
                is above the burst of a rate, so that no wait could ever admit it.

        Threads:
            Safe from any thread, with or without a running event loop.

        .. versionadded:: 0.1
        """
        return self._permit(cost, _patience(timeout))

    def try_permit(self, cost: float | Mapping[str, float] = 1) -> Permit | None:
        """Return a permit for *cost* that is taken already, or None.

        It never waits and never overtakes: it is None while anybody waits.

        Args:
            cost: A number of calls, or amounts by unit, as for `permit`.

        Raises:
            TypeError: If *cost* is of the wrong kind.
            ValueError: If no wait could ever admit *cost*, as for `permit`.

        Threads:
            Safe from any thread, with or without a running event loop.

        .. versionadded:: 0.1
        """
        ticket = Ticket(cost_of(cost, self._gate.admission.rates), kept=True)
        return Permit(self._gate, ticket) if self._gate.try_book(ticket) else None

    def __call__(self, fn: Callable[P, R], /) -> Callable[P, R]:
        """Return *fn* with every call inside of this limiter.

        Args:
            fn: A function, async function, generator or async generator function, or
                method. A generator holds its place from its first item until it
                ends, is closed or is dropped.

        Raises:
            TypeError: If *fn* can't be called.

        .. versionadded:: 0.1
        """
        return guarded(fn, lambda *_args, **_kwargs: self)

    def by(
        self,
        cost: float
        | Mapping[str, float]
        | Callable[P, float | Mapping[str, float]] = 1,
        *,
        timeout: float | timedelta | None = None,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a function with this limiter, its cost and its patience.

        Args:
            cost: As for `permit`, or a function that is called with the arguments of
                each call and returns that.
            timeout: Seconds that each call may wait, as for `permit`.

        Raises:
            TypeError: If an argument is of the wrong kind.
            ValueError: If no wait could ever admit *cost*.

        .. versionadded:: 0.1
        """
        patience = _patience(timeout)
        if callable(cost):
            cost_of_call = cost
            return lambda fn: guarded(
                fn, lambda *a, **k: self._permit(cost_of_call(*a, **k), patience)
            )
        cost_of(cost, self._gate.admission.rates)  # what is wrong is told now
        return lambda fn: guarded(fn, lambda *_a, **_k: self._permit(cost, patience))

    def pause(self, seconds: float | timedelta) -> None:
        """Let nobody start for so long: what a server asks by `Retry-After`.

        Several pauses are one until the latest of their ends. Whoever is inside stays.

        Args:
            seconds: How long from now on; 0 or less is no pause.

        Raises:
            TypeError: If *seconds* is of the wrong kind.
            ValueError: If it is not finite.

        Threads:
            From any thread, with or without a running event loop. It doesn't wait.

        .. versionadded:: 0.1
        """
        gate = self._gate
        length = options.patience("seconds", seconds)
        if length > 0:
            until = gate.now() + length
            gate.apply(lambda core, _: core.pause_until(until))
            emit(LimiterPaused(limiter=gate.name, seconds=length))

    def update(
        self,
        *rates: Rate | str,
        max_concurrent: int | EllipsisType | None = ...,
    ) -> None:
        """Change the limits, while others may be inside or waiting.

        A rate goes on with the debt, in calls, of the one that had its position among
        those of the same unit. Whoever waits is timed anew at once.

        Args:
            *rates: What takes the place of all rates; none leaves them as they are.
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
        known = _all_rates(rates, None, 1)
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
        return self._gate.read(_stats)

    def __repr__(self) -> str:
        admission, stats = self._gate.admission, self.stats()
        limits = [str(rate) for rate in admission.rates]
        state = f"{stats.waiting} waiting"
        if self._gate.bounded:
            limits.append(f"{admission.limit} at once")
            state += f", {stats.in_flight} inside"
        name = "" if self._gate.name is None else f"{self._gate.name!r} "
        return f"<RateLimiter {name}{', '.join(limits)}: {state}>"

    def __reduce__(self) -> str:
        raise TypeError(
            "a RateLimiter can't be pickled or copied: the copy would be a second"
            " limit; make one in each process and share out the rate"
        )

    def _permit(self, cost: float | Mapping[str, float], patience: float) -> Permit:
        gate = self._gate
        until = inf if patience == inf else gate.now() + patience
        amounts = cost_of(cost, gate.admission.rates)
        return Permit(gate, Ticket(amounts, until, kept=True))


def _patience(timeout: float | timedelta | None) -> float:
    return inf if timeout is None else options.patience("timeout", timeout)


def _all_rates(
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
            return Rate(parsed.limit, parsed.per, burst=burst)
        raise TypeError(f"burst={burst:g} contradicts the text {rate!r}: use only one")
    if not isinstance(rate, Rate):
        raise TypeError(
            "rates must be Rate objects or texts such as '100/s', not"
            f" {options.shown(rate)}; for calls per second use calls_per_second="
        )
    if burst != 1:
        raise TypeError(f"burst={burst:g} beside {rate!r}: give it to that Rate")
    return rate


def _stats(admission: Admission, now: float) -> LimiterStats:
    return LimiterStats(
        waiting=admission.waiting,
        in_flight=admission.running,
        granted=admission.booked,
        cancelled=admission.cancelled,
        waited_total=admission.waited_total,
        next_in=admission.next_in(now),
    )
