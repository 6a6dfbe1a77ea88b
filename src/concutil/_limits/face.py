"""What all limiters do by the same text: permits, decorators, pauses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import timedelta
from math import inf
from types import TracebackType
from typing import ParamSpec, TypeVar, overload

from .._core import options
from .._core.cost import ONE, Cost, cost_of
from .._core.rates import Rate
from .._core.ticket import Ticket
from .._runtime.calls import guarded
from .._runtime.events import LimiterPaused, emit
from .gate import Hold
from .permit import Permit

P = ParamSpec("P")
R = TypeVar("R")


class Face(ABC):
    """A limiter, however it finds the gate at which its callers wait."""

    __slots__ = ()

    @abstractmethod
    def __enter__(self) -> None: ...

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    @abstractmethod
    async def __aenter__(self) -> None: ...

    @abstractmethod
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    @property
    @abstractmethod
    def _rates(self) -> tuple[Rate, ...]: ...

    @abstractmethod
    def _hold_for(self, cost: Cost, *, lasting: bool) -> Hold: ...

    @abstractmethod
    def _hold_if_room(self) -> Hold | None: ...

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
        return self._permit(cost, patience_of(timeout))

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
        ticket = Ticket(cost_of(cost, self._rates), kept=True)
        hold = self._hold_if_room()
        if hold is None:
            return None
        if hold.gate.try_book(ticket):
            return Permit(hold, ticket)
        hold.end()
        return None

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

    @overload
    def by(
        self,
        cost: float | Mapping[str, float] = 1,
        *,
        timeout: float | timedelta | None = None,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    @overload
    def by(
        self,
        cost: Callable[P, float | Mapping[str, float]],
        *,
        timeout: float | timedelta | None = None,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

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
        patience = patience_of(timeout)
        if callable(cost):
            cost_of_call = cost
            return lambda fn: guarded(
                fn, lambda *a, **k: self._permit(cost_of_call(*a, **k), patience)
            )
        cost_of(cost, self._rates)  # so that what is wrong is told now
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
        length = options.patience("seconds", seconds)
        if length > 0:
            hold = self._hold_for(ONE, lasting=False)
            gate = hold.gate
            until = gate.now() + length
            gate.apply(lambda core, _: core.pause_until(until))
            hold.end()
            emit(LimiterPaused, limiter=gate.name, seconds=length)

    def _permit(self, cost: float | Mapping[str, float], patience: float) -> Permit:
        amounts = cost_of(cost, self._rates)
        hold = self._hold_for(amounts, lasting=True)
        until = inf if patience == inf else hold.gate.now() + patience
        return Permit(hold, Ticket(amounts, until, kept=True))


def patience_of(timeout: float | timedelta | None) -> float:
    """Return how many seconds a call with that *timeout* may wait."""
    return inf if timeout is None else options.patience("timeout", timeout)
