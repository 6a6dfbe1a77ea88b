"""Cancel an operation at each of its suspension points, in every way there is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Final, final

from .play import Played, play
from .scenario import Scenario
from .virtual_time import BACKENDS, Backend, run
from .ways import WAYS, Way, by_scope

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

# asyncio's order is always the same; trio's depends on the seed.
SEEDS: Final[dict[Backend, range]] = {"asyncio": range(1), "trio": range(4)}


class NothingSwept(AssertionError):  # noqa: N818  # says what happened
    """The operation never suspended: a clean sweep of it would mean nothing."""


@dataclass(frozen=True)
class Point:
    """One cancellation: in which world, how, and at which suspension."""

    backend: Backend
    seed: int
    way: str
    at: int


@dataclass
class Report:
    """What a sweep did, and what it found.

    Attributes:
        points: At how many suspensions the operation was cut short.
        runs: How often the scenario was run.
        cut: In how many of these the operation really ended by it.
        found: What was wrong, by where it was cut short.
    """

    name: str
    points: dict[Backend, int] = field(default_factory=dict)
    runs: int = 0
    cut: int = 0
    found: dict[Point, str] = field(default_factory=dict)

    def ways(self, backend: Backend) -> set[str]:
        """Return the ways in which something was found on *backend*."""
        return {point.way for point in self.found if point.backend == backend}

    def __str__(self) -> str:
        points = ", ".join(f"{n} on {backend}" for backend, n in self.points.items())
        head = (
            f"sweep of {self.name}: {self.runs} runs, {self.cut} cut short at the"
            f" suspension points ({points}), {len(self.found)} found"
        )
        return "\n  ".join([head, *self._findings()])

    def _findings(self) -> Iterable[str]:
        seeds: dict[str, list[int]] = {}
        for it, what in self.found.items():
            text = f"{it.backend}, {it.way}, at suspension {it.at}: {what}"
            seeds.setdefault(text, []).append(it.seed)
        return (f"{text} (seeds {where})" for text, where in seeds.items())


def sweep(
    name: str,
    scenario: Callable[[], Scenario],
    *,
    backends: Iterable[Backend] = BACKENDS,
) -> Report:
    """Cancel the operation of *scenario* everywhere, and compare what is seen.

    A run in which it was cancelled must look as if it had never been called; one in
    which it returned, as if nobody had tried.

    Raises:
        NothingSwept: If the operation never suspends.
    """
    report = Report(name)
    for backend in backends:
        for seed in SEEDS[backend]:
            _Sweeper(report, scenario, backend, seed).sweep()
        if not report.points[backend]:
            raise NothingSwept(f"on {backend} the operation of {name} never suspends")
    return report


@final
class _Sweeper:
    """Sweeps one scenario in one world."""

    def __init__(
        self,
        report: Report,
        scenario: Callable[[], Scenario],
        backend: Backend,
        seed: int,
    ) -> None:
        self._report = report
        self._scenario = scenario
        self._backend = backend
        self._seed = seed
        self._never_called = self._play()
        self._untouched = self._play(by_scope)

    def sweep(self) -> None:
        suspensions = self._untouched.suspensions
        points = self._report.points
        points[self._backend] = max(points.get(self._backend, 0), suspensions)
        for name, way in WAYS[self._backend].items():
            for at in count(1):
                found, struck = self._cut(way, at)
                if not struck and at > suspensions:
                    break
                if found:
                    point = Point(self._backend, self._seed, name, at)
                    self._report.found[point] = found

    def _cut(self, way: Way, at: int) -> tuple[str, bool]:
        try:
            played = self._play(way, at)
        except (Exception, BaseExceptionGroup) as exc:  # noqa: BLE001  # any is a find
            # Whoever is stuck was struck; beyond the last suspension that can't be.
            return _reason(exc), at <= self._untouched.suspensions
        if not played.struck:
            return f"suspension {at} did not come again", False
        seen = played.seen
        if played.completed:
            return seen.difference(self._untouched.seen), True
        self._report.cut += 1
        # It had a right to be before the others for as long as it was there.
        expected = self._never_called.seen.held_up_until(seen.ended)
        return seen.difference(expected), True

    def _play(self, way: Way | None = None, at: int = 0) -> Played:
        self._report.runs += 1
        main = partial(play, self._scenario, way, at)
        return run(self._backend, main, seed=self._seed)


def _reason(exc: BaseException) -> str:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return f"{type(exc).__name__}: {exc}"
