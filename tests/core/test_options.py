"""Options are checked when they are given, in one wording."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from concutil._core import options

NUMBERS = [
    options.number,
    options.positive,
    options.at_least_one,
    options.duration,
    options.duration_or_zero,
    options.patience,
]
WRONG_KINDS = [True, False, "1", b"1", None, [], {}, ..., 1j]
NOT_FINITE = [float("nan"), float("inf"), float("-inf"), Decimal("1e400"), 10**400]


class Whole:
    """A number by `__index__` alone, as numpy's integers are."""

    def __index__(self) -> int:
        return 3


@pytest.mark.parametrize("check", NUMBERS)
@pytest.mark.parametrize("value", [2, 2.5, Fraction(5, 2), Decimal("2.5"), Whole()])
def test_any_number_is_taken(check: Callable[[str, Any], float], value: Any) -> None:
    """What has `__float__` or `__index__` is a number, and comes out as a float."""
    result = check("x", value)

    assert result == float(value)
    assert type(result) is float


@pytest.mark.parametrize("check", NUMBERS)
@pytest.mark.parametrize("value", WRONG_KINDS, ids=repr)
def test_wrong_kinds_are_type_errors(
    check: Callable[[str, Any], float], value: Any
) -> None:
    """Bools, texts and other kinds are refused, with the argument and the value."""
    with pytest.raises(TypeError, match=r"^x must be a finite number.*, not ") as info:
        check("x", value)

    assert repr(value) in str(info.value)


@pytest.mark.parametrize("check", NUMBERS)
@pytest.mark.parametrize("value", NOT_FINITE, ids=lambda value: str(value)[:9])
def test_what_is_not_finite_is_a_value_error(
    check: Callable[[str, Any], float], value: Any
) -> None:
    """NaN, infinities and numbers beyond a float's range are refused."""
    with pytest.raises(ValueError, match=r"^x must be a finite number"):
        check("x", value)


@pytest.mark.parametrize(
    ("check", "low", "ok"),
    [
        (options.positive, [0, -1, -0.0], 1e-300),
        (options.at_least_one, [0, 0.999, -5], 1),
        (options.duration, [0, -0.1, timedelta(0), timedelta(-1)], 1e-9),
        (options.duration_or_zero, [-1e-9, timedelta(-1)], 0),
        (options.count, [0, -3], 1),
    ],
)
def test_the_range_is_kept(
    check: Callable[[str, Any], float], low: list[Any], ok: float
) -> None:
    """What is below the range is a ValueError; its end is right."""
    assert check("x", ok) == ok
    for value in low:
        with pytest.raises(ValueError, match=r"^x must be .*, not "):
            check("x", value)


@pytest.mark.parametrize("check", NUMBERS[3:])
def test_durations_may_be_timedeltas(check: Callable[[str, Any], float]) -> None:
    """A timedelta counts as its seconds."""
    assert check("x", timedelta(milliseconds=1500)) == 1.5


def test_patience_below_zero_is_none_at_all() -> None:
    """A time given per call may be 0 or less: don't wait."""
    assert options.patience("timeout", -3) == 0.0
    assert options.patience("timeout", timedelta(-1)) == 0.0


@pytest.mark.parametrize("value", [True, 1.0, "1", None], ids=repr)
def test_counts_are_whole_numbers(value: Any) -> None:
    """A count has `__index__`; floats and bools are a TypeError."""
    with pytest.raises(TypeError, match="n must be a whole number of at least 1"):
        options.count("n", value)

    assert options.count("n", Whole()) == 3


@pytest.mark.parametrize(("value", "kind"), [("", ValueError), (3, TypeError)])
def test_labels_are_texts(value: Any, kind: type[Exception]) -> None:
    """A name is a string that isn't empty, or None."""
    with pytest.raises(kind, match="name must be a string"):
        options.label("name", value)

    assert options.label("name", None) is None
    assert options.label("name", "api") == "api"


def test_messages_stay_short() -> None:
    """A value of any size is shown in a message of bounded length."""
    assert options.shown("ab") == "'ab'"
    assert len(options.shown("a" * 10_000)) < 80
    assert len(options.shown(10**10_000)) < 80


def test_what_cannot_be_shown_is_named_by_its_type() -> None:
    """A `repr` that fails doesn't take the place of the message."""

    class Broken:
        def __repr__(self) -> str:
            raise OSError

    assert options.shown(Broken()) == "one Broken that can't be shown"
