from collections.abc import Sequence
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concutil._cli.verdict import (
    Bound,
    Check,
    Grant,
    Tally,
    books_check,
    bound_check,
    counts_check,
    exit_status,
    waits_check,
)
from concutil._cli.verdict import worst_excess as excess_of

BOUND = Bound(rate=100.0, burst=2.0, slack=0.01)
GOOD = Tally(planned=5, answered=5, arrived=5, told_429=2, refused=2)

instants = st.lists(st.integers(0, 2000), min_size=1, max_size=12).map(
    lambda ticks: [tick / 4096 for tick in ticks]
)
delays = st.lists(
    st.tuples(st.floats(0, 0.05), st.floats(0, 0.05)), min_size=12, max_size=12
)


def over_all_windows(times: Sequence[float], bound: Bound) -> float:
    """Return the worst excess the slow way: every window, one by one."""
    ordered = sorted(times)
    return max(
        last
        - first
        + 1
        - bound.burst
        - bound.rate * (ordered[last] - ordered[first] + bound.slack)
        for first in range(len(ordered))
        for last in range(first, len(ordered))
    )


@given(instants)
def test_known_grant_times_give_the_exact_excess(times: list[float]) -> None:
    """One pass finds the same worst window as a look at every window."""
    excess = excess_of([Grant(time, time) for time in times], BOUND)
    assert excess == pytest.approx(over_all_windows(times, BOUND), abs=1e-9)


@given(instants, delays)
def test_late_stamps_make_up_no_excess(
    times: list[float], held_up: list[tuple[float, float]]
) -> None:
    """However late clients are, they see no more excess than there was."""
    seen = [
        Grant(time - early, time + late)
        for time, (early, late) in zip(times, held_up, strict=False)
    ]
    assert excess_of(seen, BOUND) <= over_all_windows(times, BOUND) + 1e-9


@given(st.floats(0, 1e9))
def test_a_long_uptime_costs_no_precision(origin: float) -> None:
    """The excess is the same on a machine that has been up for decades."""
    grants = [Grant(origin, origin)] * 4
    assert excess_of(grants, BOUND) == pytest.approx(1.0)


def test_grants_at_the_limit_keep_the_bound() -> None:
    """A burst and then a call every 10 ms is exactly what 100/s burst 2 allows."""
    grants = [Grant(0.0, 0.0), *(Grant(n / 100, n / 100) for n in range(200))]
    check = bound_check(grants, BOUND)
    assert check.holds
    assert "at most 2 + 100 x (w + 0.01) calls" in check.said
    assert exit_status([check]) == 0


def test_grants_over_the_limit_break_the_bound() -> None:
    """Twice the rate for a quarter of a second is found, and the status is 1."""
    check = bound_check([Grant(n / 200, n / 200) for n in range(51)], BOUND)
    assert not check.holds
    assert check.said.endswith("23.00 calls too many")
    assert exit_status([Check(True, "fine"), check]) == 1


def test_nothing_granted_is_no_success() -> None:
    """A limiter that lets nobody in has not kept its bound, it has failed."""
    assert excess_of([], BOUND) == -inf
    assert not bound_check([], BOUND).holds


def test_a_permit_cannot_have_waited_longer_than_its_caller() -> None:
    """A wait that ends after the caller was let in is reported."""
    fine, wrong = Grant(1.0, 1.0), Grant(2.0, 1.0)
    assert waits_check([fine]).holds
    check = waits_check([wrong, fine, wrong])
    assert not check.holds
    assert check.said.startswith("2 permits")


def test_equal_counts_add_up() -> None:
    """Counts on which both sides agree are fine, refusals or not."""
    assert counts_check("naive", GOOD).holds


@pytest.mark.parametrize("wrong", Tally._fields)
def test_any_other_count_fails(wrong: str) -> None:
    """One count that differs from its counterpart is reported with both numbers."""
    check = counts_check("naive", GOOD._replace(**{wrong: 3}))
    assert not check.holds
    assert "naive: counts don't add up" in check.said
    assert "3" in check.said


@pytest.mark.parametrize("books", [(4, 0, 0), (5, 1, 0), (5, 0, 1)])
def test_the_limiters_own_books_must_agree(books: tuple[int, int, int]) -> None:
    """A grant too few, or somebody left inside, is reported."""
    assert books_check(5, 0, 0, answered=5).holds
    assert not books_check(*books, answered=5).holds
