"""Retries that are paid for: by requests, and shared by policies."""

from __future__ import annotations

import os
from typing import Any

import anyio
import pytest

from concutil import RateLimiter, Retry, RetryBudget, retry
from concutil.events import Event, RetryGaveUp, subscribe
from concutil.testing import ManualClock, no_waiting
from patience import threads
from virtual import Flaky, JumpingClock, in_block, moving

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def spent(budget: RetryBudget) -> int:
    """Return how many retries are counted."""
    return budget._account.read()[0]


def allowed(budget: RetryBudget) -> float:
    """Return how many retries there may be."""
    return budget._account.read()[1]


def attempts_of(policy: Retry) -> int:
    """Return how often what always fails is called."""
    step = Flaky(OSError())
    with no_waiting(), pytest.raises(OSError):
        policy.call(step)
    return step.calls


def test_a_retry_that_is_denied() -> None:
    """Once the budget is spent, errors are raised at once, by all who share it."""
    heard: list[Event] = []
    budget = RetryBudget(0.5, min_per_second=0.3, window=10)
    policies = [retry(OSError, budget=budget, timeout=None) for _ in range(2)]

    with subscribe(heard.append):
        assert attempts_of(policies[0]) == 4
        assert attempts_of(policies[1]) == 2
        assert attempts_of(policies[0]) == 1
    reasons = [event.reason for event in heard if isinstance(event, RetryGaveUp)]
    assert reasons == ["budget"] * 3
    assert (spent(budget), allowed(budget)) == (4, 4.5)


def test_a_denied_retry_is_told_in_the_note() -> None:
    """Who reads the error learns why there was no other attempt."""
    options: dict[str, Any] = {"budget": RetryBudget(0.1, min_per_second=0)}
    error = OSError()
    with pytest.raises(OSError):
        retry(OSError, clock=ManualClock(), **options).call(Flaky(error))

    assert error.__notes__ == [  # type: ignore[attr-defined]  # ours
        "retry: gave up after 1 attempt in 0 s, since the budget for retries is spent"
    ]


@pytest.mark.anyio
async def test_a_request_is_a_call() -> None:
    """However often it is tried, and in whichever form, a call is one request."""
    budget = RetryBudget(1, min_per_second=9)
    policy = retry(OSError, attempts=3, budget=budget)
    step = Flaky(OSError(), OSError(), 1)

    async def later() -> Any:
        return step()

    def items() -> Any:
        yield step()

    async def later_items() -> Any:
        yield step()

    with no_waiting():
        policy.call(step)
        step.calls = 0
        await policy.acall(later)
        step.calls = 0
        assert [*policy(items)()] == [1]
        step.calls = 0
        assert [item async for item in policy(later_items)()] == [1]
        step.calls = 0
        for attempt in policy:
            with attempt:
                step()
        step.calls = 0
        async for attempt in policy:
            async with attempt:
                step()
    assert (spent(budget), allowed(budget)) == (12, 96)


def test_successes_pay_for_retries() -> None:
    """Calls that succeed at once are requests as well."""
    budget = RetryBudget(0.2, min_per_second=0)
    policy = retry(OSError, attempts=9, budget=budget)
    for _ in range(9):
        policy.call(Flaky(1))

    assert attempts_of(policy) == 3


def test_what_is_not_retried_costs_nothing() -> None:
    """Neither an error of another type nor the last attempt takes a retry."""
    budget = RetryBudget(1, min_per_second=9)
    policy = retry(OSError, attempts=2, budget=budget)
    with pytest.raises(ValueError):
        policy.call(Flaky(ValueError()))
    assert attempts_of(policy) == 2

    assert spent(budget) == 1


def test_results_are_paid_for_as_well() -> None:
    """Without a retry left, the result is returned as it is."""
    budget = RetryBudget(1, min_per_second=0)
    step = Flaky("bad")
    policy = retry(OSError, budget=budget, on_result=lambda _: True)
    with no_waiting():
        assert policy.call(step) == "bad"

    assert (step.calls, spent(budget)) == (2, 1)


def test_the_clock_of_the_policy_counts() -> None:
    """Retries come back after the window, by the policy's own time."""
    clock = JumpingClock()
    budget = RetryBudget(0.1, min_per_second=0.1, window=10)
    policy = retry(OSError, attempts=2, budget=budget, clock=clock, wait_initial=0)

    assert [attempts_of(policy) for _ in range(3)] == [2, 1, 1]
    clock.time += 12
    assert [attempts_of(policy) for _ in range(3)] == [2, 1, 1]


