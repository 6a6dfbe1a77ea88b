"""How long waits are, and when there is none."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nextafter
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from concutil._core.backoff import JITTERS, Backoff, Jitter, Plan, Verdict

ATTEMPTS = st.integers(1, 200) | st.integers(1, 10**400)
SECONDS = st.floats(0, 1e9) | st.floats(0, 1.7e308)
CAPS = st.floats(0, 1.7e308, exclude_min=True)
CHANCE = st.floats(0, nextafter(1, 0))


@st.composite
def backoffs(draw: Any, jitters: tuple[Jitter, ...] = JITTERS) -> Backoff:
    """Any backoff that `retry` can make."""
    return Backoff(
        initial=draw(SECONDS),
        factor=draw(st.floats(1, 10) | st.floats(1, 1.7e308)),
        cap=draw(CAPS),
        jitter=draw(st.sampled_from(jitters)),
    )


def always(chance: float) -> Callable[[], float]:
    """Return a source of chance that isn't one."""
    return lambda: chance


@given(backoffs(), ATTEMPTS)
def test_waits_grow_up_to_the_cap(backoff: Backoff, attempt: int) -> None:
    """No wait is longer than the cap or shorter than the one before, however many."""
    ceiling = backoff.ceiling(attempt)

    assert min(backoff.initial, backoff.cap) <= ceiling <= backoff.cap
    assert ceiling <= backoff.ceiling(attempt + 1)


@given(backoffs(), ATTEMPTS, CHANCE)
def test_jitter_only_shortens(backoff: Backoff, attempt: int, chance: float) -> None:
    """A wait lies between the least that its jitter leaves and the ceiling."""
    least = {"full": 0.0, "equal": 0.5, "none": 1.0}[backoff.jitter]
    ceiling = backoff.ceiling(attempt)

    assert least * ceiling <= backoff.wait(attempt, always(chance)) <= ceiling


@given(backoffs(("full", "equal")), ATTEMPTS)
def test_jitter_is_as_wide_at_the_cap(backoff: Backoff, attempt: int) -> None:
    """Chance moves a wait at the cap by as much of it as anywhere else."""
    assume(backoff.initial > 0 and backoff.cap > 1e-300)
    ceiling = backoff.ceiling(attempt)
    early = backoff.wait(attempt, always(0.0))
    late = backoff.wait(attempt, always(0.75))

    width = 0.75 if backoff.jitter == "full" else 0.375
    assert late - early == pytest.approx(width * ceiling)


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 0.1), (2, 0.2), (3, 0.4), (6, 3.2), (7, 5), (10**9, 5)]
)
def test_the_waits_of_the_defaults(attempt: int, seconds: float) -> None:
    """They double from a tenth of a second to five."""
    backoff = Backoff(initial=0.1, factor=2.0, cap=5.0, jitter="none")

    assert backoff.wait(attempt, always(0.5)) == pytest.approx(seconds)


def test_no_first_wait_is_no_wait_at_all() -> None:
    """With an initial wait of 0 there is none, after any number of attempts."""
    backoff = Backoff(initial=0.0, factor=1e300, cap=5.0, jitter="full")

    assert backoff.ceiling(1) == backoff.ceiling(10**400) == 0


@given(backoffs(), st.floats(0, 1e9), CHANCE)
def test_what_a_server_asks_is_only_lengthened(
    backoff: Backoff, asked: float, chance: float
) -> None:
    """It is exceeded by up to a tenth, and not at all without jitter."""
    more = backoff.spread(asked, always(chance))

    assert 0 <= more <= (0 if backoff.jitter == "none" else asked * 0.1)


VERDICTS = st.booleans() | st.floats(0, 1e6)
LEFT = st.floats(-1e6, 1e6) | st.just(inf) | st.just(-inf)


@given(
    backoffs(), st.none() | st.integers(1, 9), VERDICTS, st.integers(1, 9), LEFT, CHANCE
)
def test_a_decision(
    backoff: Backoff,
    most: int | None,
    verdict: Verdict,
    attempt: int,
    left: float,
    chance: float,
) -> None:
    """It waits as long as the backoff and the server want, and never to the deadline.

    What speaks against it is told in a fixed order.
    """
    wait = backoff.wait(attempt, always(chance))
    decision = Plan(attempts=most, backoff=backoff).decide(
        verdict, attempt, wait=wait, left=left, draw=always(chance)
    )

    asked = 0.0 if isinstance(verdict, bool) else verdict
    if verdict is False:
        assert decision == "not_retryable"
    elif left <= 0:
        assert decision == "deadline"
    elif most is not None and attempt >= most:
        assert decision == "attempts"
    elif max(wait, asked) >= left:
        assert decision == "deadline"
    else:
        assert not isinstance(decision, str)
        assert max(wait, asked) <= decision < left
        assert decision <= max(wait, asked * 1.1)


def test_a_spread_that_would_miss_the_deadline_is_left_out() -> None:
    """If only the server's own wait ends in time, that is what is waited."""
    backoff = Backoff(initial=0.0, factor=1.0, cap=1.0, jitter="full")
    plan = Plan(attempts=None, backoff=backoff)

    def decide(left: float) -> float | str:
        return plan.decide(10.0, 1, wait=0.0, left=left, draw=always(0.5))

    assert decide(20.0) == pytest.approx(10.5)
    assert decide(10.2) == 10.0
    assert decide(10.0) == "deadline"


def test_a_server_that_asks_for_no_wait_gets_the_backoff() -> None:
    """A wait of 0 means: again, and not: never."""
    plan = Plan(
        attempts=2,
        backoff=Backoff(initial=1.0, factor=1.0, cap=1.0, jitter="none"),
    )

    assert plan.decide(0.0, 1, wait=1.0, left=inf, draw=always(0.5)) == 1.0
    assert plan.decide(0.0, 2, wait=1.0, left=inf, draw=always(0.5)) == "attempts"


@given(
    backoffs(),
    st.floats(0.001, 1e6),
    st.lists(st.tuples(VERDICTS, CHANCE, st.floats(0, 100)), max_size=30),
)
def test_all_waits_together_end_before_the_deadline(
    backoff: Backoff, timeout: float, attempts: list[tuple[Verdict, float, float]]
) -> None:
    """Whatever attempts take and servers ask, no wait ends after the deadline."""
    plan, now = Plan(attempts=None, backoff=backoff), 0.0
    for number, (verdict, chance, took) in enumerate(attempts, 1):
        now += took
        wait = backoff.wait(number, always(chance))
        decision = plan.decide(
            verdict, number, wait=wait, left=timeout - now, draw=always(chance)
        )
        if isinstance(decision, str):
            break
        now += decision
        assert now <= timeout
