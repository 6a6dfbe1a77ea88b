"""Monotonic seconds, and what may stand in for them."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic  # noqa: HC6 - this is the copy that is replaced
from typing import Protocol, cast

from .._core.options import shown

__all__ = ("Clock", "check_clock", "monotonic", "reader")


class Clock(Protocol):
    """A source of monotonic seconds, for tests and simulations.

    Threads:
        Both methods are called from any thread and must not block. They are called
        outside of locks.

    .. versionadded:: 0.1
    """

    __module__: str = "concutil.testing"

    def now(self) -> float:
        """Return the time in seconds, from any fixed origin.

        .. versionadded:: 0.1
        """
        ...

    def call_at(self, when: float, wake: Callable[[], object]) -> Callable[[], object]:
        """Call *wake* once, from any thread, as soon as the time is *when* or later.

        Args:
            when: A time of this clock, in seconds; it may be past.
            wake: What to call.

        Returns:
            A function that calls this off; calling it late or twice does nothing.

        .. versionadded:: 0.1
        """
        ...


def reader(clock: Clock | None) -> Callable[[], float]:
    """Return the function that reads *clock*; None stands for real time.

    Ask for it when an object is made: `monotonic` of this module is the one place
    where tests change the time for all.
    """
    return monotonic if clock is None else clock.now


def check_clock(value: object) -> Clock | None:
    """Return *value* if it can serve as a clock, or None."""
    if value is None:
        return None
    if callable(getattr(value, "now", None)) and callable(
        getattr(value, "call_at", None)
    ):
        return cast("Clock", value)
    raise TypeError(
        "clock must have the methods now() and call_at(when, wake), or be None for"
        f" real time, not {shown(value)}"
    )
