"""The rate limiter: one object for threads, asyncio and trio at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from math import inf
from types import TracebackType
from typing import ParamSpec, TypeVar, final

from .._core import options
from .._core.admission import Admission, Ticket
from .._core.rates import Rate
from .._core.record import Record
from .._runtime import waiters
from .._runtime.calls import guarded
from .._runtime.clock import Clock, check_clock
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
    __slots__ = ("__weakref__", "_gate", "_rates")

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
        self._rates = _all_rates(rates, calls_per_second, burst)
        limit = max_concurrent
        if limit is not None:
            limit = options.count("max_concurrent", limit)
        elif not self._rates:
            raise ValueError(
                "a limiter needs a limit: a rate such as '100/s', calls_per_second=,"
                " or max_concurrent="
            )
        seconds = options.duration_or_zero("slack", slack)
        self._gate = Gate(
            Admission.of(self._rates, limit, seconds),
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
                entered = not admission.lines and admission.book(1.0, now)
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
        self, cost: float = 1, *, timeout: float | timedelta | None = None
    ) -> Permit:
        """Return a permit for *cost*, to be taken by `with`, `await` or `.wait()`.

        Args:
            cost: What it takes of every rate; above 0, may be fractional.
            timeout: Seconds that it may wait, from this call on; None is for ever, 0
                or less not at all. If the rates alone make it longer, it is refused
                at once.

        Raises:
            TypeError: If an argument is of the wrong kind.
            ValueError: If *cost* is above the burst of a rate, so that no wait could
                ever admit it.

        Threads:
            Safe from any thread, with or without a running event loop.

        .. versionadded:: 0.1
        """
        cost = self._check_cost(cost)
        until = inf
        if timeout is not None:
            until = self._gate.now() + options.patience("timeout", timeout)
        return Permit(self._gate, Ticket(cost, until, kept=True))

    def try_permit(self, cost: float = 1) -> Permit | None:
        """Return a permit for *cost* that is taken already, or None.

        It never waits and never overtakes: it is None while anybody waits.

        Args:
            cost: What it takes of every rate; above 0, may be fractional.

        Raises:
            TypeError: If *cost* is of the wrong kind.
            ValueError: If *cost* is above the burst of a rate.

        Threads:
            Safe from any thread, with or without a running event loop.

        .. versionadded:: 0.1
        """
        ticket = Ticket(self._check_cost(cost), kept=True)
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

    def stats(self) -> LimiterStats:
        """Return counts and times as of now.

        Threads:
            Safe from any thread.

        .. versionadded:: 0.1
        """
        return self._gate.read(_stats)

    def __repr__(self) -> str:
        limits = [str(rate) for rate in self._rates]
        stats = self.stats()
        state = f"{stats.waiting} waiting"
        if self._gate.bounded:
            limits.append(f"{self._gate.read(_places)} at once")
            state += f", {stats.in_flight} inside"
        name = "" if self._gate.name is None else f"{self._gate.name!r} "
        return f"<RateLimiter {name}{', '.join(limits)}: {state}>"

    def __reduce__(self) -> str:
        raise TypeError(
            "a RateLimiter can't be pickled or copied: the copy would be a second"
            " limit; make one in each process and share out the rate"
        )

    def _check_cost(self, cost: float) -> float:
        cost = options.positive("cost", cost)
        for rate in self._rates:
            if cost > rate.burst:
                raise ValueError(
                    f"cost={cost:g} is above the burst of {rate}, so no wait could"
                    f" admit it: make the limiter with burst={cost:g} or more"
                )
        return cost


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


def _places(admission: Admission, _now: float) -> int:
    return int(admission.limit)
