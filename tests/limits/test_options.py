"""A limiter's options are checked when it is made, and shown by its repr."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta
from typing import Any

import pytest

from concutil import Permit, Rate, RateLimiter
from concutil.testing import ManualClock


@pytest.mark.parametrize(
    ("args", "options", "kind", "message"),
    [
        ((), {}, ValueError, "a limiter needs a limit"),
        ((), {"burst": 3, "max_concurrent": 1}, TypeError, "burst= belongs to a rate"),
        ((100,), {}, TypeError, "use calls_per_second="),
        ((Rate(1),), {"burst": 3}, TypeError, "give it to that Rate"),
        (("1/s burst 2",), {"burst": 3}, TypeError, "use only one"),
        (("fast",), {}, ValueError, "can't read 'fast' as a rate"),
        ((), {"calls_per_second": 0}, ValueError, "calls_per_second must be"),
        ((), {"calls_per_second": True}, TypeError, "calls_per_second must be"),
        ((), {"calls_per_second": float("nan")}, ValueError, "calls_per_second"),
        ((), {"calls_per_second": 1, "burst": 0}, ValueError, "burst must be"),
        ((), {"max_concurrent": 0}, ValueError, "max_concurrent must be"),
        ((), {"max_concurrent": 1.5}, TypeError, "max_concurrent must be"),
        (("1/s",), {"slack": -1}, ValueError, "slack must be"),
        (("1/s",), {"slack": "a"}, TypeError, "slack must be"),
        (("1/s",), {"name": 3}, TypeError, "name must be"),
        (("1/s",), {"name": ""}, ValueError, "name must be"),
        (("1/s",), {"clock": 3}, TypeError, "clock must have the methods now"),
    ],
)
def test_bad_options_are_refused(
    args: Any, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    """The error comes when the limiter is made, and names the argument."""
    with pytest.raises(kind, match=message):
        RateLimiter(*args, **options)


@pytest.mark.parametrize(
    ("limiter", "text"),
    [
        (
            RateLimiter(calls_per_second=100, name="api"),
            "<RateLimiter 'api' 100/s burst 1: 0 waiting>",
        ),
        (
            RateLimiter("5/min", "50/h", burst=5),
            "<RateLimiter 5/min burst 5, 50/h burst 5: 0 waiting>",
        ),
        (
            RateLimiter(Rate(2, burst=3), max_concurrent=4, slack=timedelta(0)),
            "<RateLimiter 2/s burst 3, 4 at once: 0 waiting, 0 inside>",
        ),
    ],
)
def test_repr_shows_limits_and_state(limiter: RateLimiter, text: str) -> None:
    """The repr tells the name, every limit, and who waits and is inside."""
    assert repr(limiter) == text


def test_a_limiter_is_not_copied() -> None:
    """Pickling or copying one would make a second limit: a TypeError says so."""
    limiter = RateLimiter("1/s")

    for duplicate in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="would be a second limit"):
            duplicate(limiter)


@pytest.mark.parametrize(
    ("cost", "kind"), [(0, ValueError), (-1, ValueError), ("1", TypeError)]
)
def test_costs_are_checked(cost: Any, kind: type[Exception]) -> None:
    """A cost is a number above 0."""
    limiter = RateLimiter("1/s")

    with pytest.raises(kind, match="cost must be"):
        limiter.permit(cost)
    with pytest.raises(kind, match="cost must be"):
        limiter.try_permit(cost)


def test_a_cost_that_no_wait_admits_is_refused() -> None:
    """A cost above a burst is an error that says what to do, not an endless wait."""
    limiter = RateLimiter("9/s burst 9", "5/s", max_concurrent=1)

    for ask in (limiter.permit, limiter.try_permit):
        with pytest.raises(
            ValueError,
            match=r"cost=3 is above the burst of 5/s .*"
            r"give that rate burst=3 or more",
        ):
            ask(3)


def test_timeouts_are_checked() -> None:
    """A timeout is a number of seconds, a timedelta or None."""
    with pytest.raises(TypeError, match="timeout must be a finite number of seconds"):
        RateLimiter("1/s").permit(timeout="soon")  # type: ignore[arg-type]  # on purpose


def test_stats_are_counts_as_of_now() -> None:
    """The stats tell who was let in, is inside, and how long the rates need."""
    clock = ManualClock()
    limiter = RateLimiter("2/s burst 2", max_concurrent=3, slack=0, clock=clock)
    with limiter, limiter:
        stats = limiter.stats()

    assert (stats.granted, stats.in_flight, stats.waiting) == (2, 2, 0)
    assert stats.next_in == 0.5
    assert limiter.stats().in_flight == 0


def test_a_permit_is_shown() -> None:
    """The repr of a permit tells its cost, its limiter and its state."""
    limiter = RateLimiter("2/s", name="api")
    permit = limiter.permit()

    assert repr(permit) == "<Permit of cost 1 from limiter 'api': new>"
    assert isinstance(permit.wait(), Permit)
    assert "granted" in repr(permit)
