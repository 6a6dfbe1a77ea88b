"""A budget is compared with a list of all that happened."""

from __future__ import annotations

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from concutil._core.budget import Budget

Step = tuple[float, Literal["request", "retry", "give back"]]

# A slot lasts one second, and all times are exact.
WINDOW = 9.0
STEPS = st.lists(
    st.tuples(
        st.integers(0, 60).map(lambda n: n / 16) | st.sampled_from([8.0, 9.0, 25.0]),
        st.sampled_from(["request", "request", "retry", "retry", "give back"]),
    ),
    max_size=200,
)
BUDGETS = {
    "ratio": st.sampled_from([0.125, 0.5, 1.0, 3.0]),
    "floor": st.sampled_from([0.0, 1.0, 2.5, 9.0]),
    "start": st.sampled_from([0.0, 1e6, -1e6, 2.0**40]),
}


class Model:
    """Remembers all requests and retries, and counts them when asked."""

    def __init__(self, ratio: float, floor: float) -> None:
        self.ratio = ratio
        self.floor = floor
        self.requests: list[float] = []
        self.retries: list[float] = []

    def counted(self, now: float, for_retries: float, for_requests: float) -> float:
        """Return how many retries are left, by what the last seconds had."""
        retries = sum(time > now - for_retries for time in self.retries)
        requests = sum(time > now - for_requests for time in self.requests)
        return self.floor + self.ratio * requests - retries


@given(steps=STEPS, **BUDGETS)
def test_against_a_list_of_times(
    steps: list[Step], ratio: float, floor: float, start: float
) -> None:
    """In the window that ends at a retry there are never more than allowed.

    One is denied only if a window longer by a slot has too many retries for the
    requests of one that is shorter by a slot.
    """
    budget, model, now = Budget(ratio, floor, WINDOW), Model(ratio, floor), start
    taken: list[tuple[int, float]] = []
    for after, step in steps:
        now += after
        if step == "request":
            budget.request(now)
            model.requests.append(now)
        elif step == "retry":
            slot = budget.take(now)
            if slot is None:
                assert model.counted(now, WINDOW + 1, WINDOW - 1) < 1
            else:
                taken.append((slot, now))
                model.retries.append(now)
                assert model.counted(now, WINDOW, WINDOW) >= 0
        elif taken:
            slot, at = taken.pop(len(taken) // 2)
            budget.give_back(slot)
            model.retries.remove(at)


def granted(budget: Budget, now: float) -> int:
    """Return how many retries *budget* grants at once."""
    count = 0
    while budget.take(now) is not None:
        count += 1
    return count


def test_a_share_and_a_floor() -> None:
    """There are as many retries as the floor and the share of requests give."""
    budget = Budget(0.5, 2.0, WINDOW)
    for _ in range(6):
        budget.request(0.0)

    assert budget.allowed == 5.0
    assert granted(budget, 0.0) == budget.spent == 5


def test_part_of_a_retry_is_none() -> None:
    """What is left has to be enough for a whole one."""
    assert granted(Budget(0.5, 0.75, WINDOW), 0.0) == 0


def test_retries_come_back_after_the_window() -> None:
    """They count for at least the window, and at most for a slot more."""
    budget = Budget(0.5, 3.0, WINDOW)
    assert granted(budget, 0.5) == 3

    assert granted(budget, 0.5 + WINDOW) == 0
    assert granted(budget, 10.0) == 3


def test_requests_pay_no_longer_than_the_window() -> None:
    """What was requested before the window began pays for nothing in it."""
    budget = Budget(1.0, 0.0, WINDOW)
    budget.request(0.0)
    budget.request(1.0)

    assert budget.take(0.5 + WINDOW) is not None
    assert budget.take(0.5 + WINDOW) is None


def test_what_is_given_back_can_be_taken_again() -> None:
    """A retry that was not made leaves room for one that is."""
    budget = Budget(0.5, 1.0, WINDOW)
    slot = budget.take(5.0)
    assert slot is not None
    assert budget.take(5.0) is None

    budget.give_back(slot)
    assert budget.spent == 0
    assert budget.take(6.0) is not None
    assert budget.take(6.0) is None


def test_what_is_given_back_late_changes_nothing() -> None:
    """A retry that no longer counts doesn't make room a second time."""
    budget = Budget(0.5, 2.0, WINDOW)
    slot = budget.take(0.0)
    assert slot is not None
    assert granted(budget, 10.0) == 2

    budget.give_back(slot)
    assert budget.spent == 2
    assert granted(budget, 10.0) == 0


def test_a_stale_time_counts_as_now() -> None:
    """Who read the clock before another had the lock is counted with the other."""
    budget = Budget(1.0, 0.0, WINDOW)
    budget.request(100.0)
    budget.request(50.0)
    assert granted(budget, 100.0) == 2

    budget.request(20.0)
    assert granted(budget, 20.0) == 1
    assert granted(budget, 100.0) == 0


def test_a_time_far_ahead_costs_no_more() -> None:
    """After any while the budget is as new, and to get there takes no loop over it."""
    budget = Budget(1.0, 1.0, WINDOW)
    for now in (-1e9, 0.0, 1e9, 1e300):
        budget.request(now)
        assert (budget.spent, budget.allowed) == (0, 2.0)
        assert granted(budget, now) == 2
