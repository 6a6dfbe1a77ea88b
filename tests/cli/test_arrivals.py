import pytest
from hypothesis import given
from hypothesis import strategies as st

from concutil._cli.arrivals import (
    achieved_rate,
    busiest,
    longest_gap,
    per_interval,
)

times = st.lists(st.integers(0, 3000), max_size=30).map(
    lambda ticks: [tick / 1024 for tick in sorted(ticks)]
)


@given(times)
def test_every_arrival_is_in_one_interval(arrivals: list[float]) -> None:
    """Intervals lose no arrival, and the first and the last one hold some."""
    counts = per_interval(arrivals, 0.125)
    assert sum(counts) == len(arrivals)
    assert all(counts[place] > 0 for place in (0, -1) if counts)


def test_an_interval_ends_where_the_next_begins() -> None:
    """An arrival exactly between two intervals belongs to the later one."""
    assert per_interval([5.0, 5.25, 5.5, 5.5, 6.0], 0.5) == [2, 2, 1]


def test_arrivals_may_count_as_more_than_one() -> None:
    """With amounts an interval holds the sum of those of its arrivals."""
    assert per_interval([5.0, 5.25, 5.5], 0.5, [10, 0, 7]) == [10, 7]


@given(times)
def test_busiest_window_is_the_best_of_all_windows(arrivals: list[float]) -> None:
    """The busiest window holds as much as the best of those that begin at arrivals."""
    best = max(
        (sum(first <= time < first + 0.125 for time in arrivals) for first in arrivals),
        default=0,
    )
    assert busiest(arrivals, 0.125) == best


def test_rate_is_that_of_the_gaps() -> None:
    """Eleven arrivals in a second, from the first to the last, are ten per second."""
    assert achieved_rate([step / 10 for step in range(11)]) == pytest.approx(10)


def test_no_rate_without_time() -> None:
    """Arrivals of one instant, or none, have no rate."""
    assert [achieved_rate(each) for each in ([], [1.0], [2.0, 2.0])] == [0, 0, 0]


def test_the_longest_gap_is_between_neighbours() -> None:
    """A gap ends with the next arrival; one arrival alone has none."""
    assert longest_gap([1.0, 2.0, 4.5, 5.0]) == pytest.approx(2.5)
    assert [longest_gap(each) for each in ([], [1.0])] == [0, 0]
