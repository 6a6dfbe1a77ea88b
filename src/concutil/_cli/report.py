"""What the demo says before and after its runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import NamedTuple

from .arrivals import achieved_rate, busiest, longest_gap, per_interval
from .flaky import ONE_IN, FlakyOutcome
from .naive import RETRY_WAIT_S
from .plan import BAD_S, FlakyPlan, Plan, StampedePlan, TokenPlan
from .plot import LABEL_COLUMNS, Glyphs, bars, interval_that_fits, ruler, table
from .server import HOST
from .stampede import ASKERS_PER_WORLD, StampedeOutcome
from .tokens import OVERLOAD_S, TokenOutcome
from .traffic import CLIENTS_PER_WORLD, THREADS, Outcome
from .verdict import Check

_WINDOW_S = 0.1
_PLOT_LINES = 6


class Series(NamedTuple):
    """What a plot shows: amounts at times."""

    name: str
    times: Sequence[float]
    amounts: Iterable[int]


def arrivals(outcome: Outcome | FlakyOutcome) -> Series:
    """Return the calls of the first or third part, as the server saw them."""
    return Series(f"{outcome.name}: arrivals", outcome.ledger.arrivals, repeat(1))


def tokens(outcome: TokenOutcome) -> Series:
    """Return the tokens of the second part, as the server counted them."""
    return Series("tokens used", outcome.ledger.arrivals, outcome.ledger.used)


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


def introduction_of_tokens(plan: TokenPlan, loops: Sequence[str]) -> list[str]:
    """Return what the second part is going to be."""
    clients = (1 + len(loops)) * CLIENTS_PER_WORLD
    calls, tokens = f"{plan.calls_per_second:g}", f"{plan.tokens_per_second:g}"
    return [
        "",
        f"Now tokens: {plan.calls} requests from the same {clients} clients, through",
        f'RateLimiter("{calls}/s", "{tokens} tokens/s burst {plan.bound.burst:g}").',
        "Each asks for the most tokens that it may use, then adjusts that.",
        f"Arrival {plan.overloaded_at} and all in the next {OVERLOAD_S:g} s get a 429",
        "with Retry-After: whoever sees that pauses the limiter, and tries again.",
        "",
    ]


def introduction_of_retries(plan: FlakyPlan, loops: Sequence[str]) -> list[str]:
    """Return what the third part is going to be."""
    clients = (1 + len(loops)) * CLIENTS_PER_WORLD
    limiter = f'RateLimiter("{plan.calls_per_second:g}/s")'
    budget = f"RetryBudget({plan.budget_ratio:g})"
    return [
        "",
        f"Now failures: {plan.calls} calls from the same {clients} clients. One in",
        f"{ONE_IN} requests gets a 503; so do arrival {plan.bad_from} and all in the",
        f"next {BAD_S:g} s, these with Retry-After. Both try {plan.attempts} times:",
        "",
        f"loop      waits {RETRY_WAIT_S * 1000:g} ms and tries again",
        f"policy    retry(..., limiter={limiter}, budget={budget})",
        "",
    ]


def introduction_of_stampede(plan: StampedePlan, loops: Sequence[str]) -> list[str]:
    """Return what the fourth part is going to be."""
    worlds = [_clients_of(world) for world in (THREADS, *loops)]
    clients = ", ".join(f"{ASKERS_PER_WORLD} {world}" for world in worlds)
    return [
        "",
        f"Now a stampede: {clients} want the same",
        f"{plan.pages} pages, one after the other and all at once. The server takes",
        f"{plan.answer_s * 1000:g} ms for each answer. All of them share:",
        "",
        "dict      a dict, with a lock around each look and each store",
        "cache     one Cache(ttl=60)",
        "",
    ]


def results_of_stampede(
    outcomes: Sequence[StampedeOutcome], checks: Iterable[Check]
) -> list[str]:
    """Return the table of the fourth part and what was checked."""
    tallies = [outcome.tally for outcome in outcomes]
    rows = [
        ("", *(outcome.name for outcome in outcomes)),
        ("answers", *(tally.answered for tally in tallies)),
        ("requests at the server", *(tally.arrived for tally in tallies)),
    ]
    lines = table([str(cell) for cell in row] for row in rows)
    return ["", *lines, "", *map(_checked, checks)]


def results_of_retries(
    outcomes: Sequence[FlakyOutcome], checks: Iterable[Check]
) -> list[str]:
    """Return the table of the third part and what was checked."""
    ledgers = [outcome.ledger for outcome in outcomes]
    storms = [busiest(ledger.failures, _WINDOW_S) for ledger in ledgers]
    rows = [
        ("", *(outcome.name for outcome in outcomes)),
        ("calls", *(outcome.succeeded + outcome.failed for outcome in outcomes)),
        ("  succeeded", *(outcome.succeeded for outcome in outcomes)),
        ("  failed for good", *(outcome.failed for outcome in outcomes)),
        ("requests at the server", *(len(ledger.arrivals) for ledger in ledgers)),
        ("  failed", *(ledger.refused for ledger in ledgers)),
        ("  in the bad second", *(ledger.in_vain for ledger in ledgers)),
        ("  most failed in any 100 ms", *storms),
    ]
    lines = table([str(cell) for cell in row] for row in rows)
    return ["", *lines, "", *map(_checked, checks)]


def results_of_tokens(outcome: TokenOutcome, checks: Iterable[Check]) -> list[str]:
    """Return the table of the second part and what was checked."""
    ledger, tally, logs = outcome.ledger, outcome.tally, outcome.all_logs
    gap = longest_gap(ledger.arrivals)
    busy = ledger.arrivals[-1] - ledger.arrivals[0] - gap if gap else 1.0
    estimated, used = sum(log.estimated for log in logs), sum(ledger.used)
    rows = [
        ("sent", tally.answered),
        ("refused with 429", tally.refused),
        ("tokens estimated", estimated),
        ("  used", used),
        ("  given back", estimated - used),
        ("  used per second, besides the gap", round(used / busy)),
        ("longest gap between arrivals", f"{gap:.2f} s"),
    ]
    lines = table([name, str(value)] for name, value in rows)
    return ["", *lines, "", *map(_checked, checks)]


def results(outcomes: Sequence[Outcome], checks: Iterable[Check]) -> list[str]:
    """Return the table of both runs and what was checked."""
    return ["", *table(_rows(outcomes)), "", *map(_checked, checks)]


def plots(
    series: Sequence[Series], *, per_second: float, columns: int, glyphs: Glyphs
) -> list[str]:
    """Return all *series* over time, drawn to one scale, with a line at the limit."""
    longest = max(
        (each.times[-1] - each.times[0] for each in series if each.times), default=0.0
    )
    width = interval_that_fits(longest, columns=columns - LABEL_COLUMNS)
    counts = [per_interval(each.times, width, each.amounts) for each in series]
    limit = per_second * width
    top = max(limit, *(max(each, default=0) for each in counts))
    lines: list[str] = []
    for each, count in zip(series, counts, strict=True):
        lines += ["", f"{each.name} per {width * 1000:.0f} ms"]
        lines += bars(count, top=top, limit=limit, height=_PLOT_LINES, glyphs=glyphs)
    return [*lines, ruler(max(map(len, counts)), interval=width)]


def further_reading() -> list[str]:
    """Return where to go from here."""
    return [
        "",
        "The whole use of it:  limiter = RateLimiter(calls_per_second=100)",
        "                      with limiter: ...   async with limiter: ...   @limiter",
        'With tokens:          limiter = RateLimiter("9/s", "500 tokens/s burst 300")',
        '                      with limiter.permit({"tokens": 300}) as permit: ...',
        '                      permit.adjust({"tokens": 42})   limiter.pause(seconds)',
        "With retries:         policy = retry(on, limiter=limiter, budget=budget)",
        "                      @policy   policy.call(fn)   await policy.acall(fn)",
        "With a cache:         cache.get_or_compute(key, fn)   @cached(ttl=60)",
        "                      await cache.aget_or_compute(key, async_fn)",
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
