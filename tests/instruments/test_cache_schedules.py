"""Under every schedule of threads and tasks a cache computes each key once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from .battery import (
    HOLD_S,
    Plan,
    Subject,
    exhaust,
    interrupt,
    plans,
    program,
    try_at_random,
)
from .budgets import BUDGET
from .cache_canaries import CANARIES, Canary
from .cache_circles import Circling, Walking
from .cache_subjects import SUBJECTS, Cached, Crowded, Expiring, Looped
from .explorer import Pct, Random, Search, explore
from .explorer.primitives import WITH_IS_A_CALL

Tell = Callable[[object], None]

# Interrupts of a running thread that leave something behind; the numbers may only fall.
LEFT_BEHIND: Final = (
    {
        "Cached": 108,
        "Crowded": 130,
        "Expiring": 68,
        "Looped": 138,
        "Circling": 372,
    }
    if WITH_IS_A_CALL
    else {
        "Cached": 44,
        "Crowded": 32,
        "Expiring": 24,
        "Looped": 56,
        "Circling": 148,
    }
)

MOST_COUNT: Final = 8_000  # schedules until a search must have found a canary
CIRCLES: Final[tuple[Plan, ...]] = (
    (("ab",), ("ba",)),
    (("ab",), ("bc",), ("ca",)),
    (("in_its_loop",), ("ba",)),
    (("in_task",), ("ca",)),
    (("in_task",), ("ca",), ("ba",)),
)

each = pytest.mark.parametrize("subject", [*SUBJECTS, Circling])


@pytest.mark.smoke
@pytest.mark.slow
@pytest.mark.timeout(600)
@each
def test_random_schedules_of_random_programs(
    subject: type[Subject], tell: Tell
) -> None:
    """Whatever they do, and whoever goes on when, no key is computed twice at once.

    Nobody gets a value that is too old, or is told of a circle where there is none.
    """
    tell(try_at_random(subject, schedules=BUDGET.cache_schedules))


@pytest.mark.smoke
@pytest.mark.slow
@pytest.mark.parametrize("subject", SUBJECTS)
def test_all_orders_of_two(subject: type[Cached], tell: Tell) -> None:
    """Two who use a cache at the same time do what one after the other could."""
    two = plans(subject.alphabet, threads=2, length=1)
    tell(exhaust(subject, two, bound=1, held=HOLD_S, grain="lock"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not BUDGET.exhausted, reason="it is done in full on one Python")
@pytest.mark.parametrize("subject", SUBJECTS)
def test_all_schedules_of_small_programs(subject: type[Cached], tell: Tell) -> None:
    """No schedule with few preemptions makes two compute, or forgets who waits."""
    two = plans(subject.core, threads=2, length=1)
    tell(exhaust(subject, two, bound=1, held=0.0, grain="line"))
    three = plans(subject.core, threads=3, length=1)
    tell(exhaust(subject, three, bound=1, held=HOLD_S, grain="lock"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("held", [0.0, HOLD_S])
def test_all_orders_of_closing_a_circle(held: float, tell: Tell) -> None:
    """Two or three who close a circle at the same time don't hang."""
    tell(exhaust(Circling, CIRCLES, bound=1, held=held, grain="lock"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not BUDGET.exhausted, reason="it is done in full on one Python")
@pytest.mark.parametrize("plan", [CIRCLES[0], CIRCLES[2]])
def test_all_schedules_of_two_who_close_a_circle(plan: Plan, tell: Tell) -> None:
    """Wherever they are in doing so."""
    tell(exhaust(Circling, [plan], bound=1, held=0.0))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_schedules_of_looking_for_a_circle(tell: Tell) -> None:
    """Whatever changes while somebody goes round: there is a circle, or no alarm."""
    plan: Plan = (("bc",), ("ca", "ab"))
    each = plans(Walking.core, threads=2, length=2) if BUDGET.exhausted else [plan]
    tell(exhaust(Walking, each, bound=2, held=0.0, grain="line"))


@pytest.mark.skipif(not BUDGET.interrupts, reason="it takes too long here")
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("swept")
@pytest.mark.filterwarnings("ignore:.* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("subject", [Cached, Crowded, Expiring, Looped, Circling])
def test_interrupts_leave_nothing_to_wait_for(
    subject: type[Subject], tell: Tell
) -> None:
    """Ctrl-C while waiting: it was never called. While running: as rarely as recorded.

    Not every bytecode of Python can be guarded. The number may only fall.
    """
    report = interrupt(subject)
    tell(f"{subject.__name__}: {report}")
    assert not report.bad("waiting"), report.bad("waiting")[0]
    left = len(report.bad("running"))
    assert left <= LEFT_BEHIND[subject.__name__], (left, report.places())


# A schedule that is given up goes on in nothing, not even in the end of a lead.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.canary
@pytest.mark.slow
@pytest.mark.parametrize("make", [Random, Pct])
@pytest.mark.parametrize("canary", CANARIES, ids=str)
def test_planted_fault_is_found(
    canary: Canary,
    make: Callable[[int], Search],
    monkeypatch: pytest.MonkeyPatch,
    tell: Tell,
) -> None:
    """Every search finds each fault that is put into a cache."""
    monkeypatch.setattr(canary.owner, canary.name, canary.fault)
    it = program(canary.subject, canary.plan, canary.held)
    it = replace(it, targets=[*it.targets, canary.fault])
    with canary.subject.around():
        report = explore(it, make(2), schedules=MOST_COUNT)
    assert report.failure is not None, report
    tell(f"{canary}: {make.__name__} found it in schedule {report.schedules}")
