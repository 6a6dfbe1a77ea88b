"""Histories of calls: recorded, and held against a plain model.

A trial says how the object is made, what threads do with it and what it should be
like; its histories come from the schedule explorer, where a failure can be replayed,
or from real threads, which also see what the explorer can't.
"""

from __future__ import annotations

import itertools
import random
import sys
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Generic, TypeVar, final

from .explorer import (
    Exhaustive,
    Explorer,
    Grain,
    NothingExplored,
    Random,
    Report,
    Search,
)
from .linearize import Call, Model, Verdict, linearize
from .recorder import Plan, Recorder, Trial

S = TypeVar("S", bound=Hashable)

PATIENCE_S: Final = 20.0


@final
@dataclass
class Tally:
    """What was recorded, and what was found.

    Attributes:
        distinct: How many histories differ from all others of their program.
        overlapping: How many pairs of calls overlapped in all.
        found: Which history, counted from 1, has no order; None if all have.
        failure: That history and how it comes about.
    """

    name: str
    programs: int = 0
    histories: int = 0
    distinct: int = 0
    calls: int = 0
    overlapping: int = 0
    visited: int = 0
    seconds: float = 0.0
    found: int | None = None
    failure: str | None = None

    def __str__(self) -> str:
        rate = self.histories / max(self.seconds, 1e-9)
        end = "all have an order" if self.found is None else f"FOUND in {self.found:,}"
        return (
            f"{self.name}: {self.histories:,} histories ({self.distinct:,} differ) of"
            f" {self.programs:,} programs, {self.overlapping:,} overlaps,"
            f" {rate:,.0f}/s: {end}"
        )


@final
class _Judge(Generic[S]):
    """Checks histories of one program at a time, each different one once."""

    def __init__(self, model: Model[S], tally: Tally) -> None:
        self._model = model
        self._tally = tally
        self._known: dict[tuple[Call, ...], Verdict] = {}

    def new_program(self) -> None:
        self._tally.programs += 1
        self._known.clear()

    def check(self, calls: Sequence[Call]) -> None:
        """Count *calls*.

        Raises:
            AssertionError: If they have no order.
        """
        tally, key = self._tally, tuple(calls)
        verdict = self._known.get(key)
        if verdict is None:
            verdict = self._known[key] = linearize(calls, self._model)
            tally.distinct += 1
        tally.histories += 1
        tally.calls += len(calls)
        tally.overlapping += overlaps(calls)
        tally.visited += verdict.visited
        assert verdict.ok, (
            f"no order of these calls gives what they gave; {verdict.placed} of"
            f" {len(calls)} can be ordered:\n" + "\n".join(map(str, calls))
        )


def overlaps(calls: Sequence[Call]) -> int:
    """Return how many pairs of *calls* overlap."""
    pairs = itertools.combinations(calls, 2)
    return sum(a.called < b.returned and b.called < a.returned for a, b in pairs)


def from_schedules(
    trial: Trial[S], *, histories: int, seed: int, each: int = 5
) -> Tally:
    """Record so many histories under the explorer's schedules, or until one fails.

    Args:
        trial: What is tried out.
        histories: How many.
        seed: Of programs and schedules.
        each: How many schedules each program is run under. Many programs under few
            schedules find more than few under many.
    """
    tally = Tally(f"{trial.name}, schedules, seed {seed}")
    rng = random.Random(seed)
    with _Bench(trial, tally) as bench:
        while tally.histories < histories and tally.failure is None:
            plan = trial.plan(rng)
            bench.search(plan, Random(rng.getrandbits(32)), each)
    return tally


def from_all_schedules(
    trial: Trial[S], plans: Iterable[Plan], *, bound: int, grain: Grain = "bytecode"
) -> Tally:
    """Record every history of *plans* with so many preemptions, or until one fails."""
    tally = Tally(f"{trial.name}, all schedules, bound {bound} by {grain}")
    with _Bench(trial, tally, grain) as bench:
        for plan in plans:
            report = bench.search(plan, Exhaustive(bound), None)
            if tally.failure is not None:
                break
            assert report.exhausted
    return tally


