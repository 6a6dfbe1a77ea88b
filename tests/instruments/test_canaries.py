"""The schedule explorer finds what was planted, on every Python, by every search."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Final

import pytest

from .canaries import CANARIES, Canary
from .explorer import Exhaustive, Pct, Random, Search, explore, replay

SEEDS: Final = range(21)
MOST_COUNT: Final = 1_000  # schedules until a search must have found it
Tell = Callable[[object], None]

pytestmark = pytest.mark.timeout(300)  # on a busy machine threads wait for their turn
each = pytest.mark.parametrize("canary", CANARIES, ids=str)


@pytest.mark.canary
@each
def test_exhaustive_search_finds_it(canary: Canary, tell: Tell) -> None:
    """Two preemptions are enough, and the schedule replays."""
    program = canary.program(canary.faulty)
    report = explore(program, Exhaustive(2), schedules=MOST_COUNT)
    tell(f"{canary}: exhaustive search at bound 2 found it in {report.schedules}")
    assert report.failure is not None, report
    assert report.failure.kind == canary.kind, report
    failed = replay(program, report.failure.schedule).failed
    assert failed is not None
    assert failed.kind == canary.kind


@pytest.mark.canary
@each
@pytest.mark.parametrize("make", [Random, Pct])
def test_searches_by_chance_find_it(
    canary: Canary, make: Callable[[int], Search], tell: Tell
) -> None:
    """Every seed finds it."""
    program = canary.program(canary.faulty)
    found = []
    for seed in SEEDS:
        report = explore(program, make(seed), schedules=MOST_COUNT)
        assert report.failure is not None, report
        assert report.failure.kind == canary.kind, report
        found.append(report.schedules)
    tell(
        f"{canary}: {make.__name__} found it in {median(found):.0f} (median) to"
        f" {max(found)} schedules, {len(found)} seeds"
    )


@pytest.mark.canary
@each
def test_corrected_twin_is_clean(canary: Canary, tell: Tell) -> None:
    """Nothing is found where nothing was planted, in all schedules of bound 2."""
    report = explore(canary.program(canary.corrected), Exhaustive(2))
    tell(f"{canary}, corrected: {report}")
    assert report.exhausted, report
    assert report.failure is None, report
