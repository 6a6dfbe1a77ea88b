"""Who computes: a block that ends its flight, however it ends itself."""

from __future__ import annotations

from types import CoroutineType, EllipsisType, TracebackType
from typing import Any, Protocol, final

from .._core.lru import Entry
from .flights import Flight, begin, end
from .terms import Terms, Ttl


class Keeper(Protocol):
    """Where a flight ends: see `Store`."""

    @property
    def terms(self) -> Terms:
        """What makes an entry of a value."""
        ...

    def hold(self, entry: Entry, flight: Flight) -> None:
        """Hold *entry*, which *flight* has computed."""
        ...

    def fail(self, flight: Flight, error: Exception) -> Entry | None:
        """End *flight* with *error*, or return what stands in for its value."""
        ...

    def abandon(self, flight: Flight, *, wait: bool) -> None:
        """End *flight* without a value."""
        ...


@final
class Lead:
    """The right and the duty to compute a key.

    Give `keep` the value in this block. An error goes to all who wait. Whatever else
    ends the block lets one of those who wait take over, and so does a lead that is
    dropped without having been entered.

    Args:
        keeper: Where the flight ends.
        flight: What this leads; new.
        ttl: How long the value will be fresh; `...` for the usual time.
    """

    __slots__ = ("_entry", "_flight", "_keeper", "_ttl")

    def __init__(self, keeper: Keeper, flight: Flight, ttl: Ttl | EllipsisType) -> None:
        self._keeper = keeper
        self._flight: Flight | None = flight  # until it is over
        self._ttl = ttl
        self._entry: Entry | None = None

    @property
    def value(self) -> Any:
        """What was computed, or what stands in for it."""
        assert self._entry is not None
        return self._entry.value

    def keep(self, value: Any) -> None:
        """Have the flight end with *value*; calls code of the user.

        Raises:
            TypeError: If *value* is a coroutine, which could be awaited only once.
        """
        if isinstance(value, CoroutineType):
            value.close()
            raise TypeError(
                "the function returned a coroutine: await aget_or_compute with an async"
                " function, or decorate that"
            )
        assert self._flight is not None
        key = self._flight.step.key
        self._entry = self._keeper.terms.entry(key, value, self._ttl)

    def __enter__(self) -> None:
        assert self._flight is not None
        begin(self._flight.step)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        flight = self._flight
        assert flight is not None
        collected = kind is GeneratorExit  # which may come anywhere
        end(flight.step, here=not collected)
        try:
            if kind is None:
                assert self._entry is not None
                self._keeper.hold(self._entry, flight)
            elif isinstance(error, Exception):
                self._entry = self._keeper.fail(flight, error)
                return self._entry is not None
            return False
        finally:
            # An error's traceback leads to this, and must not lead back to the error.
            self._flight = None
            if flight.state == "running":
                self._keeper.abandon(flight, wait=not collected)
            elif flight.waiters:
                flight.wake_all()  # if Ctrl-C came before that was done

    # Ctrl-C can come between the making of this and its block.
    def __del__(self) -> None:  # noqa: HC11 - see above
        flight = self._flight
        if flight is not None:
            end(flight.step, here=False)
            self._keeper.abandon(flight, wait=False)
