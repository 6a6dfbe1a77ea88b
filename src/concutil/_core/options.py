"""Checks of what callers pass as options, with one wording for all of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from math import isfinite
from operator import index
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])

_SHOWN_CHARACTERS = 60


def number(name: str, value: object) -> float:
    """Return *value* as a float if it is a finite number.

    A number is anything with `__index__` or `__float__`, except bool and str.
    """
    return _finite(name, value, "a finite number")


def positive(name: str, value: object) -> float:
    """Return *value* as a float if it is a finite number above 0."""
    expected = "a finite number above 0"
    amount = _finite(name, value, expected)
    if amount <= 0:
        raise ValueError(_wrong(name, expected, value))
    return amount


def not_negative(name: str, value: object) -> float:
    """Return *value* as a float if it is a finite number of at least 0."""
    expected = "a finite number of at least 0"
    amount = _finite(name, value, expected)
    if amount < 0:
        raise ValueError(_wrong(name, expected, value))
    return amount


def at_least_one(name: str, value: object) -> float:
    """Return *value* as a float if it is a finite number of at least 1."""
    expected = "a finite number of at least 1"
    amount = _finite(name, value, expected)
    if amount < 1:
        raise ValueError(_wrong(name, expected, value))
    return amount


def count(name: str, value: object) -> int:
    """Return *value* as an int if it is a whole number of at least 1."""
    return _whole(
        name, value, "a whole number of at least 1, or None for no limit", least=1
    )


def size(name: str, value: object) -> int:
    """Return *value* as an int if it is a whole number of at least 1; never None."""
    return _whole(name, value, "a whole number of at least 1", least=1)


def count_or_zero(name: str, value: object) -> int:
    """Return *value* as an int if it is a whole number of at least 0."""
    return _whole(
        name, value, "a whole number of at least 0, or None for no limit", least=0
    )


def weight(name: str, value: object) -> int:
    """Return *value* as an int if it is a whole number of at least 0; never None."""
    return _whole(name, value, "a whole number of at least 0", least=0)


def _whole(name: str, value: object, expected: str, *, least: int) -> int:
    if isinstance(value, bool):
        raise TypeError(_wrong(name, expected, value))
    try:
        whole = index(value)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        raise TypeError(_wrong(name, expected, value)) from None
    if whole < least:
        raise ValueError(_wrong(name, expected, value))
    return whole


def duration(name: str, value: object) -> float:
    """Return *value*, seconds or a timedelta, as seconds if they are above 0."""
    expected = "a finite number of seconds above 0, or a timedelta"
    seconds = _seconds(name, value, expected)
    if seconds <= 0:
        raise ValueError(_wrong(name, expected, value))
    return seconds


_SECONDS_OR_ZERO = "a finite number of seconds of at least 0, or a timedelta"


def duration_or_zero(
    name: str, value: object, expected: str = _SECONDS_OR_ZERO
) -> float:
    """Return *value*, seconds or a timedelta, as seconds if they aren't negative."""
    seconds = _seconds(name, value, expected)
    if seconds < 0:
        raise ValueError(_wrong(name, expected, value))
    return seconds


def lifetime(name: str, value: object) -> float:
    """Return *value*, seconds or a timedelta, as seconds; 0 or less is past already."""
    expected = "a finite number of seconds, a timedelta, or None for no end"
    return _seconds(name, value, expected)


def patience(name: str, value: object) -> float:
    """Return how long a call may wait, in seconds; 0 or less means not at all."""
    expected = "a finite number of seconds, a timedelta, or None for no limit"
    return max(0.0, _seconds(name, value, expected))


def flag(name: str, value: object) -> bool:
    """Return *value* if it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(_wrong(name, "True or False", value))
    return value


def function(name: str, value: F | None) -> F | None:
    """Return *value* if it is a function, or None."""
    if value is not None and not callable(value):
        raise TypeError(_wrong(name, "a function, or None", value))
    return value


def label(name: str, value: object) -> str | None:
    """Return *value* if it is a name that can be shown, or None."""
    expected = "a string that isn't empty, or None"
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(_wrong(name, expected, value))
    if not value:
        raise ValueError(_wrong(name, expected, value))
    return value


def _seconds(name: str, value: object, expected: str) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return _finite(name, value, expected)


def _finite(name: str, value: object, expected: str) -> float:
    kind = type(value)  # a class has these too, for its objects
    numeric = hasattr(kind, "__float__") or hasattr(kind, "__index__")
    if not numeric or isinstance(value, (bool, str)):
        raise TypeError(_wrong(name, expected, value))
    try:
        amount = float(value)  # type: ignore[arg-type]  # that is the question
    except OverflowError:
        raise ValueError(_wrong(name, expected, value)) from None
    if not isfinite(amount):
        raise ValueError(_wrong(name, expected, value))
    return amount


def _wrong(name: str, expected: str, value: object) -> str:
    return f"{name} must be {expected}, not {shown(value)}"


def shown(value: object) -> str:
    """Return a short text for *value* in a message, whatever its size."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # it may be anything, an int of many digits too
        text = f"one {type(value).__name__} that can't be shown"
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return f"{text[:_SHOWN_CHARACTERS]}..."