@final
class _Bench(Generic[S]):
    """An explorer for one trial."""

    def __init__(
        self, trial: Trial[S], tally: Tally, grain: Grain = "bytecode"
    ) -> None:
        self._trial = trial
        self._tally = tally
        self._judge = _Judge(trial.model, tally)
        self._explorer = Explorer(trial.targets, grain=grain)
        self._begun = 0.0

    def __enter__(self) -> _Bench[S]:
        self._begun = perf_counter()
        self._explorer.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self._explorer.__exit__()
        self._tally.seconds = perf_counter() - self._begun
        if kind is None and self._tally.failure is None:
            self._explorer.require_reached()
            if not self._tally.overlapping:
                raise NothingExplored("no two calls ever overlapped")

    def search(self, plan: Plan, search: Search, schedules: int | None) -> Report:
        """Run *plan* under schedules of *search*, and note a failure."""
        tally, before = self._tally, self._tally.histories
        self._judge.new_program()
        make = _program(self._trial, plan, self._judge)
        report = self._explorer.search(make, search, schedules=schedules)
        if report.failure is not None:
            # Later ones were run again to make it shorter.
            tally.found = before + report.schedules
            tally.seconds = perf_counter() - self._begun
            tally.failure = f"{report.failure}\nplan = {plan!r}\n{tally}"
        return report


def replay(trial: Trial[S], plan: Plan, schedule: dict[int, int]) -> None:
    """Run *plan* again under *schedule*.

    Raises:
        AssertionError: If it fails.
    """
    judge = _Judge(trial.model, Tally(trial.name))
    with Explorer(trial.targets) as explorer:
        failed = explorer.follow(_program(trial, plan, judge), schedule).failed
    assert failed is None, failed.text


def _program(
    trial: Trial[S], plan: Plan, judge: _Judge[S]
) -> Callable[[], tuple[Sequence[Callable[[], None]], Callable[[], None]]]:
    def make() -> tuple[Sequence[Callable[[], None]], Callable[[], None]]:
        recorder = _prepared(trial, plan)

        def check() -> None:
            recorder.do_all(plan.after)
            judge.check(recorder.calls())

        return recorder.bodies(plan, trial.background), check

    return make


def _prepared(trial: Trial[S], plan: Plan) -> Recorder:
    recorder = Recorder(trial.make())
    recorder.do_all(plan.before)
    return recorder


def from_threads(
    trial: Trial[S], *, histories: int, seed: int, patience_s: float = PATIENCE_S
) -> Tally:
    """Record so many histories from real threads, or until one has no order.

    Raises:
        TimeoutError: If the threads of one don't end.
    """
    tally = Tally(f"{trial.name}, threads, seed {seed}")
    judge = _Judge(trial.model, tally)
    rng = random.Random(seed)
    with _timed(tally), _switching_often():
        while tally.histories < histories and tally.failure is None:
            plan = trial.plan(rng)
            judge.new_program()
            try:
                judge.check(_recorded(trial, plan, patience_s))
            except AssertionError as error:
                tally.found = tally.histories
                tally.failure = f"{error}\nplan = {plan!r}\n{tally}"
    return tally


def _recorded(trial: Trial[S], plan: Plan, patience_s: float) -> list[Call]:
    recorder = _prepared(trial, plan)
    bodies = recorder.bodies(plan, trial.background)
    start = threading.Barrier(len(bodies))

    def run(body: Callable[[], None]) -> None:
        start.wait()
        body()

    threads = [
        threading.Thread(target=run, args=(body,), daemon=True) for body in bodies
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patience_s)
        if thread.is_alive():
            shown = "\n".join(map(str, recorder.calls()))
            raise TimeoutError(f"{trial.name} hangs after\n{shown}\nplan = {plan!r}")
    recorder.do_all(plan.after)
    return recorder.calls()


@contextmanager
def _timed(tally: Tally) -> Iterator[None]:
    begun = perf_counter()
    try:
        yield
    finally:
        tally.seconds = perf_counter() - begun


@contextmanager
def _switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
