"""Records are values: frozen, compared, hashed, shown and pickled by their fields."""

from __future__ import annotations

import copy
import pickle
from typing import Any, cast

import pytest

from concutil._core.record import Record


class Point(Record):
    """A record for these tests."""

    __slots__ = ("x", "y")

    x: int
    y: int


class Other(Record):
    """Another one of the same fields."""

    __slots__ = ("x", "y")

    x: int
    y: int


def test_records_are_values() -> None:
    """Records of one class are equal if their fields are, and hash alike."""
    assert Point(x=1, y=2) == Point(y=2, x=1)
    assert Point(x=1, y=2) != Point(x=1, y=3)
    assert Point(x=1, y=2) != Other(x=1, y=2)
    assert len({Point(x=1, y=2), Point(x=1, y=2), Other(x=1, y=2)}) == 2


def test_records_are_shown_by_field() -> None:
    """The repr names every field."""
    assert repr(Point(x=1, y=2)) == "Point(x=1, y=2)"


def test_records_are_frozen() -> None:
    """Fields can't be set, deleted or added."""
    point = cast("Any", Point(x=1, y=2))

    with pytest.raises(AttributeError, match="Point is frozen: can't set 'x'"):
        point.x = 3
    with pytest.raises(AttributeError, match="can't delete 'y'"):
        del point.y
    with pytest.raises(AttributeError, match="can't set 'z'"):
        point.z = 3


def test_records_survive_copies() -> None:
    """Pickles and copies are equal to the original."""
    point = Point(x=1, y=2)

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(point, protocol)) == point
    assert copy.deepcopy(point) == copy.copy(point) == point


@pytest.mark.parametrize("fields", [{}, {"x": 1}, {"x": 1, "y": 2, "z": 3}])
def test_every_field_is_given(fields: dict[str, int]) -> None:
    """Missing and unknown fields are a TypeError that lists the right ones."""
    with pytest.raises(TypeError, match="Point takes exactly the fields x, y, not "):
        Point(**fields)