@pytest.mark.anyio
async def test_a_cancelled_wait_gives_its_retry_back() -> None:
    """A retry that was not made is there for others."""
    clock = ManualClock()
    budget = RetryBudget(1, min_per_second=0)
    policy = retry(OSError, budget=budget, clock=clock)

    @policy
    async def call() -> None:
        raise OSError

    async def block() -> None:
        async for attempt in policy:
            async with attempt:
                raise OSError

    for form in (call, block):
        async with anyio.create_task_group() as group:
            group.start_soon(form)
            await anyio.wait_all_tasks_blocked()
            assert spent(budget) == 1
            group.cancel_scope.cancel()
        assert spent(budget) == 0


@pytest.mark.anyio
async def test_a_retry_that_the_limiter_stops_is_given_back() -> None:
    """Whether it is cancelled in the queue or refused there: it was not made."""
    clock = ManualClock()
    budget = RetryBudget(1, min_per_second=0)
    limiter = RateLimiter("1/min", slack=0, clock=clock)
    options: dict[str, Any] = {"limiter": limiter, "budget": budget, "clock": clock}

    async def call() -> None:
        raise OSError

    async with moving(clock):
        with pytest.raises(OSError):
            await retry(OSError, timeout=30, **options).acall(call)
    assert (spent(budget), allowed(budget)) == (0, 1)

    clock.advance(60)
    async with anyio.create_task_group() as group:
        policy = retry(OSError, wait_initial=0, timeout=None, **options)
        group.start_soon(policy.acall, call)
        await anyio.wait_all_tasks_blocked()
        assert (limiter.stats().waiting, spent(budget)) == (1, 1)
        group.cancel_scope.cancel()
    assert spent(budget) == 0


def test_ctrl_c_during_the_wait_gives_its_retry_back() -> None:
    """So it is in a thread, and the interrupt goes through."""

    class Interrupting(JumpingClock):
        def call_at(self, when: float, wake: object) -> Any:
            raise KeyboardInterrupt

    budget = RetryBudget(1, min_per_second=1)
    policy = retry(OSError, budget=budget, clock=Interrupting())
    with pytest.raises(KeyboardInterrupt):
        policy.call(Flaky(OSError()))
    with pytest.raises(KeyboardInterrupt):
        in_block(policy, Flaky(OSError()))

    assert spent(budget) == 0


def test_a_retry_that_was_made_is_not_given_back() -> None:
    """What fails or is interrupted in its attempt was a retry all the same."""
    budget = RetryBudget(1, min_per_second=1)
    with no_waiting(), pytest.raises(KeyboardInterrupt):
        retry(OSError, budget=budget).call(Flaky(OSError(), KeyboardInterrupt()))

    assert spent(budget) == 1


def test_a_retry_is_given_back_without_waiting() -> None:
    """The collector may do so while this very thread holds the lock."""
    budget = RetryBudget(1, min_per_second=1)
    account = budget._account
    account.request(0.0)
    retried = account.take(0.0)
    assert retried is not None
    with account._lock:
        account.give_back(retried)

    assert spent(budget) == 0


def test_threads_share_a_budget() -> None:
    """However many call at once, there are as many retries as are paid for."""
    budget = RetryBudget(0.5, min_per_second=1, window=600)
    policy = retry(OSError, attempts=None, timeout=None, budget=budget)
    made: list[int] = []

    def call() -> None:
        made.extend(attempts_of(policy) - 1 for _ in range(200))

    with threads(*[call] * 4):
        pass
    assert sum(made) == spent(budget) == 600 + 400


@needs_fork
def test_a_child_begins_anew() -> None:
    """What others have spent is theirs; a retry from before is no longer counted."""
    budget = RetryBudget(1, min_per_second=1)
    account = budget._account
    retried = account.take(0.0)
    assert retried is not None

    def check() -> bool:
        fresh = account.read() == (0, 10)
        account.take(0.0)
        account.give_back(retried)
        return fresh and account.read()[0] == 1

    account._lock.acquire()
    pid = os.fork()
    if pid == 0:
        good = False
        try:
            good = check()
        finally:
            os._exit(not good)
    account._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert spent(budget) == 1
