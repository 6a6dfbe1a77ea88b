"""`python -m concutil demo`: one limiter under real traffic, beside the naive one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TextIO

import anyio

from .._limits.limiter import RateLimiter
from .._runtime import clock
from .interrupts import held_back
from .naive import NaiveTaskLimiter, NaiveThreadLimiter
from .plan import Plan
from .plot import progress_bar
from .report import further_reading, introduction, plots, results
from .screen import Screen
from .server import Ledger
from .traffic import CLIENTS_PER_WORLD, Contender, Outcome, run_traffic
from .verdict import (
    Check,
    books_check,
    bound_check,
    counts_check,
    exit_status,
    waits_check,
)

_BAR_COLUMNS = 20


def demo(plan: Plan, out: TextIO, *, limiter: RateLimiter | None = None) -> int:
    """Run the demo, and say what came of it.

    Ctrl-C, a port that can't be opened and a client that is never let in are raised
    when nothing is left running.

    Args:
        plan: What to do.
        out: Where to write.
        limiter: What is judged; by default a limiter of the plan's rate.

    Returns:
        The exit status: 0 if the limiter kept the plan's bound and all counts add up,
        else 1.
    """
    screen = Screen(out)
    loops = anyio.get_available_backends()
    if limiter is None:
        limiter = _limiter(plan)
    screen.say(introduction(plan, loops))
    with held_back() as interrupted:
        outcomes = [
            _run(contender, plan, screen, interrupted=interrupted)
            for contender in (_naive(plan, loops), _ours(limiter, loops))
        ]
    checks = _checks(outcomes, limiter, plan)
    screen.say(results(outcomes, checks))
    screen.say(plots(outcomes, plan, columns=screen.columns, glyphs=screen.glyphs))
    screen.say(further_reading())
    return exit_status(checks)


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


def _run(
    contender: Contender,
    plan: Plan,
    screen: Screen,
    *,
    interrupted: Callable[[], bool],
) -> Outcome:
    started_at = clock.monotonic()

    def look(outcome: Outcome) -> None:
        if interrupted():
            raise KeyboardInterrupt
        now = clock.monotonic()
        screen.progress(_so_far(outcome, now - started_at, screen), at=now)

    outcome = run_traffic(
        contender,
        Ledger(plan.served_per_second),
        calls=plan.calls,
        seconds=plan.seconds,
        port=plan.port,
        look=look,
    )
    screen.say([_so_far(outcome, clock.monotonic() - started_at, screen)])
    return outcome


def _so_far(outcome: Outcome, seconds: float, screen: Screen) -> str:
    tally = outcome.tally
    bar = progress_bar(
        tally.answered / tally.planned, width=_BAR_COLUMNS, glyphs=screen.glyphs
    )
    return (
        f"{outcome.name:<8} {bar} {seconds:4.1f} s  {tally.answered:>4} sent,"
        f" {tally.told_429:>4} refused"
    )


def _checks(
    outcomes: Sequence[Outcome], limiter: RateLimiter, plan: Plan
) -> list[Check]:
    ours = outcomes[-1]
    stats = limiter.stats()
    return [
        bound_check(ours.grants, plan.bound),
        waits_check(ours.grants),
        books_check(
            stats.granted, stats.waiting, stats.in_flight, answered=ours.tally.answered
        ),
        *(counts_check(outcome.name, outcome.tally) for outcome in outcomes),
    ]
