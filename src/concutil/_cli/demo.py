"""`python -m concutil demo`: limiters, retries and a cache under real traffic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TextIO

import anyio

from .._cache.cache import Cache
from .._core.rates import Rate
from .._limits.limiter import RateLimiter
from .._retry.budget import RetryBudget
from .._retry.retry import retry
from .._runtime import clock
from .flaky import FlakyOutcome, Retrying, asked, run_flaky
from .interrupts import held_back
from .naive import (
    NaiveCache,
    NaiveTaskLimiter,
    NaiveThreadLimiter,
    naive_aretry,
    naive_retry,
)
from .plan import MOST_SECONDS_IN_ALL, FlakyPlan, Plan, StampedePlan
from .plot import progress_bar
from .report import (
    Series,
    arrivals,
    further_reading,
    introduction,
    introduction_of_retries,
    introduction_of_stampede,
    introduction_of_tokens,
    plots,
    results,
    results_of_retries,
    results_of_stampede,
    results_of_tokens,
    tokens,
)
from .screen import Screen
from .server import Ledger
from .stampede import Caching, StampedeOutcome, run_stampede
from .tokens import TokenOutcome, run_tokens
from .traffic import CLIENTS_PER_WORLD, Contender, Outcome, run_traffic
from .verdict import (
    Check,
    answers_check,
    books_check,
    bound_check,
    budget_check,
    cache_check,
    counts_check,
    exit_status,
    once_check,
    pause_check,
    storm_check,
    sums_check,
    waits_check,
)

_BAR_COLUMNS = 20

LimitedOutcome = Outcome | TokenOutcome | FlakyOutcome
AnyOutcome = LimitedOutcome | StampedeOutcome


def demo(
    plan: Plan,
    out: TextIO,
    *,
    limiter: RateLimiter | None = None,
    token_limiter: RateLimiter | None = None,
    retrying: Retrying | None = None,
    caching: Caching | None = None,
) -> int:
    """Run the demo, and say what came of it.

    Ctrl-C, a port that can't be opened and a client that is never let in are raised
    when nothing is left running.

    Args:
        plan: What to do.
        out: Where to write.
        limiter: What is judged in the first part; by default a limiter of the plan's
            rate.
        token_limiter: What is judged in the second part; by default a limiter of its
            rates.
        retrying: What is judged in the third part; by default a policy.
        caching: What is judged in the fourth part; by default a cache.

    Returns:
        The exit status: 0 if the limiters kept the plan's bounds and the pause, the
        retries made no storm and kept to their budget, the cache asked once for each
        page, and all counts add up, else 1.
    """
    screen = Screen(out)
    loops = anyio.get_available_backends()
    with held_back() as interrupted:
        stage = _Stage(screen, interrupted)
        checks = _first_part(plan, loops, stage, limiter=limiter or _limiter(plan))
        checks += _second_part(
            plan, loops, stage, limiter=token_limiter or _token_limiter(plan)
        )
        checks += _third_part(plan, loops, stage, retrying=retrying)
        checks += _fourth_part(plan, loops, stage, caching=caching)
    screen.say(further_reading())
    return exit_status(checks)


class _Stage:
    """Where runs are shown, and the time that is left for all of them."""

    def __init__(self, screen: Screen, interrupted: Callable[[], bool]) -> None:
        self.screen = screen
        self._interrupted = interrupted
        self._ends_at = clock.monotonic() + MOST_SECONDS_IN_ALL
        self.started_at = clock.monotonic()

    def seconds(self, wanted: float) -> float:
        """Return how long a run may last that begins now, and note its beginning."""
        self.started_at = clock.monotonic()
        return min(wanted, self._ends_at - self.started_at)

    def look(self, outcome: AnyOutcome) -> None:
        """Show how far a run is, unless Ctrl-C ends it."""
        if self._interrupted():
            raise KeyboardInterrupt
        now = clock.monotonic()
        self.screen.progress(self._so_far(outcome, now), at=now)

    def end(self, outcome: AnyOutcome) -> None:
        """Show how a run ended."""
        self.screen.say([self._so_far(outcome, clock.monotonic())])

    def plot(self, *series: Series, per_second: float) -> None:
        """Draw *series* to one scale."""
        columns, glyphs = self.screen.columns, self.screen.glyphs
        self.screen.say(
            plots(series, per_second=per_second, columns=columns, glyphs=glyphs)
        )

    def _so_far(self, outcome: AnyOutcome, now: float) -> str:
        tally, glyphs = outcome.tally, self.screen.glyphs
        bar = progress_bar(tally.share, width=_BAR_COLUMNS, glyphs=glyphs)
        seconds = now - self.started_at
        return f"{outcome.name:<8} {bar} {seconds:4.1f} s  {tally.so_far}"


def _first_part(
    plan: Plan, loops: Sequence[str], stage: _Stage, *, limiter: RateLimiter
) -> list[Check]:
    stage.screen.say(introduction(plan, loops))
    contenders = _naive(plan, loops), _ours(limiter, loops)
    naive, ours = (_run(contender, plan, stage) for contender in contenders)
    checks = [
        bound_check(ours.grants, plan.bound),
        waits_check(ours.grants),
        _books(limiter, ours),
        *(counts_check(outcome.name, outcome.tally) for outcome in (naive, ours)),
    ]
    stage.screen.say(results((naive, ours), checks))
    stage.plot(arrivals(naive), arrivals(ours), per_second=plan.rate)
    return checks


def _second_part(
    plan: Plan, loops: Sequence[str], stage: _Stage, *, limiter: RateLimiter
) -> list[Check]:
    part = plan.tokens
    stage.screen.say(introduction_of_tokens(part, loops))
    outcome = run_tokens(
        limiter,
        part,
        loops,
        seconds=stage.seconds(part.seconds),
        port=plan.port,
        look=stage.look,
    )
    stage.end(outcome)
    logs = outcome.all_logs
    grants = [grant for log in logs for grant in log.grants]
    checks = [
        bound_check(grants, part.bound),
        pause_check(grants, [pause for log in logs for pause in log.pauses]),
        _books(limiter, outcome),
        counts_check(outcome.name, outcome.tally),
        sums_check(sum(log.used for log in logs), sum(outcome.ledger.used)),
    ]
    stage.screen.say(results_of_tokens(outcome, checks))
    stage.plot(tokens(outcome), per_second=part.tokens_per_second)
    return checks


def _third_part(
    plan: Plan, loops: Sequence[str], stage: _Stage, *, retrying: Retrying | None
) -> list[Check]:
    part = FlakyPlan()
    stage.screen.say(introduction_of_retries(part, loops))
    limiter = RateLimiter(calls_per_second=part.calls_per_second, name="flaky")
    rivals = _loop(part), retrying or _policy(part, limiter)
    loop, policy = (
        _run_flaky(rival, part, stage, loops=loops, port=plan.port) for rival in rivals
    )
    ratio, floor = part.budget_ratio, part.budget_floor
    checks = [
        storm_check(policy.ledger.in_vain, len(policy.logs)),
        budget_check(policy.retries, part.calls, ratio=ratio, floor=floor),
        _books(limiter, policy),
        *(counts_check(outcome.name, outcome.tally) for outcome in (loop, policy)),
    ]
    stage.screen.say(results_of_retries((loop, policy), checks))
    stage.plot(arrivals(loop), arrivals(policy), per_second=part.calls_per_second)
    return checks


def _fourth_part(
    plan: Plan, loops: Sequence[str], stage: _Stage, *, caching: Caching | None
) -> list[Check]:
    part = StampedePlan()
    stage.screen.say(introduction_of_stampede(part, loops))
    cache = Cache[str, int](ttl=60, name="pages")
    ours = caching or Caching("cache", cache.get_or_compute, cache.aget_or_compute)
    simple = NaiveCache[int]()
    rival = Caching("dict", simple.get_or_compute, simple.aget_or_compute)
    outcomes: list[StampedeOutcome] = []
    for each in (rival, ours):
        seconds = stage.seconds(part.seconds)
        outcome = run_stampede(
            each, part, loops, seconds=seconds, port=plan.port, look=stage.look
        )
        stage.end(outcome)
        outcomes.append(outcome)
    judged = outcomes[-1].tally
    checks = [
        once_check(judged.arrived, part.pages),
        *(answers_check(outcome.name, outcome.tally) for outcome in outcomes),
    ]
    if caching is None:
        checks.append(cache_check(cache.stats(), judged))
    stage.screen.say(results_of_stampede(outcomes, checks))
    return checks


def _books(limiter: RateLimiter, outcome: LimitedOutcome) -> Check:
    stats = limiter.stats()
    return books_check(
        stats.granted, stats.waiting, stats.in_flight, answered=outcome.tally.answered
    )


def _token_limiter(plan: Plan) -> RateLimiter:
    part = plan.tokens
    return RateLimiter(
        Rate(part.calls_per_second),
        Rate(part.bound.rate, burst=part.bound.burst, unit=part.bound.unit),
        slack=part.bound.slack,
        name="tokens",
    )


def _limiter(plan: Plan) -> RateLimiter:
    bound = plan.bound
    return RateLimiter(
        calls_per_second=bound.rate, burst=bound.burst, slack=bound.slack, name="demo"
    )


def _ours(limiter: RateLimiter, loops: Sequence[str]) -> Contender:
    return Contender("concutil", limiter.permit, dict.fromkeys(loops, limiter.permit))


def _naive(plan: Plan, loops: Sequence[str]) -> Contender:
    share = plan.rate / (1 + len(loops))
    threads = NaiveThreadLimiter(
        max_concurrent=CLIENTS_PER_WORLD, calls_per_second=share
    )
    tasks = {
        loop: NaiveTaskLimiter(max_concurrent=CLIENTS_PER_WORLD, calls_per_second=share)
        for loop in loops
    }
    return Contender(
        "naive",
        lambda: threads,
        {loop: partial(tasks.__getitem__, loop) for loop in loops},
    )


def _run(contender: Contender, plan: Plan, stage: _Stage) -> Outcome:
    outcome = run_traffic(
        contender,
        Ledger(plan.served_per_second),
        calls=plan.calls,
        seconds=stage.seconds(plan.seconds),
        port=plan.port,
        look=stage.look,
    )
    stage.end(outcome)
    return outcome


def _loop(part: FlakyPlan) -> Retrying:
    return Retrying(
        "loop",
        partial(naive_retry, part.attempts),
        partial(naive_aretry, part.attempts),
    )


def _policy(part: FlakyPlan, limiter: RateLimiter) -> Retrying:
    window_s = 10.0
    budget = RetryBudget(
        part.budget_ratio, min_per_second=part.budget_floor / window_s, window=window_s
    )
    policy = retry(
        asked, attempts=part.attempts, limiter=limiter, budget=budget, name="flaky"
    )
    return Retrying("policy", policy.call, policy.acall)


def _run_flaky(
    retrying: Retrying,
    part: FlakyPlan,
    stage: _Stage,
    *,
    loops: Sequence[str],
    port: int,
) -> FlakyOutcome:
    outcome = run_flaky(
        retrying,
        part,
        loops,
        seconds=stage.seconds(part.seconds),
        port=port,
        look=stage.look,
    )
    stage.end(outcome)
    return outcome
