"""A battery finds what is wrong with a subject, and says when it did too little."""

from __future__ import annotations

import threading
from ast import literal_eval
from collections.abc import Sequence
from typing import ClassVar

import pytest

from .battery import (
    HOLD_S,
    Call,
    Subject,
    exhaust,
    hold,
    interrupt,
    plans,
    program,
    try_at_random,
)
from .explorer import NothingExplored, replay
from .planted_races import WakesNobody


class Counter:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0

    def add(self) -> int:
        with self.lock:
            self.count += 1
            return self.count


class ReadsBack(Counter):
    """Reads outside of the lock what it has just counted."""

    def add(self) -> int:
        with self.lock:
            self.count += 1
        return self.count


class Counted(Subject, targets=(Counter,), alphabet=("add",), core=("add",)):
    """Each that adds gets a number of its own."""

    kind: ClassVar[type[Counter]] = Counter

    def __init__(self) -> None:
        self.counter = self.kind()

    def add(self) -> int:
        hold()
        return self.counter.add()

    def settled(self) -> None:
        assert not self.counter.lock.locked()

    def check(self, calls: Sequence[Call]) -> None:
        results = sorted(str(call.result) for call in calls)
        assert results == sorted(map(str, range(1, len(calls) + 1)))


class Miscounted(Counted, targets=(ReadsBack,)):
    kind: ClassVar[type[Counter]] = ReadsBack


PAIRS = plans(["add"], threads=2, length=2)


def test_plans_are_all_there_once() -> None:
    """Threads are alike: who has which part does not matter."""
    letters = ["enter", "attempt", "request", "hurry", "glance"]
    assert len(plans(letters, threads=2, length=2)) == 325
    assert len(plans(letters, threads=3, length=1)) == 35
    assert PAIRS == [(("add", "add"), ("add", "add"))]


def test_good_subject_passes() -> None:
    """A battery returns what it did, and what it did is enough."""
    for held in (0.0, HOLD_S):
        done = exhaust(Counted, PAIRS, bound=2, held=held)
        assert (done.programs, done.distinct) == (1, done.schedules)
    done = try_at_random(Counted, schedules=1_000)
    assert done.schedules >= 1_000
    assert "random and pct: " in str(done)
    assert not interrupt(Counted).bad("waiting")


def test_bad_subject_is_found_by_exhaustion() -> None:
    """The failure says which program it was, so that it can be replayed."""
    with pytest.raises(AssertionError) as caught:
        exhaust(Miscounted, PAIRS, bound=1, held=0.0)
    assert "program = program(Miscounted, (('add', 'add'), ('add', 'add'))," in str(
        caught.value
    )


def test_bad_subject_is_found_by_chance() -> None:
    """Hypothesis makes the program small as well."""
    with pytest.raises(AssertionError) as caught:
        try_at_random(Miscounted, schedules=1_000)
    assert "program = program(Miscounted, (('add',), ('add',))," in str(caught.value)


def test_printed_program_replays() -> None:
    """What a failure prints is what `replay` takes."""
    printed = program(Miscounted, (("add",), ("add",)), 0.0, grain="bytecode")
    with pytest.raises(AssertionError) as caught:
        exhaust(Miscounted, [(("add",), ("add",))], bound=1, held=0.0)
    line = next(it for it in str(caught.value).splitlines() if it.startswith("replay"))
    schedule = literal_eval(line.removeprefix("replay(program, ").removesuffix(")"))
    assert replay(printed, schedule).failed is not None


class Astray(Counted, targets=(Counter, WakesNobody)):
    """Points at code that it never calls."""


def test_subject_that_is_not_reached_is_refused() -> None:
    """All targets must be reached in a battery, though not by each program."""
    with pytest.raises(NothingExplored, match="WakesNobody"):
        exhaust(Astray, PAIRS, bound=0, held=0.0)


def test_single_thread_is_refused() -> None:
    """Without a choice nothing was explored."""
    with pytest.raises(NothingExplored, match="never two threads"):
        exhaust(Counted, [(("add",),)], bound=0, held=0.0)
