"""Under every schedule of its threads a retried call does what it would do alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

import pytest

from concutil import RateLimiter, RetryBudget, retry
from concutil._core import budget as core_budget
from concutil._core.budget import Budget
from concutil._retry import budget as retry_budget
from concutil._retry import call
from concutil._retry.budget import account_of
from concutil._runtime import events, rest

from .battery import (
    HOLD_S,
    Call,
    Subject,
    exhaust,
    hold,
    interrupt,
    plans,
    try_at_random,
)
from .budgets import BUDGET
from .explorer.primitives import WITH_IS_A_CALL

RATIO = 0.5
FLOOR = 1.0
WINDOW_S = 3.0  # holders who wait see others' retries become old
WAIT_S = 0.5

# Interrupts of a running thread that leave something behind; the numbers may only fall.
LEFT_BEHIND: Final = (
    {"Budgeted": 24, "Retrying": 206}
    if WITH_IS_A_CALL
    else {"Budgeted": 0, "Retrying": 8}
)


@contextmanager
def unlogged() -> Iterator[None]:
    """Let nobody write a log in the middle of a schedule."""
    with patch.object(events, "_hooks", {}):
        yield


class Noted:
    """A core that notes what it is asked, in the order in which that happens."""

    def __init__(self, core: Budget) -> None:
        self.core = core
        self.log: list[tuple[str, float, int | None]] = []

    def request(self, now: float) -> None:
        self.core.request(now)
        self.log.append(("request", now, None))

    def take(self, now: float) -> int | None:
        slot = self.core.take(now)
        self.log.append(("take", now, slot))
        return slot

    def give_back(self, slot: int) -> None:
        self.core.give_back(slot)
        self.log.append(("give_back", slot, slot))

    @property
    def spent(self) -> int:
        return self.core.spent

    @property
    def allowed(self) -> float:
        return self.core.allowed


class Budgeted(
    Subject,
    targets=(core_budget, retry_budget),
    alphabet=("retry", "request", "abandon", "glance"),
    core=("retry", "abandon"),
    around=unlogged,
):
    """A budget, and what its core was asked in which order."""

    def __init__(self) -> None:
        floor = FLOOR / WINDOW_S
        budget = RetryBudget(RATIO, min_per_second=floor, window=WINDOW_S)
        self.account = account_of(budget)
        self.begun = time.monotonic()
        self.account.request(self.begun)  # slots turn so far only once
        self.noted = Noted(self.account._budget)
        self.account._budget = self.noted  # type: ignore[assignment]  # a double
        self.kept = 0

    def request(self) -> None:
        self.account.request(time.monotonic())

    def retry(self) -> None:
        if self.account.take(time.monotonic()) is not None:
            self.kept += 1
            hold()

    def abandon(self) -> None:
        taken = self.account.take(time.monotonic())
        if taken is not None:
            try:
                hold()
            finally:
                self.account.give_back(taken)

    def glance(self) -> None:
        spent, allowed = self.account.read()
        assert spent >= 0
        assert allowed >= FLOOR

    def settled(self) -> None:
        self.glance()

    def check(self, calls: Sequence[Call]) -> None:
        read = self.account.read()  # takes in what was given back
        log, model = self.noted.log, Budget(RATIO, FLOOR, WINDOW_S)
        model.request(self.begun)
        requests, now = [self.begun], self.begun
        retries: list[tuple[float, int]] = []  # those that count, and their slots
        for name, value, slot in log:
            if name == "give_back" and slot is not None:
                model.give_back(slot)
                retries.remove(next(it for it in retries if it[1] == slot))
                continue
            now = max(now, value)  # who was held up comes with an old time
            if name == "request":
                model.request(value)
                requests.append(now)
            else:
                assert model.take(value) == slot, log
                if slot is not None:
                    retries.append((now, slot))
                    made = _within(now, [at for at, _ in retries])
                    assert made <= FLOOR + RATIO * _within(now, requests), log
        assert (model.spent, model.allowed) == read, log
        assert len(retries) == self.kept, log


def _within(now: float, times: Sequence[float]) -> int:
    """Return how many of *times* are in the window that ends now."""
    return sum(at > now - WINDOW_S for at in times)


class Failed(Exception):  # noqa: N818  # says what happened
    """What is retried."""


class Retrying(
    Subject,
    targets=(core_budget, call, retry_budget, rest),  # the limiter has its own battery
    alphabet=("recover", "succeed", "fail", "heed"),
    core=("recover", "heed"),
    around=unlogged,
):
    """A policy with a limiter and a budget, and who was trying when."""

    def __init__(self) -> None:
        self.limiter = RateLimiter(max_concurrent=1)
        self.budget = RetryBudget(RATIO, min_per_second=1e-6, window=1e6)
        self.policy = retry(
            self.judge,
            attempts=3,
            wait_initial=WAIT_S,
            jitter="none",
            timeout=None,
            limiter=self.limiter,
            budget=self.budget,
        )
        self.trying = 0
        self.most_trying = 0
        self.calls = 0
        self.retries = 0
        self.resume_at = 0.0  # when the server wants to be asked again
        self.too_early = 0

    def judge(self, error: Exception) -> float | bool:
        return float(error.args[0]) if error.args else True

    def succeed(self) -> int:
        return self.call(failures=0)

    def recover(self) -> int:
        return self.call(failures=1)

    def fail(self) -> int:
        return self.call(failures=3)

    def heed(self) -> int:
        return self.call(failures=1, asked=2 * WAIT_S)

    def call(self, failures: int, asked: float = 0.0) -> int:
        """Return how often it was tried, and below 0 if that was in vain."""
        tried = 0

        def attempt() -> None:
            nonlocal tried
            tried += 1
            if tried > 1:
                self.retries += 1
            self.stay()
            if tried <= failures:
                if asked:
                    self.resume_at = time.monotonic() + asked
                    raise Failed(asked)
                raise Failed

        self.calls += 1
        try:
            self.policy.call(attempt)
        except Failed:
            return -tried
        return tried

    def stay(self) -> None:
        """Be tried for a while."""
        self.too_early += time.monotonic() < self.resume_at
        self.trying += 1
        self.most_trying = max(self.most_trying, self.trying)
        try:
            hold()
        finally:
            self.trying -= 1

    def settled(self) -> None:
        stats = self.limiter.stats()
        assert (stats.waiting, stats.in_flight) == (0, 0), stats

    def check(self, calls: Sequence[Call]) -> None:
        assert (self.most_trying, self.too_early) == (1, 0)
        spent, allowed = account_of(self.budget).read()
        assert spent == self.retries <= allowed == FLOOR + RATIO * self.calls
        for it in calls:
            whole = {"succeed": 1, "recover": 2, "fail": -3, "heed": 2}[it.name]
            # Less only if the budget was spent.
            assert it.result == whole or it.result in range(-abs(whole) + 1, 0), calls


Tell = Callable[[object], None]

each = pytest.mark.parametrize("subject", [Budgeted, Retrying])


@pytest.mark.smoke
@pytest.mark.slow
@pytest.mark.timeout(600)
@each
def test_random_schedules_of_random_programs(
    subject: type[Subject], tell: Tell
) -> None:
    """Whatever threads do, and whoever goes on when, no retry is too many or lost."""
    tell(try_at_random(subject, schedules=BUDGET.schedules))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("held", "bound"), [(0.0, 2), (HOLD_S, 1)])
def test_all_schedules_of_two_who_share_a_budget(
    held: float, bound: int, tell: Tell
) -> None:
    """No schedule with few preemptions grants more than the budget has, or less."""
    programs = plans(Budgeted.alphabet, threads=2, length=1)
    tell(exhaust(Budgeted, programs, bound=min(bound, BUDGET.bound), held=held))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("held", [0.0, HOLD_S])
def test_all_orders_of_two_who_retry(held: float, tell: Tell) -> None:
    """Nor does one with few preemptions at locks let two try at once, or stop them."""
    programs = plans(Retrying.core, threads=2, length=1)
    tell(exhaust(Retrying, programs, bound=BUDGET.bound, held=held, grain="lock"))


@pytest.mark.skipif(not BUDGET.interrupts, reason="it takes too long here")
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("swept")
@pytest.mark.filterwarnings("ignore:.* was dropped:ResourceWarning")
@pytest.mark.filterwarnings("ignore:.* was never awaited:RuntimeWarning")
@pytest.mark.parametrize(
    "subject", [pytest.param(Budgeted, marks=pytest.mark.smoke), Retrying]
)
def test_interrupts_leave_nothing_to_wait_for(
    subject: type[Subject], tell: Tell
) -> None:
    """Ctrl-C while waiting: no place and no retry is taken. While running: rarely."""
    report = interrupt(subject)
    tell(f"{subject.__name__}: {report}")
    assert not report.bad("waiting"), report.bad("waiting")[0]
    left = len(report.bad("running"))
    assert left <= LEFT_BEHIND[subject.__name__], (left, report.places())
