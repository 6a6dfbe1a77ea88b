"""Costs by unit, and correcting them: requests and tokens share one limiter."""

from __future__ import annotations

import os
from typing import Any

import pytest

from concutil import Rate, RateLimiter, RateLimitExceeded
from concutil.testing import ManualClock
from patience import eventually, threads


@pytest.fixture
def clock() -> ManualClock:
    """A clock for the test alone."""
    return ManualClock(100)


@pytest.fixture
def limiter(clock: ManualClock) -> RateLimiter:
    """Ten calls a second, and a thousand tokens a minute, all of them at once."""
    tokens = Rate(1000, 60, burst=1000, unit="tokens")
    return RateLimiter(Rate(10, burst=10), tokens, slack=0, clock=clock)


def test_both_units_are_decided_together(
    limiter: RateLimiter, clock: ManualClock
) -> None:
    """A permit takes a call and its tokens, or neither."""
    assert limiter.try_permit({"tokens": 800}) is not None
    assert limiter.try_permit({"tokens": 300}) is None
    assert limiter.try_permit({"tokens": 200}) is not None
    assert limiter.stats().granted == 2

    with pytest.raises(RateLimitExceeded, match=r"1 calls \+ 300 tokens in 18 s") as it:
        limiter.permit({"tokens": 300}, timeout=1).wait()
    assert it.value.retry_after == pytest.approx(18)
    clock.advance(18)
    assert limiter.try_permit({"tokens": 300}) is not None


def test_what_costs_no_tokens_does_not_wait_for_them(limiter: RateLimiter) -> None:
    """A number is an amount of calls; a unit that isn't named costs nothing."""
    assert limiter.try_permit({"tokens": 1000}) is not None
    with limiter:
        assert limiter.try_permit(2) is not None
    assert limiter.try_permit({"calls": 6}) is not None
    assert limiter.try_permit() is None


def test_a_call_may_be_free(limiter: RateLimiter) -> None:
    """Calls are 1 unless given, and may be 0."""
    for _ in range(10):
        assert limiter.try_permit({"tokens": 1}) is not None
    assert limiter.try_permit({"tokens": 1}) is None
    assert limiter.try_permit({"tokens": 1, "calls": 0}) is not None


@pytest.mark.parametrize(
    ("cost", "kind", "message"),
    [
        ({"token": 1}, ValueError, "'token', which no rate counts: .* calls, tokens"),
        ({"tokens": -1}, ValueError, r"cost\['tokens'\] must be .* at least 0"),
        ({"tokens": "9"}, TypeError, r"cost\['tokens'\] must be a finite number"),
        (
            {"tokens": 1001},
            ValueError,
            "above the burst of 1000 tokens/min .* burst=1001",
        ),
        ({"calls": 11}, ValueError, "above the burst of 10/s"),
        (0, ValueError, "cost must be a finite number above 0"),
        ([1], TypeError, "cost must be a finite number"),
    ],
)
def test_bad_costs_are_refused(
    limiter: RateLimiter, cost: Any, kind: type[Exception], message: str
) -> None:
    """Unknown units, wrong amounts and impossible ones are told when asked for."""
    for ask in (limiter.permit, limiter.try_permit, limiter.by):
        with pytest.raises(kind, match=message):
            ask(cost)


def test_an_exact_rate_admits_its_limit_at_once() -> None:
    """Exactly so many in any period: no more in the next moments, all a period on."""
    clock = ManualClock()
    limiter = RateLimiter(Rate(3, 10, exact=True), clock=clock)
    with pytest.raises(ValueError, match="above the limit of 3/10s exact"):
        limiter.permit(4)
    for second in (0, 4, 4):
        clock.advance(second - clock.now())
        assert limiter.try_permit() is not None
    clock.advance(5.5)
    assert limiter.try_permit() is None
    clock.advance(0.5)
    assert limiter.try_permit() is not None
    assert limiter.stats().next_in == pytest.approx(4)


def test_an_estimate_is_adjusted_down(limiter: RateLimiter) -> None:
    """What was too much is there for the next."""
    permit = limiter.try_permit({"tokens": 1000})
    assert permit is not None
    permit.adjust({"tokens": 400})
    permit.adjust({"tokens": 400})

    assert limiter.try_permit({"tokens": 601}) is None
    assert limiter.try_permit({"tokens": 600}) is not None


def test_an_estimate_is_adjusted_into_debt(
    limiter: RateLimiter, clock: ManualClock
) -> None:
    """What was too little is charged, beyond the burst, and the next one waits."""
    permit = limiter.try_permit({"tokens": 1000})
    assert permit is not None
    permit.adjust({"tokens": 2000})
    clock.advance(60)
    assert limiter.try_permit({"tokens": 1}) is None
    permit.adjust({"tokens": 1500})
    clock.advance(1)

    assert limiter.try_permit({"tokens": 500}) is not None


def test_a_refund_gives_all_back_once(limiter: RateLimiter) -> None:
    """Refunding twice, or after the block, gives back what was taken, once."""
    with limiter.permit({"tokens": 1000, "calls": 10}) as permit:
        assert limiter.try_permit() is None
    permit.refund()
    permit.refund()
    permit.release()

    assert limiter.try_permit({"tokens": 1000, "calls": 10}) is not None
    assert limiter.try_permit({"calls": 0, "tokens": 0.1}) is None


