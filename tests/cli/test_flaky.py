from collections.abc import Awaitable, Callable

import pytest

from concutil import RateLimiter, RetryBudget, retry
from concutil._cli.crew import Work
from concutil._cli.flaky import (
    FlakyLedger,
    FlakyLog,
    FlakyOutcome,
    Retrying,
    Unavailable,
    asked,
    run_flaky,
)
from concutil._cli.heads import Reply
from concutil._cli.plan import FlakyPlan
from concutil._cli.verdict import counts_check

OFTEN = FlakyPlan(calls=60)


def test_one_in_ten_fails() -> None:
    """In good times each tenth arrival gets a 503, which asks for no wait."""
    ledger = FlakyLedger(bad_from=99)
    replies = [ledger.arrive(n / 8, {}) for n in range(1, 21)]
    assert [reply.status for reply in replies] == ([200] * 9 + [503]) * 2
    assert replies[9] == (503, {})
    assert (ledger.failures, ledger.refused, ledger.in_vain) == ([1.25, 2.5], 2, 0)


@pytest.mark.parametrize("begin", [2.0, 1234.1, 98765.4321])
def test_a_second_is_bad(begin: float) -> None:
    """From the chosen arrival on each gets a 503 that says when to come back."""
    ledger = FlakyLedger(bad_from=2)
    replies = [ledger.arrive(at, {}) for at in (1.0, begin, begin + 0.5, begin + 1.001)]
    assert [reply.status for reply in replies] == [200, 503, 503, 200]
    assert replies[1].fields == replies[2].fields == {"Retry-After": "1"}
    assert ledger.in_vain == ledger.refused == 2


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(Unavailable(2.5), 2.5), (Unavailable(None), True), (OSError(), False)],
)
def test_a_503_is_retried_when_the_server_wants(
    error: Exception, verdict: object
) -> None:
    """A 503 is retried, after what it asks for; what else goes wrong is not."""
    assert asked(error) == verdict
    assert type(asked(error)) is type(verdict)


def test_a_client_counts_calls_and_attempts() -> None:
    """A failed attempt raises what the server said, a good one ends the call."""
    log = FlakyLog(Work(1))
    assert log.begin()
    with pytest.raises(Unavailable) as caught:
        log.take_in(Reply(503, {"retry-after": "7"}))
    log.take_in(Reply(200, {}))
    assert not log.begin()
    assert caught.value.retry_after == pytest.approx(7)
    assert (log.begun, log.answered, log.told_no, log.succeeded) == (1, 2, 1, 1)


def run(
    retrying: Retrying,
    *loops: str,
    plan: FlakyPlan,
    look: Callable[[FlakyOutcome], object] = bool,
) -> FlakyOutcome:
    """Run the third part of the demo."""
    return run_flaky(retrying, plan, loops, seconds=plan.seconds, port=0, look=look)


@pytest.mark.parametrize("loops", [[], ["asyncio", "trio"]])
def test_calls_that_are_tried_once_fail(loops: list[str]) -> None:
    """Without retries each failure is one of a call, in threads and in tasks."""

    async def once(attempt: Callable[[], Awaitable[None]]) -> None:
        await attempt()

    looks: list[FlakyOutcome] = []
    outcome = run(
        Retrying("once", lambda attempt: attempt(), once),
        *loops,
        plan=OFTEN,
        look=looks.append,
    )
    assert looks
    assert outcome.tally.planned == outcome.tally.answered == 60
    assert outcome.failed == outcome.tally.refused == outcome.ledger.refused > 0
    assert outcome.succeeded + outcome.failed == 60
    assert outcome.retries == 0
    assert counts_check("once", outcome.tally).holds


@pytest.mark.slow
def test_a_policy_makes_no_storm() -> None:
    """Real clients share a pause and a budget, and all is counted twice alike."""
    plan = FlakyPlan(calls=60)
    limiter = RateLimiter(calls_per_second=plan.calls_per_second)
    policy = retry(asked, limiter=limiter, budget=RetryBudget())
    outcome = run(
        Retrying("policy", policy.call, policy.acall), "asyncio", "trio", plan=plan
    )
    assert 1 <= outcome.ledger.in_vain <= len(outcome.logs)
    assert outcome.retries <= 0.2 * 60 + 10
    assert outcome.succeeded + outcome.failed == 60
    assert counts_check("policy", outcome.tally).holds
    assert limiter.stats().granted == outcome.tally.answered
