"""What the demo says before and after its runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .arrivals import achieved_rate, busiest, per_interval
from .plan import Plan
from .plot import LABEL_COLUMNS, Glyphs, bars, interval_that_fits, ruler, table
from .server import HOST
from .traffic import CLIENTS_PER_WORLD, THREADS, Outcome
from .verdict import Check

_WINDOW_S = 0.1
_PLOT_LINES = 6


def introduction(plan: Plan, loops: Sequence[str]) -> list[str]:
    """Return what is going to happen, with tasks in each of *loops*."""
    worlds = [_clients_of(world) for world in (THREADS, *loops)]
    clients = ", ".join(f"{CLIENTS_PER_WORLD} {world}" for world in worlds)
    lines = [
        f"{plan.calls} requests at no more than {plan.rate:g}/s, sent at once from",
        f"{clients}, to a server on {HOST}",
        f"that answers 429 above {plan.served_per_second} in any second. Through:",
        "",
        'naive     a semaphore and "sleep until last call + interval", one for each of',
        _naive_line(plan.rate, len(worlds)),
        f"concutil  one RateLimiter(calls_per_second={plan.rate:g}) for all of them",
        "",
    ]
    if "trio" not in loops:
        lines[-1:] = ["", "No trio here; pip install 'concutil[cli]' adds it.", ""]
    return lines


def results(outcomes: Sequence[Outcome], checks: Iterable[Check]) -> list[str]:
    """Return the table of both runs and what was checked."""
    return ["", *table(_rows(outcomes)), "", *map(_checked, checks)]


def plots(
    outcomes: Sequence[Outcome], plan: Plan, *, columns: int, glyphs: Glyphs
) -> list[str]:
    """Return the arrivals of all *outcomes* over time, drawn to the same scale."""
    arrivals = [outcome.ledger.arrivals for outcome in outcomes]
    longest = max((times[-1] - times[0] for times in arrivals if times), default=0.0)
    width = interval_that_fits(longest, columns=columns - LABEL_COLUMNS)
    counts = [per_interval(times, width) for times in arrivals]
    limit = plan.rate * width
    top = max(limit, *(max(each, default=0) for each in counts))
    lines: list[str] = []
    for outcome, each in zip(outcomes, counts, strict=True):
        lines += ["", f"{outcome.name}: arrivals per {width * 1000:.0f} ms"]
        lines += bars(each, top=top, limit=limit, height=_PLOT_LINES, glyphs=glyphs)
    return [*lines, ruler(max(map(len, counts)), interval=width)]


def further_reading() -> list[str]:
    """Return where to go from here."""
    return [
        "",
        "The whole use of it:  limiter = RateLimiter(calls_per_second=100)",
        "                      with limiter: ...   async with limiter: ...   @limiter",
        "Read next:            python -m pydoc concutil.RateLimiter",
        "                      and in the source tree docs/tutorial.md, docs/howto/",
    ]


def _clients_of(world: str) -> str:
    return world if world == THREADS else f"{world} tasks"


def _naive_line(rate: float, shares: int) -> str:
    share = f"{rate / shares:.3g}/s"
    return f"          the {shares}, at {share} each, since they can't share it"


def _rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    times = [outcome.ledger.arrivals for outcome in outcomes]
    return [
        ["", *(outcome.name for outcome in outcomes)],
        ["sent", *(str(outcome.tally.answered) for outcome in outcomes)],
        *(_row_of(world, outcomes) for world in outcomes[0].logs),
        ["refused with 429", *(str(outcome.tally.refused) for outcome in outcomes)],
        ["achieved per second", *(f"{achieved_rate(each):.1f}" for each in times)],
        ["most in any 100 ms", *(str(busiest(each, _WINDOW_S)) for each in times)],
    ]


def _row_of(world: str, outcomes: Sequence[Outcome]) -> list[str]:
    counts = [str(outcome.answered(world)) for outcome in outcomes]
    return [f"  from {_clients_of(world)}", *counts]


def _checked(check: Check) -> str:
    return f"{'  ok' if check.holds else 'FAIL'}  {check.said}"
