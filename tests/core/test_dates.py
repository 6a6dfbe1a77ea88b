"""When keys expire: a heap that is tidied while others add to it."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from concutil._core.dates import Date, Dates

whens = st.integers(0, 20).map(float)


class Machine(RuleBasedStateMachine):
    """Against a plain list of all dates."""

    def __init__(self) -> None:
        super().__init__()
        self.dates = Dates()
        self.model: list[Date] = []
        self.number = 0
        self.kept: list[Date] | None = None  # the survey of who is tidying
        self.since: list[Date] = []

    @rule(when=whens)
    def add(self, when: float) -> None:
        self.number += 1
        date = Date(when, self.number, object())  # keys are never compared
        self.dates.add(date)
        self.model.append(date)
        self.since.append(date)

    @precondition(lambda self: self.model)
    @rule()
    def pop(self) -> None:
        self.dates.pop()
        self.model.remove(min(self.model, key=lambda it: it[:2]))

    @precondition(lambda self: self.kept is None)
    @rule(every=st.integers(1, 3))
    def begin_to_tidy(self, every: int) -> None:
        self.kept, self.since = sorted(self.model, key=lambda it: it[:2])[::every], []
        self.token = self.dates.tidying()
        assert not self.dates.overgrown(-1000), "somebody is at it"

    @precondition(lambda self: self.kept is not None)
    @rule(interrupted=st.booleans())
    def end_tidying(self, *, interrupted: bool) -> None:
        assert self.kept is not None
        if interrupted:
            self.dates.mend()
            self.dates.tidied([], self.token)  # too late, by who came to no end
        else:
            self.dates.tidied(list(self.kept), self.token)
            self.model = self.kept + self.since
        self.kept = None

    @invariant()
    def soonest_is_the_first_of_all(self) -> None:
        soonest = min(self.model, key=lambda it: it[:2], default=None)
        assert next(iter(self.dates.heap), None) is soonest

    @invariant()
    def overgrown_counts(self) -> None:
        for least in (len(self.model) - 65, len(self.model) - 64):
            grown = self.kept is None and len(self.model) > least + 64
            # Twice what is held and 64 more are borne with.
            if least % 2 == 0:
                assert self.dates.overgrown(least // 2) == grown


TestDates = pytest.mark.slow(Machine.TestCase)
TestDates.settings = settings(max_examples=50)


def test_nothing_is_due_at_first() -> None:
    """Without dates there is no soonest one, and nothing to sort out."""
    dates = Dates()

    assert dates.heap == []
    assert not dates.overgrown(0)


def test_a_few_dates_are_never_overgrown() -> None:
    """64 dates beyond twice what is held are borne with, one more is not."""
    dates = Dates()
    for number in range(66):
        dates.add(Date(1.0, number, None))

    assert not dates.overgrown(1)
    dates.add(Date(1.0, 66, None))
    assert dates.overgrown(1)
    assert not dates.overgrown(2)
