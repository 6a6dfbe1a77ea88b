"""A bucket knows what its rate has granted, and when it will grant more."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admission_model import TOLERANCE, TokenBucket, most_in_a_window
from concutil import Rate
from concutil._core.buckets import MOST_LOWS, Bucket, Gcra, Window, bucket_of
from concutil._core.rates import most_at_once

# Multiples of 1/8 are exact as floats, so that models agree to the last bit.
steps = st.integers(0, 40).map(lambda n: n / 8)
amounts = st.integers(1, 16).map(lambda n: n / 8)
slacks = st.sampled_from([0.0, 0.125, 1.0, 3.0])
paced = st.builds(
    Rate,
    st.sampled_from([1, 2, 4, 0.5]),
    st.sampled_from([1, 2]),
    burst=st.sampled_from([1, 2, 2.5, 5]),
)
exact = st.builds(
    Rate, st.sampled_from([1, 2, 3.5]), st.sampled_from([1, 2]), exact=st.just(True)
)


@given(rate=paced, slack=slacks, program=st.lists(st.tuples(steps, amounts)))
def test_a_paced_rate_is_a_bucket_of_tokens(
    rate: Rate, slack: float, program: list[tuple[float, float]]
) -> None:
    """One point in time decides exactly as a bucket of tokens does."""
    bucket, model, now = Gcra(rate, slack), TokenBucket(rate, slack), 0.0
    for step, wanted in program:
        now += step
        amount = min(wanted, rate.burst)
        admitted = bucket.due(amount) - bucket.slip <= now

        assert admitted == model.admits(amount, now)
        if admitted:
            model.take(amount, now)
            assert bucket.take(amount, now) == pytest.approx(
                bucket.due(1) - bucket.slip
            )


@given(rate=exact, program=st.lists(st.tuples(steps, amounts)))
def test_an_exact_rate_never_exceeds_its_limit(
    rate: Rate, program: list[tuple[float, float]]
) -> None:
    """An amount is granted if and only if no window then holds more than the limit."""
    bucket, grants, now = Window(rate, 0.0), [], 0.0
    for step, wanted in program:
        now += step / 4
        amount = min(wanted, rate.limit)
        wish = [*grants, (now, amount)]
        admitted = bucket.due(amount) <= now

        assert admitted == (most_in_a_window(wish, rate.per) <= rate.limit)
        if admitted:
            assert bucket.take(amount, now) == bucket.due(1)
            grants = wish
    assert len(bucket._entries) <= len(grants)


@given(
    rate=paced | exact,
    slack=slacks,
    before=st.lists(st.tuples(steps, amounts), max_size=5),
    queue=st.lists(amounts, max_size=9),
)
def test_the_wait_behind_a_queue_is_told_exactly(
    rate: Rate,
    slack: float,
    before: list[tuple[float, float]],
    queue: list[float],
) -> None:
    """Whoever comes last is granted when it was told; never later than that."""
    bucket, now, most = bucket_of(rate, slack), 0.0, most_at_once(rate)
    for step, amount in before:
        now += step / 8
        if bucket.due(min(amount, most)) <= now:
            bucket.take(min(amount, most), now)
    queue = [1.0 if rate.exact else min(amount, most) for amount in [*queue, 1.0]]
    told = max(now, bucket.due_behind(sum(queue[:-1]), queue[-1], now))
    for amount in queue:
        now = max(now, bucket.due(amount))
        bucket.take(amount, now)

    if not rate.exact or rate.limit == int(rate.limit):
        assert now == pytest.approx(told, abs=TOLERANCE)


@settings(max_examples=300)
@given(
    rate=paced | exact,
    slack=slacks,
    program=st.lists(st.tuples(steps, amounts, st.booleans()), max_size=30),
    data=st.data(),
)
def test_giving_back_is_what_a_replay_leaves(
    rate: Rate,
    slack: float,
    program: list[tuple[float, float, bool]],
    data: st.DataObject,
) -> None:
    """After a refund as much is due as had it never been taken."""
    bucket, now = bucket_of(rate, slack), 0.0
    history: list[list[Any]] = []  # time, amount, mark
    for step, wanted, back in program:
        now += step / 4
        amount = min(wanted, most_at_once(rate))
        if back and history:
            grant = history[data.draw(st.integers(0, len(history) - 1))]
            part = min(amount, grant[1])
            bucket.give_back(part, grant[2])
            grant[1] -= part
        elif bucket.due(amount) <= now:
            bucket.take(amount, now)
            history.append([now, amount, bucket.mark()])
    replayed = bucket_of(rate, slack)
    for time, amount, _ in history:
        replayed.take(amount, time)
    bucket.take(0.0, now)
    replayed.take(0.0, now)

    assert bucket.due(1) == pytest.approx(replayed.due(1), abs=TOLERANCE)


@pytest.mark.parametrize("rate", [Rate(1, burst=4), Rate(4, exact=True)])
def test_a_refund_of_the_latest_is_whole(rate: Rate) -> None:
    """In parts or at once, what was taken last is given back without a rest."""
    bucket = bucket_of(rate, 0.0)
    bucket.take(2.0, 0.0)
    due = bucket.due(2.5)
    bucket.take(2.0, 0.0)
    mark = bucket.mark()
    bucket.give_back(0.5, mark)
    bucket.give_back(1.5, mark)

    assert bucket.due(2.5) == due


def test_a_busy_rate_gives_back_old_grants() -> None:
    """In a saturated rate an old grant is given back whole, if others waited for it."""
    bucket = Gcra(Rate(1, burst=5), 0.0)
    bucket.take(5.0, 0.0)
    mark = bucket.mark()
    for second in range(1, 101):
        bucket.take(1.0, float(second))
        assert bucket.mark() > mark
    due = bucket.due(1)
    bucket.give_back(4.0, mark)

    assert bucket.due(1) == due - 4.0
    assert len(bucket._lows or ()) <= MOST_LOWS


def test_what_many_grants_remember_is_bounded() -> None:
    """However the backlog grows, so many are told apart; older ones get less."""
    bucket, marks = Gcra(Rate(1, burst=1e6), 0.0), []
    for _ in range(1000):
        bucket.take(1.0, 0.0)
        marks.append(bucket.mark())
    bucket.give_back(1.0, marks[0])
    bucket.give_back(1.0, marks[-1])

    assert len(bucket._lows or ()) == MOST_LOWS
    assert 998.0 <= bucket.debt(0.0) <= 999.0


def three_ever_closer(*, last: float) -> tuple[Gcra, list[int]]:
    """Return a rate that a grant at *last* has used, and the marks of three before.

    A quarter, then half a second of the ones before is left when the next one comes.
    """
    bucket, marks = Gcra(Rate(1, burst=9), 0.0), []
    for time in (0.0, 0.75, 1.5):
        bucket.take(1.0, time)
        marks.append(bucket.mark())
    bucket.take(1.0, last)
    return bucket, marks


def test_a_refund_takes_from_what_others_may_give_back() -> None:
    """Once the latest was given back, nothing is left of the earlier ones."""
    bucket, marks = three_ever_closer(last=2.0)
    bucket.give_back(1.0, marks[2])
    assert bucket.tat == 3.0
    bucket.give_back(1.0, marks[0])

    assert bucket.tat == 3.0


def test_a_close_grant_counts_for_all_before_it() -> None:
    """As much of any of them is given back as the closest of all left unused."""
    bucket, marks = three_ever_closer(last=2.875)
    bucket.give_back(1.0, marks[0])
    assert bucket.tat == 4.0 - 0.125
    bucket.give_back(1.0, marks[1])

    assert bucket.tat == 4.0 - 0.125


def test_grants_that_nobody_gives_back_are_not_remembered() -> None:
    """However many blocks come after a permit, it is given back whole."""
    bucket = Gcra(Rate(1, burst=1e6), 0.0)
    bucket.take(1.0, 0.0)
    bucket.mark()
    bucket.take(1.0, 0.875)
    mark = bucket.mark()
    for _ in range(2 * MOST_LOWS):
        bucket.take(1.0, 0.875)
    tat = bucket.tat
    bucket.give_back(1.0, mark)

    assert bucket.tat == tat - 1.0


def test_what_was_given_back_does_not_leave_the_window_again() -> None:
    """When its period is over, what came later counts as before."""
    window = Window(Rate(4, 10, exact=True), 0.0)
    window.take(2.0, 0.0)
    mark = window.mark()
    window.take(2.0, 5.0)
    window.give_back(2.0, mark)

    assert [window.debt(now) for now in (5.0, 10.0, 15.0)] == [2.0, 2.0, 0.0]


def test_all_that_a_period_held_is_forgotten_at_once() -> None:
    """Nothing is owed after a long time, however much was granted before."""
    window = Window(Rate(3, exact=True), 0.0)
    for _ in range(3):
        window.take(1.0, 0.0)

    assert window.debt(1.0) == 0.0
    assert not window._entries


def test_what_left_the_window_is_not_given_back() -> None:
    """A refund of a grant that no window holds any more changes nothing."""
    window = Window(Rate(2, exact=True), 0.0)
    window.take(2.0, 0.0)
    mark = window.mark()
    window.take(2.0, 1.0)
    window.give_back(2.0, mark)

    assert window.due(1) == 2.0


def test_a_window_remembers_no_more_than_a_period() -> None:
    """The entries are those of the last period, however many were granted."""
    window = Window(Rate(3, exact=True), 0.0)
    for second in range(1000):
        for _ in range(3):
            window.take(1.0, float(second))

    assert len(window._entries) == 3


def test_more_than_a_window_holds_is_never_due() -> None:
    """An amount above the limit has no due time."""
    window = Window(Rate(3, exact=True), 0.0)
    window.take(1.0, 0.0)

    assert window.due(4.0) == inf


RATES = [
    Rate(2, burst=4),
    Rate(120, 60, burst=1),
    Rate(7, 10, burst=2),
    Rate(5, 2, exact=True),
]


@pytest.mark.parametrize("old", RATES, ids=str)
@pytest.mark.parametrize("new", RATES, ids=str)
def test_a_change_keeps_the_debt(old: Rate, new: Rate) -> None:
    """What was granted and isn't made up for counts as many calls as before."""
    bucket: Bucket = bucket_of(old, 0.0)
    for _ in range(3):
        bucket.take(1.0, 10.0)
    changed = bucket.changed(new, 10.5)

    assert changed.rate == new
    assert changed.debt(10.5) == pytest.approx(bucket_debt(old))


def bucket_debt(rate: Rate) -> float:
    """Return the debt of three calls after half a second."""
    return 3.0 if rate.exact else 3.0 - 0.5 * rate.limit / rate.per


@pytest.mark.parametrize("old", RATES, ids=str)
@pytest.mark.parametrize("new", RATES, ids=str)
def test_a_change_without_debt_starts_full(old: Rate, new: Rate) -> None:
    """Where nothing is owed, the new rate's burst is there at once."""
    bucket = bucket_of(old, 0.0).changed(new, 5.0)
    bucket.take(most_at_once(new), 5.0)

    assert bucket_of(old, 0.0).changed(new, 5.0).due(most_at_once(new)) <= 5.0
    assert bucket.due(1) > 5.0
