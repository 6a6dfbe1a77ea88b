"""What many keys owe, as rows of numbers, is what a limiter for each would owe."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concutil import Rate
from concutil._core.admission import Admission
from concutil._core.buckets import bucket_of
from concutil._core.ledger import FEW, Ledger
from concutil._core.ticket import Ticket

RATES = (Rate(1, 4, burst=2), Rate(1, 2, burst=3), Rate(10, 4, exact=True))
QUARTERS = st.integers(0, 40).map(lambda count: count / 4)


@given(
    rate=st.sampled_from(RATES),
    slack=st.sampled_from([0, 0.25]),
    before=st.lists(st.tuples(QUARTERS, st.sampled_from([0.5, 1, 2])), max_size=5),
    after=st.lists(QUARTERS, min_size=1, max_size=5),
)
def test_a_free_bucket_equals_a_new_one(
    rate: Rate, slack: float, before: list[tuple[float, float]], after: list[float]
) -> None:
    """From `free_at` on, and not before, a bucket answers as one that is new."""
    now, used, new = 100.0, bucket_of(rate, slack), bucket_of(rate, slack)
    assert used.free_at() == new.free_at() == -inf
    for step, amount in before:
        now += step
        used.take(amount, now)
    if before and not rate.exact:
        assert used.take(0, used.free_at()) == bucket_of(rate, slack).take(
            0, used.free_at()
        )
        early = used.free_at() - 0.125
        assert used.due_behind(0, 1, early) > new.due_behind(0, 1, early)

    now = max(now, used.free_at())
    for step in after:
        now += step
        assert max(used.due(1), now) == max(new.due(1), now)
        assert max(used.take(1, now), now) == max(new.take(1, now), now)


@given(
    rates=st.lists(st.sampled_from(RATES[:2]), min_size=1, max_size=2),
    slack=st.sampled_from([0, 0.25]),
    calls=st.lists(st.tuples(QUARTERS, st.integers(0, 2), st.booleans()), max_size=60),
)
def test_rows_answer_as_admissions_do(
    rates: list[Rate], slack: float, calls: list[tuple[float, int, bool]]
) -> None:
    """A key's row, woken or not, forgotten or not, grants what an object grants."""
    ledger, plain, now = Ledger(tuple(rates), None, slack), {}, 100.0
    for step, key, awake in calls:
        now += step
        ledger = ledger.without_free(now)
        ledger.add(key)
        model = plain.setdefault(key, Admission.of(rates, None, slack))
        if awake:
            admission = ledger.wake(key)
            assert admission is not None
            granted = admission.book_one(now)
            assert ledger.soonest >= now or len(ledger) > 1
            ledger.rest(key)
        else:
            granted = ledger.enter_one(key, now)
        assert granted == model.book_one(now)
        assert ledger.soonest == min(
            it.free_at() for it in plain.values() if it.free_at() > now
        )


def test_a_key_in_use_is_never_free() -> None:
    """What is awake stays, whatever its rates say, until it was put to rest."""
    ledger = Ledger((Rate(1),), None, 0)
    ledger.add("a")
    assert ledger.wake("a") is ledger.wake("a")
    assert (ledger.soonest, ledger.without_free(1e9)) == (inf, ledger)
    assert ledger.enter_one("a", 0) is False

    ledger.rest("a")
    ledger.rest("a")
    assert len(ledger.without_free(0)) == 0
    assert ledger.wake("b") is None
    assert ledger.enter_one("b", 0) is None


def test_who_is_inside_keeps_a_key_awake() -> None:
    """A place that is taken can't be told by a row."""
    ledger = Ledger((), 1, 0)
    ledger.add("a")
    admission = ledger.wake("a")
    assert admission is not None
    assert admission.book_one(5)
    ledger.rest("a")
    assert ledger.wake("a") is admission
    admission.leave_block()
    ledger.rest("a")

    again = ledger.wake("a")
    assert again is not admission
    assert again is not None
    assert (again.booked, again.running) == (1, 0)


@pytest.mark.parametrize("kind", ["pause", "exact"])
def test_what_is_no_number_keeps_a_key_awake(kind: str) -> None:
    """Pauses and the grants of exact rates stay, and are forgotten in their time."""
    ledger = Ledger((Rate(1, 10, exact=kind == "exact"),), None, 0)
    ledger.add("a")
    admission = ledger.wake("a")
    assert admission is not None
    if kind == "pause":
        admission.pause_until(10)
    else:
        assert admission.book(Ticket(), 0)
    ledger.rest("a")

    assert ledger.awake == {"a": admission}
    assert ledger.soonest == 10
    assert ledger.without_free(9) is ledger
    assert len(ledger.without_free(10)) == 0
    assert ledger.without_free(10).awake == {}


def test_a_sweep_is_due_when_a_share_is_new() -> None:
    """Keys are looked at again once half as many have come, so each is seldom."""
    ledger, looked_at = Ledger((Rate(1, 3600),), None, 0), 0
    for key in range(1_000):
        if ledger.has_grown:
            looked_at += len(ledger)
            ledger = ledger.without_free(0)
        ledger.add(key)
        assert ledger.enter_one(key, 0)

    assert not Ledger((), 1, 0).has_grown
    assert FEW <= looked_at <= 3 * 1_000


class Odd:
    """A key that is compared so many times, and then fails to be."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        self.times -= 1
        if self.times < 0:
            raise ArithmeticError
        return self is other


def test_a_key_that_fails_to_compare_changes_nothing() -> None:
    """An error in a key's `__eq__` comes through, and leaves all rows as they were."""
    ledger, odd = Ledger((Rate(1, 8),), None, 0), Odd(0)
    ledger.add(odd)
    assert ledger.enter_one(odd, 0)
    for change in (ledger.add, ledger.wake, lambda key: ledger.enter_one(key, 0)):
        with pytest.raises(ArithmeticError):
            change(1)
    odd.times = 1
    with pytest.raises(ArithmeticError):
        ledger.add(1)  # found to be new, and then it fails

    ledger.after_fork()
    assert (len(ledger), ledger.soonest) == (1, 8)
    ledger.add("a")
    assert ledger.enter_one("a", 3)
    assert len(ledger.without_free(8)) == 1


def test_an_old_time_counts_as_the_latest_one_seen() -> None:
    """A time that runs back mints nothing for any key of the same ledger."""
    ledger = Ledger((Rate(1, burst=2),), None, 0)
    for key, now in (("a", 10.0), ("b", 3.0), ("b", 4.0)):
        ledger.add(key)
        assert ledger.enter_one(key, now)
    assert ledger.enter_one("b", 5.0) is False

    assert ledger.enter_one("b", 11.0)
    assert ledger.enter_one("b", 11.5) is False
