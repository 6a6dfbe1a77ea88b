"""Run a program under many schedules; find one that fails, and run it again."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from time import perf_counter
from types import ModuleType
from typing import Final, final

from .points import BasePoints, Grain, Points
from .report import Failure, Report, Run
from .scheduler import Failed, Interrupter, Scheduler
from .shadows import Shadows
from .strategies import Chooser, Following, Schedule, Search
from .targets import Target, Targets
from .workers import Body, forget_all

# Makes fresh threads, and the check that must hold when they have ended.
Make = Callable[[], tuple[Sequence[Body], Callable[[], object]]]

_COLLECT_EVERY_COUNT: Final = 500


class NothingExplored(AssertionError):  # noqa: N818  # says what happened
    """The code under test was not reached: a clean result would mean nothing."""


class NotDeterministic(RuntimeError):  # noqa: N818  # says what happened
    """The same schedule led to something else: the program decides by other things."""


@final
@dataclass(frozen=True)
class Program:
    """What is explored.

    Attributes:
        make: Makes fresh threads and the check that must hold when they have ended.
            It runs alone, as does the check.
        targets: The modules, classes or functions in which threads are switched. Each
            of them must be reached.
        clocks: Dotted names of functions that read the time, beside `time.monotonic`.
        grain: What a step is.
        max_steps: More steps than this are taken for a livelock.
    """

    make: Make
    targets: Sequence[Target]
    clocks: Sequence[str] = ()
    grain: Grain = "bytecode"
    max_steps: int = 20_000


@final
class Explorer:
    """Shadows and instrumentation for some targets, to run any number of programs.

    Use it as a context manager. The collector is off inside, but for a collection
    between schedules now and then.
    """

    def __init__(
        self,
        targets: Iterable[Target],
        *,
        clocks: Iterable[str] = (),
        grain: Grain = "bytecode",
        max_steps: int = 20_000,
        points: Callable[..., BasePoints] = Points,
    ) -> None:
        targets = tuple(targets)
        modules = [target for target in targets if isinstance(target, ModuleType)]
        self._shadows = Shadows(modules, clocks)
        self._max_steps = max_steps
        self.points = points(Targets(targets), grain=grain)

    def __enter__(self) -> Explorer:
        gc.disable()
        self.points.begin()
        return self

    def __exit__(self, *exc: object) -> None:
        self.points.end()
        gc.enable()

    def run(
        self, make: Make, chooser: Chooser, interrupter: Interrupter | None = None
    ) -> Run:
        """Run one schedule of what *make* makes."""
        scheduler = Scheduler(
            chooser, self.points, max_steps=self._max_steps, interrupter=interrupter
        )
        self._shadows.put_on(scheduler)
        self.points.scheduler = scheduler
        try:
            bodies, check = make()
            scheduler.run(bodies)
            failed = scheduler.failed or _checked(check)
        finally:
            self.points.scheduler = None
            self._shadows.take_off()
            forget_all()
        return Run(failed, scheduler.decisions, scheduler.steps, scheduler.contested)

    def search(
        self,
        make: Make,
        search: Search,
        *,
        schedules: int | None = None,
        seconds: float = inf,
    ) -> Report:
        """Run *make* under the schedules of *search*, until one fails.

        Args:
            make: Makes the threads and the check.
            search: Chooses the schedules.
            schedules: No more than this many.
            seconds: Begin none after this time.
        """
        report = Report(search.name)
        self.run(make, Following({}))  # what is imported or cached on first use
        seen: set[int] = set()
        begun = perf_counter()
        while report.schedules != schedules and report.seconds < seconds:
            chooser = search.next()
            if chooser is None:
                report.exhausted = True
                break
            run = self.run(make, chooser)
            report.add(run)
            seen.add(hash(tuple(run.schedule.items())))
            if run.failed:
                report.failure = self._confirmed(make, run, report)
                break
            if isinstance(chooser, Following) and chooser.diverged:
                raise NotDeterministic("a schedule can't be repeated up to its end")
            search.learn(run.decisions, run.contested)
            if report.schedules % _COLLECT_EVERY_COUNT == 0:
                gc.collect(0)  # all that was made meanwhile is young
            report.seconds = perf_counter() - begun
        report.seconds = perf_counter() - begun
        report.distinct = len(seen)
        return report

    def follow(self, make: Make, schedule: Schedule) -> Run:
        """Run *make* under *schedule*.

        Raises:
            NotDeterministic: If it does not fit.
        """
        chooser = Following(schedule)
        run = self.run(make, chooser)
        if chooser.diverged:
            raise NotDeterministic(
                "the schedule names a thread that can't go on: the program is another"
                " one, or decides by something else than the schedule"
            )
        return run

    def require_reached(self) -> None:
        """Check that every target was reached.

        Raises:
            NothingExplored: If one was not.
        """
        missed = self.points.missed()
        if missed:
            raise NothingExplored(
                f"no step was made in {', '.join(missed)}: the program calls something"
                " else, or another copy of it"
            )

    def _confirmed(self, make: Make, run: Run, report: Report) -> Failure:
        """Make the schedule of *run*, which failed, short, and see it fail again."""
        assert run.failed is not None
        schedule = self._shortened(make, run)
        again = self.follow(make, schedule).failed
        if again is None or again.kind != run.failed.kind:
            raise NotDeterministic(
                f"{run.failed.kind}: {run.failed.text}\nThe same schedule did not fail"
                f" again: {dict(run.schedule)}"
            )
        return Failure(
            again.kind, again.text, schedule, report.schedules, report.search
        )

    def _shortened(self, make: Make, run: Run) -> Schedule:
        """Leave out every deviation that the failure does not need."""
        assert run.failed is not None
        best, before = run.schedule, None
        while best != before:
            before = best
            for step in sorted(before, reverse=True):
                shorter = {at: thread for at, thread in best.items() if at != step}
                tried = self.run(make, Following(shorter))
                if tried.failed and tried.failed.kind == run.failed.kind:
                    best = tried.schedule
        return best


def _checked(check: Callable[[], object]) -> Failed | None:
    try:
        check()
    except AssertionError as error:
        return Failed("invariant", str(error) or "the check failed")
    return None


def explore(
    program: Program,
    search: Search,
    *,
    schedules: int | None = None,
    seconds: float = inf,
) -> Report:
    """Run *program* under the schedules of *search*, until one fails.

    Raises:
        NothingExplored: If a target was not reached, or nothing could be decided.
        NotDeterministic: If a schedule that failed does not fail again.
    """
    with _explorer(program) as explorer:
        report = explorer.search(
            program.make, search, schedules=schedules, seconds=seconds
        )
        report.reached = explorer.points.reached()
        if report.failure is None:
            explorer.require_reached()
    if report.decisions == 0:
        raise NothingExplored("there were never two threads that could go on")
    return report


def replay(program: Program, schedule: Schedule) -> Run:
    """Run *program* once, under the *schedule* of a failure.

    Raises:
        NotDeterministic: If it is no schedule of this program.
    """
    with _explorer(program) as explorer:
        explorer.run(program.make, Following({}))
        return explorer.follow(program.make, schedule)


def _explorer(program: Program) -> Explorer:
    return Explorer(
        program.targets,
        clocks=program.clocks,
        grain=program.grain,
        max_steps=program.max_steps,
    )
