"""Who computes: a block that ends its flight, however it ends itself."""

from __future__ import annotations

from functools import partial
from types import CoroutineType, EllipsisType, TracebackType
from typing import Any, Protocol, TypeVar, final

from .._core.lru import Entry, Gone
from .._core.waits import Step
from .flights import Flight, innermost
from .terms import Terms, Ttl

T = TypeVar("T")


class Undone(Protocol):
    """What is left to be done: to wake who waits for a flight, or a removal.

    No two are equal, though they be of the same flight: each stands for one more time.
    """

    def __call__(self, *, wait: bool) -> bool:
        """Do it, maybe again; False if that would block, and *wait* is false."""
        ...


class Keeper(Protocol):
    """Where a flight ends: see `Store`."""

    @property
    def terms(self) -> Terms:
        """What makes an entry of a value."""
        ...

    @property
    def undone(self) -> dict[Undone, None]:
        """What `settle` does."""
        ...

    def hold(self, entry: Entry, flight: Flight) -> list[Gone]:
        """Hold *entry*, which *flight* has computed; return what has gone for it."""
        ...

    def fail(self, flight: Flight, error: Exception) -> Entry | None:
        """End *flight* with *error*, or return what stands in for its value."""
        ...

    def settle(self, *, wait: bool) -> None:
        """Do what is `undone`."""
        ...

    def told(self, flight: Flight, *, wait: bool) -> bool:
        """Wake who waits for *flight*, or forget it; see `Undone`."""
        ...


@final
class Lead:
    """The right and the duty to compute a key.

    Give `keep` the value in this block. An error goes to all who wait. Whatever else
    ends the block lets one of those who wait take over, and so does a lead that is
    dropped without having been entered.

    Args:
        keeper: Where the flight ends.
        flight: What this leads.
        step: What computes it, for as long as this leads it.
    """

    __slots__ = ("_entry", "_flight", "_keeper", "_step")

    def __init__(self, keeper: Keeper, flight: Flight, step: Step) -> None:
        self._keeper = keeper
        self._step = step
        self._flight: Flight | None = flight  # until it is over
        self._entry: Entry  # as soon as there is one

    @property
    def value(self) -> Any:
        """What was computed, or what stands in for it."""
        return self._entry.value

    def keep(self, value: Any, ttl: Ttl | EllipsisType = ...) -> None:
        """Have the flight end with *value*; calls code of the user.

        Args:
            value: What was computed.
            ttl: How long it will be fresh; `...` for the usual time.

        Raises:
            TypeError: If *value* is a coroutine, which could be awaited only once.
        """
        terms = self._keeper.terms
        self._entry = terms.entry(self._step.key, finished(value), ttl)

    def __enter__(self) -> None:
        step, flight = self._step, self._flight
        assert flight is not None
        try:
            if step.outer is not None:
                step.outer.needs[step] = flight
            innermost.set(step)
        except BaseException:  # Ctrl-C
            self._drop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        flight, keeper, step = self._flight, self._keeper, self._step
        assert flight is not None
        gone: list[Gone] = []
        served = False
        try:
            step.end()
            if kind is not GeneratorExit:  # which may come anywhere
                innermost.set(step.outer)
            if kind is None:
                gone = keeper.hold(self._entry, flight)
            elif isinstance(error, Exception):
                served = self._is_served(keeper.fail(flight, error))
        finally:
            # First what calls nothing: the stack may have no room for another frame.
            self._flight = None  # an error's traceback leads to this
            if flight.state == "running":
                flight.state = "abandoned"
            if flight.lines or flight.state == "abandoned":
                keeper.undone[partial(keeper.told, flight)] = None
            if keeper.undone:
                keeper.settle(wait=kind is not GeneratorExit)
        if gone:
            keeper.terms.tell(gone)
        return served

    def _is_served(self, stale: Entry | None) -> bool:
        """Whether there is a *stale* entry to take for what was not computed."""
        if stale is None:
            return False
        self._entry = stale
        return True

    def _drop(self) -> None:
        """Give up what was not entered; never blocks."""
        flight, self._flight = self._flight, None
        assert flight is not None
        self._step.end()
        if flight.step is self._step:  # else this was interrupted before it led
            flight.state = "abandoned"  # last of all: somebody else may lead it then
        self._keeper.undone[partial(self._keeper.told, flight)] = None
        self._keeper.settle(wait=False)

    # Ctrl-C can come between the making of this and its block, or while it is made.
    def __del__(self) -> None:  # noqa: HC11 - see above
        try:
            dropped = self._flight is not None
        except AttributeError:
            return
        if dropped:
            self._drop()


def finished(value: T) -> T:
    """Return *value*, unless it is a coroutine, which could be awaited only once."""
    if isinstance(value, CoroutineType):
        value.close()
        raise TypeError(
            "the function returned a coroutine: await aget_or_compute with an async"
            " function, or decorate that"
        )
    return value
