"""A clock that moves only when told to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from concutil.testing import ManualClock


def test_it_stands_still_until_it_is_moved() -> None:
    """`advance` moves it by seconds or a timedelta, and nothing else does."""
    clock = ManualClock(10)
    assert clock.now() == 10
    clock.advance(2.5)
    clock.advance(timedelta(milliseconds=500))

    assert clock.now() == 13
    assert repr(clock) == "<ManualClock at 13 s: 0 timers>"


def test_timers_go_off_in_order_at_their_own_time() -> None:
    """Each sees the clock at its due time; equal ones come in order of making."""
    clock, seen = ManualClock(), []
    for when in (3, 1, 2, 2, 9):
        clock.call_at(when, lambda when=when: seen.append((when, clock.now())))
    clock.advance(5)

    assert seen == [(1, 1), (2, 2), (2, 2), (3, 3)]
    assert clock.now() == 5


def test_a_timer_of_the_past_goes_off_at_once() -> None:
    """Whoever asks for a time that has come is called at once."""
    clock, seen = ManualClock(5), []
    call_off = clock.call_at(5, lambda: seen.append(clock.now()))
    call_off()

    assert seen == [5]


def test_a_timer_that_is_called_off_is_silent() -> None:
    """Calling off twice, or too late, does nothing."""
    clock, seen = ManualClock(), []
    calls_off = [clock.call_at(when, lambda: seen.append(1)) for when in (1, 2, 3)]
    calls_off[1]()
    calls_off[1]()
    clock.advance(9)
    calls_off[0]()

    assert seen == [1, 1]


def test_a_timer_may_set_another() -> None:
    """What goes off within the same advance is called as well."""
    clock, seen = ManualClock(), []

    def again() -> None:
        seen.append(clock.now())
        clock.call_at(clock.now() + 2, again)

    clock.call_at(1, again)
    clock.advance(6)

    assert seen == [1, 3, 5]


@pytest.mark.parametrize(
    ("seconds", "kind"),
    [(-1, ValueError), (float("inf"), ValueError), ("1", TypeError)],
)
def test_it_only_moves_forward(seconds: Any, kind: type[Exception]) -> None:
    """Backward, endless and meaningless steps are refused."""
    with pytest.raises(kind, match="seconds must be a finite number of seconds"):
        ManualClock().advance(seconds)
    with pytest.raises(TypeError, match="start must be a finite number"):
        ManualClock("now")  # type: ignore[arg-type]  # on purpose
