"""Under every schedule of its threads a limiter does what it would do alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import ClassVar, NamedTuple

import pytest

from admission_model import TOLERANCE, TokenBucket
from concutil import Permit, Rate, RateLimiter, RateLimitExceeded, events
from concutil._core import admission, buckets, ticket
from concutil._limits import face, gate, limiter, permit
from concutil._runtime import on_threads, waiters

from .battery import (
    HOLD_S,
    Call,
    Subject,
    exhaust,
    hold,
    interrupt,
    plans,
    try_at_random,
)
from .budgets import BUDGET, LEFT_BEHIND, Exhaustion

PATIENCE_S = 1.5
SLACK_S = 0.01
SHARES = 4  # programs are shared out to tests, which may run side by side

_here = threading.local()


@contextmanager
def noted_waits() -> Iterator[None]:
    """Let each thread know how long its last entry has waited."""

    def note(event: events.Event) -> None:
        if isinstance(event, events.LimiterWaited):
            _here.waited = event.waited

    with events.subscribe(note):
        yield


class Grant(NamedTuple):
    """What was granted, not before the one time and not after the other."""

    cost: float
    first: float
    last: float

    def within(self, begin: float, end: float) -> bool:
        return begin <= self.first and self.last <= end


class Limited(
    Subject,
    targets=(
        *(admission, buckets, ticket),
        *(gate, face, limiter, permit),
        *(on_threads, waiters),
    ),
    around=noted_waits,
    alphabet=("enter", "attempt", "request", "hurry", "glance"),
    core=("enter", "attempt"),
):
    """A limiter with a rate, places or both, and who was inside of it when."""

    rate: ClassVar[Rate | None] = None
    places: ClassVar[int | None] = None

    def __init__(self) -> None:
        rates = [] if self.rate is None else [self.rate]
        self.limiter = RateLimiter(*rates, max_concurrent=self.places, slack=SLACK_S)
        self.inside = 0
        self.most_inside = 0
        self.grants: list[Grant] = []

    def enter(self) -> bool:
        asked = self.now()
        with self.limiter:
            self.stay(1.0, asked + _here.waited)
        return True

    def attempt(self) -> bool:
        asked = self.now()
        taken = self.limiter.try_permit()
        if taken is None:
            return False
        with taken:
            self.stay(1.0, asked)
        return True

    def request(self) -> bool:
        return self.use(self.limiter.permit(2), 2.0)

    def hurry(self) -> bool:
        try:
            return self.use(self.limiter.permit(timeout=PATIENCE_S), 1.0)
        except RateLimitExceeded:
            return False

    def glance(self) -> None:
        stats = self.limiter.stats()
        assert stats.waiting >= 0
        assert 0 <= stats.in_flight <= (self.places or 0)

    def use(self, wanted: Permit, cost: float) -> bool:
        asked = self.now()
        with wanted:
            self.stay(cost, asked + wanted.waited)
        return True

    def now(self) -> float:
        _here.waited = 0.0
        return time.monotonic()

    def stay(self, cost: float, first: float) -> None:
        self.grants.append(Grant(cost, first, time.monotonic()))
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        hold()
        self.inside -= 1

    def settled(self) -> None:
        stats = self.limiter.stats()
        assert (stats.waiting, stats.in_flight) == (0, 0), stats

    def check(self, calls: Sequence[Call]) -> None:
        granted = sum(call.result is True for call in calls)
        assert granted == self.limiter.stats().granted == len(self.grants)
        assert self.most_inside <= (self.places or len(calls))
        if self.rate is not None:
            self.check_bound(self.rate)
            if all(grant.first == grant.last for grant in self.grants):
                self.check_model(TokenBucket(self.rate, SLACK_S))

    def check_bound(self, rate: Rate) -> None:
        """No window holds more than it may, whenever in between it was granted."""
        for begin, end in product(self.grants, repeat=2):
            seconds = end.last - begin.first
            if seconds >= 0:
                held = [it for it in self.grants if it.within(begin.first, end.last)]
                most = rate.burst + rate.limit / rate.per * (seconds + SLACK_S)
                assert sum(it.cost for it in held) <= most + TOLERANCE, self.grants

    def check_model(self, model: TokenBucket) -> None:
        """Who comes next is let in if a model would, after the same grants."""
        for cost, at, _ in sorted(self.grants, key=lambda grant: grant.last):
            assert model.admits(cost, at), self.grants
            model.take(cost, at)
        taken = self.limiter.try_permit()
        assert (taken is not None) == model.admits(1.0, time.monotonic()), self.grants
        if taken is not None:
            taken.release()


class Rated(Limited):
    """Two at once after an idle spell, then one a second."""

    rate: ClassVar[Rate | None] = Rate(1, burst=2)


class Placed(Limited):
    """One at a time."""

    places: ClassVar[int | None] = 1


class RatedAndPlaced(Limited):
    """One at a time; two at once after an idle spell, then one a second."""

    rate: ClassVar[Rate | None] = Rate(1, burst=2)
    places: ClassVar[int | None] = 1


Tell = Callable[[object], None]

each = pytest.mark.parametrize("subject", [Rated, Placed, RatedAndPlaced])
# Who is inside leaves at once, or waits first.
quick_and_slow = pytest.mark.parametrize("held", [0.0, HOLD_S])


@pytest.mark.smoke
@pytest.mark.slow
@pytest.mark.timeout(600)
@each
def test_random_schedules_of_random_programs(
    subject: type[Limited], tell: Tell
) -> None:
    """Whatever threads do, and whoever goes on when, the limits hold."""
    tell(try_at_random(subject, schedules=BUDGET.schedules))


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@quick_and_slow
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("each_one", BUDGET.exhausted, ids=str)
def test_all_schedules_of_small_programs(
    each_one: Exhaustion, share: int, held: float, tell: Tell
) -> None:
    """No schedule with few preemptions breaks a limit or forgets who waits."""
    subject, bound, grain = RatedAndPlaced, each_one.bound, each_one.grain
    letters = subject.core if each_one.core else subject.alphabet
    programs = plans(letters, threads=each_one.threads, length=each_one.length)
    # A few together reach all targets; one alone may not.
    shares = SHARES if len(programs) >= 2 * SHARES else 1
    if share < shares and (mine := programs[share::shares]):
        tell(exhaust(subject, mine, bound=bound, held=held, grain=grain))


@pytest.mark.skipif(not BUDGET.interrupts, reason="it takes too long here")
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("swept")
@pytest.mark.filterwarnings("ignore:.* was dropped:ResourceWarning")
@pytest.mark.filterwarnings("ignore:.* was never awaited:RuntimeWarning")
@pytest.mark.parametrize(
    "subject", [Rated, Placed, pytest.param(RatedAndPlaced, marks=pytest.mark.smoke)]
)
def test_interrupts_leave_nothing_to_wait_for(
    subject: type[Limited], tell: Tell
) -> None:
    """Ctrl-C while waiting: it was never called. While running: as rarely as recorded.

    Not every bytecode of Python can be guarded. The number may only fall.
    """
    report = interrupt(subject)
    tell(f"{subject.__name__}: {report}")
    assert not report.bad("waiting"), report.bad("waiting")[0]
    left = len(report.bad("running"))
    assert left <= LEFT_BEHIND[subject.__name__], (left, report.places())
