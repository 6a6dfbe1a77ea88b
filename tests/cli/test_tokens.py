import pytest

from concutil import Rate, RateLimiter
from concutil._cli.crew import Work
from concutil._cli.heads import Reply
from concutil._cli.plan import TokenPlan
from concutil._cli.server import NOT_OURS
from concutil._cli.tokens import TokenLedger, TokenLog, TokenOutcome, run_tokens
from concutil._cli.verdict import bound_check, pause_check
from concutil.testing import ManualClock

PLENTY = TokenPlan(calls_per_second=10_000, tokens_per_second=20_000, calls=60)


@pytest.fixture
def limiter() -> RateLimiter:
    """A thousand tokens at once, and no more of them in this test."""
    tokens = Rate(1000, 3600, burst=1000, unit="tokens")
    return RateLimiter(tokens, clock=ManualClock())


def test_a_server_counts_what_calls_use() -> None:
    """Each answer says how many tokens the call used, a part of the most it may."""
    ledger = TokenLedger(overloaded_at=9)
    replies = [ledger.arrive(at, {"max-tokens": "200"}) for at in (1.0, 1.1, 1.2)]
    assert replies == [
        (200, {"Tokens-Used": "80"}),
        (200, {"Tokens-Used": "180"}),
        (200, {"Tokens-Used": "120"}),
    ]
    assert (ledger.arrivals, ledger.used) == ([1.0, 1.1, 1.2], [80, 180, 120])


def test_an_overloaded_server_refuses_all_for_a_second() -> None:
    """From the chosen arrival on each gets a 429 that says when to come back."""
    ledger = TokenLedger(overloaded_at=2)
    statuses = [
        ledger.arrive(at, {"max-tokens": "100"}).status
        for at in (1.0, 1.5, 1.5, 2.25, 2.5, 2.5)
    ]
    assert statuses == [200, 429, 429, 429, 200, 200]
    assert ledger.refused == 3
    assert TokenLedger(overloaded_at=1).arrive(5.0, {"max-tokens": "1"}) == (
        429,
        {"Retry-After": "1"},
    )


@pytest.mark.parametrize("fields", [{}, {"max-tokens": "many"}, {"max-tokens": "-1"}])
def test_who_says_no_number_is_a_stranger(fields: dict[str, str]) -> None:
    """A call without its number of tokens is none of the demo's."""
    ledger = TokenLedger(overloaded_at=1)
    assert ledger.arrive(1.0, fields) is NOT_OURS
    assert ledger.arrivals == []


def test_an_answer_adjusts_the_cost(limiter: RateLimiter) -> None:
    """A client gives back what it asked for and did not use."""
    log = TokenLog(Work(2), limiter)
    assert log.ask()
    assert (log.cost, log.fields) == ({"tokens": 100}, {"Max-Tokens": "100"})
    with limiter.permit(log.cost) as permit:
        log.enter(permit)
        log.settle(permit, Reply(200, {"tokens-used": "40"}))

    assert (log.estimated, log.used, log.grants[0].amount) == (100, 40, 40)
    assert limiter.try_permit({"tokens": 961}) is None
    assert limiter.try_permit({"tokens": 960}) is not None


def test_a_refusal_pauses_all_and_costs_nothing(limiter: RateLimiter) -> None:
    """A 429 pauses the limiter; its call is refunded, and made again as it was."""
    work = Work(1)
    log = TokenLog(work, limiter)
    assert log.ask()
    with limiter.permit(log.cost) as permit:
        log.enter(permit)
        log.settle(permit, Reply(429, {"retry-after": "7"}))

    assert limiter.stats().next_in == pytest.approx(7)
    assert (log.told_no, log.used, log.grants[0].amount) == (1, 0, 0)
    assert log.pauses[0][1] - log.pauses[0][0] == pytest.approx(7, abs=1)
    assert log.ask()
    assert log.cost == {"tokens": 100}
    assert not log.ask()


@pytest.mark.slow
@pytest.mark.parametrize("loops", [["asyncio"], ["asyncio", "trio"]])
def test_a_run_keeps_the_bound_and_the_pause(loops: list[str]) -> None:
    """Real clients come to an end with both kept, and all is counted twice alike."""
    bound = PLENTY.bound
    limiter = RateLimiter(Rate(bound.rate, burst=bound.burst, unit=bound.unit))
    looks: list[TokenOutcome] = []
    outcome = run_tokens(
        limiter, PLENTY, loops, seconds=PLENTY.seconds, port=0, look=looks.append
    )
    logs, tally = outcome.all_logs, outcome.tally
    assert looks
    assert tally.answered == tally.planned == tally.arrived == 60 + tally.refused
    assert tally.told_no == tally.refused >= 1
    assert sum(log.used for log in logs) == sum(outcome.ledger.used)
    grants = [grant for log in logs for grant in log.grants]
    assert bound_check(grants, bound).holds
    assert pause_check(grants, [pause for log in logs for pause in log.pauses]).holds
