"""A permit: one request to a limiter, and the place that it was given."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Generator, Mapping
from types import TracebackType
from typing import Any, final

from .._core.admission import Admission
from .._core.cost import any_cost, shown_cost
from .._core.ticket import GRANTED, NEW, Ticket
from .._runtime.waiters import running_world
from .gate import Hold

if sys.version_info >= (3, 11):
    from typing import Self
else:
    from typing_extensions import Self


@final
class Permit:
    """The right to start once, and a place among those that run.

    A permit comes from `RateLimiter.permit`, not taken yet, or from
    `RateLimiter.try_permit`, taken. Take it by `with permit:`, `async with permit:`,
    `await permit` or `permit.wait()`; each gives the permit itself. Leaving its block,
    or `release`, gives the place back. A permit is used once.

    One that is dropped while it holds a place gives it back, with a
    `ResourceWarning`.

    Raises:
        RateLimitExceeded: When it is taken, if its timeout can't be met. Nothing is
            booked then.
        RuntimeError: If it is taken a second time.

    Cancellation:
        While it waits. If cancelled, nothing stays booked.

    Threads:
        Safe; it may be released by another thread or task than took it.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"
    __slots__ = ("__weakref__", "_gate", "_hold", "_ticket")

    # Permits aren't made by users.
    def __init__(self, hold: Hold, ticket: Ticket) -> None:  # noqa: DOC101, DOC103 - see above
        self._hold = hold  # until it is dropped: it may be adjusted even then
        self._gate = hold.gate
        self._ticket = ticket

    @property
    def waited(self) -> float:
        """Seconds from asking until it was granted; 0 if it needn't wait.

        .. versionadded:: 0.1
        """
        return self._ticket.waited

    def wait(self) -> Self:
        """Take the permit in this thread, blocking it while others are before.

        Returns:
            The permit.

        Raises:
            RateLimitExceeded: If its timeout can't be met.
            RuntimeError: If it was taken before.

        Cancellation:
            By Ctrl-C while it waits. Nothing stays booked then.

        .. versionadded:: 0.1
        """
        self._check_new()
        with self._hold:
            self._gate.wait(self._ticket)
        return self

    def release(self) -> None:
        """Give the place back, if the permit holds it; a second call does nothing.

        What was taken of the rates stays spent.

        Threads:
            From any thread, with or without a running event loop. It doesn't wait.

        .. versionadded:: 0.1
        """
        self._release(wait=True)

    def refund(self) -> None:
        """Give back what was taken of the rates; a second call does nothing.

        The same as adjusting the cost to nothing. The place is kept until `release`.
        What later grants have used already stays spent, so that the bound holds.

        Threads:
            From any thread, with or without a running event loop. It doesn't wait.

        .. versionadded:: 0.1
        """
        self._gate.apply(lambda core, now: core.adjust(self._ticket, {}, now))

    def adjust(self, actual_cost: float | Mapping[str, float]) -> None:
        """Correct the cost, once it is known: estimate first, adjust later.

        What was too much is given back as `refund` does; what was too little is
        charged now, into debt if need be, and whoever comes next waits for it.

        Args:
            actual_cost: What it has cost in all: a number of calls, or amounts by
                unit; calls are 1 unless given. May be above the burst.

        Raises:
            RuntimeError: If the permit was never taken.
            TypeError: If *actual_cost* is of the wrong kind.
            ValueError: If an amount is negative or of an unknown unit.

        Threads:
            From any thread, with or without a running event loop. It doesn't wait.

        .. versionadded:: 0.1
        """
        if not self._ticket.booked:
            raise RuntimeError(f"only a permit that was taken is adjusted: {self!r}")
        cost = any_cost(actual_cost, self._gate.admission.rates)
        self._gate.apply(lambda core, now: core.adjust(self._ticket, cost, now))

    def __await__(self) -> Generator[Any, Any, Self]:
        return self._take().__await__()

    def __enter__(self) -> Self:
        return self if self._ticket.state is GRANTED else self.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release(wait=kind is not GeneratorExit)

    async def __aenter__(self) -> Self:
        return self if self._ticket.state is GRANTED else await self._take()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release(wait=kind is not GeneratorExit)

    # A place that nobody can release any more would be lost for good. It never blocks,
    # so the collector may run it anywhere.
    def __del__(self) -> None:  # noqa: HC11 - there is no block that ends
        ticket = getattr(self, "_ticket", None)  # it may be interrupted as it is made
        if ticket is not None and ticket.state is GRANTED and self._gate.bounded:
            told = f"{self!r} was dropped while it held a place, which is free again"
            self._release(wait=False)  # first: a warning may be an error
            warnings.warn(told, ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        ticket = self._ticket
        cost = shown_cost(ticket.cost)
        return f"<Permit of cost {cost} from {self._gate}: {ticket.state}>"

    async def _take(self) -> Self:  # noqa: HC2 - the other face of one text
        self._check_new()
        with self._hold:
            await self._gate.admit(running_world(), self._ticket)
        return self

    def _check_new(self) -> None:
        if self._ticket.state is not NEW:
            raise RuntimeError(
                f"a permit is used once, and this one was: {self!r}; call permit() for"
                " each start, and in a task await that, without .wait()"
            )

    def _release(self, *, wait: bool) -> None:
        if self._ticket.state is GRANTED:
            self._gate.give_back(self._leave, wait=wait)

    def _leave(self, admission: Admission, _now: float) -> None:
        admission.release(self._ticket)