def test_a_refund_never_breaks_the_bound() -> None:
    """What later grants have used already is not given back."""
    clock = ManualClock()
    limiter = RateLimiter("1/s burst 2", slack=0, clock=clock)
    early = limiter.try_permit()
    clock.advance(100)
    assert limiter.try_permit(2) is not None
    assert early is not None
    early.refund()

    assert limiter.try_permit() is None


def test_a_refund_lets_whoever_waits_move_up(limiter: RateLimiter) -> None:
    """The queue is timed anew when something is given back."""
    permit = limiter.try_permit({"tokens": 1000})
    assert permit is not None
    with threads(lambda: limiter.permit({"tokens": 500}).wait()):
        eventually(lambda: limiter.stats().waiting == 1)
        permit.refund()


def test_only_what_was_taken_is_adjusted(limiter: RateLimiter) -> None:
    """Adjusting a permit that was never taken is a RuntimeError; refunding is not."""
    permit = limiter.permit()
    permit.refund()
    with pytest.raises(RuntimeError, match="only a permit that was taken is adjusted"):
        permit.adjust(3)
    permit.wait()
    with pytest.raises(ValueError, match="which no rate counts"):
        permit.adjust({"words": 3})

    assert limiter.stats().granted == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_child_gives_nothing_back_for_its_parent(limiter: RateLimiter) -> None:
    """A permit from before a fork changes nothing in the child."""
    permit = limiter.try_permit({"tokens": 1000})
    assert permit is not None
    pid = os.fork()
    if pid == 0:
        permit.refund()
        os._exit(limiter.try_permit({"tokens": 1}) is not None)

    assert os.waitpid(pid, 0)[1] == 0


def test_decorated_calls_have_a_cost(limiter: RateLimiter) -> None:
    """`by` takes a cost, or computes it from the arguments, and has a patience."""

    @limiter.by(cost=lambda text, **_: {"tokens": len(text)}, timeout=0)
    def send(text: str, *, to: str = "") -> str:
        return text + to

    assert send("x" * 900, to="y").endswith("y")
    with pytest.raises(RateLimitExceeded):
        send("x" * 200)
    assert send("x" * 100) == "x" * 100


def test_decorated_generators_have_a_cost(limiter: RateLimiter) -> None:
    """A generator's cost is taken when it is first advanced."""

    @limiter.by(cost={"tokens": 600}, timeout=0)
    def items() -> Any:
        yield 1
        yield 2

    first, second = items(), items()
    assert next(first) == 1
    with pytest.raises(RateLimitExceeded):
        next(second)
    assert list(first) == [2]


@pytest.mark.parametrize("order", [1, -1])
def test_one_unit_is_adjusted_and_the_other_is_not(order: int) -> None:
    """Less of one unit gives nothing of another back, whichever rate stands first."""
    rates = ["10/s burst 10", "1000 tokens/min burst 1000"][::order]
    limiter = RateLimiter(*rates, slack=0, clock=ManualClock())
    permit = limiter.try_permit({"tokens": 1000})
    assert permit is not None
    permit.adjust({"tokens": 400})

    assert limiter.try_permit({"tokens": 600.5, "calls": 0}) is None
    assert limiter.try_permit({"tokens": 600, "calls": 0}) is not None
    assert limiter.try_permit(9.5) is None
    assert limiter.try_permit(9) is not None


def test_a_cost_is_adjusted_up_and_down_exactly() -> None:
    """What was given back in parts is not given back again, and nothing is lost."""
    limiter = RateLimiter("20/min exact", clock=ManualClock())
    permit = limiter.try_permit(10)
    assert permit is not None
    for cost in (12, 11, 9):
        permit.adjust(cost)

    assert limiter.try_permit(11.5) is None
    assert limiter.try_permit(11) is not None


def test_what_was_charged_later_is_refunded_too() -> None:
    """A refund gives back the estimate and what an adjustment has added to it."""
    limiter = RateLimiter("20/min exact", clock=ManualClock())
    permit = limiter.try_permit(5)
    assert permit is not None
    permit.adjust(12)
    permit.refund()

    assert limiter.try_permit(20) is not None


def test_an_exact_rate_gives_an_old_grant_back_whole() -> None:
    """However long ago within the period, and however idle it was meanwhile."""
    clock = ManualClock()
    limiter = RateLimiter("10/min exact", clock=clock)
    old = limiter.try_permit(6)
    assert old is not None
    clock.advance(59)
    assert limiter.try_permit(4) is not None
    assert limiter.try_permit() is None
    old.refund()

    assert limiter.try_permit(6.5) is None
    assert limiter.try_permit(6) is not None


def test_a_permit_is_adjusted_later_and_elsewhere(limiter: RateLimiter) -> None:
    """After its block, and from another thread."""
    with limiter.permit({"tokens": 1000}) as permit:
        pass
    assert limiter.try_permit({"tokens": 1}) is None
    with threads(lambda: permit.adjust({"tokens": 300})):
        pass

    assert limiter.try_permit({"tokens": 701}) is None
    assert limiter.try_permit({"tokens": 700}) is not None
