"""What a search did, and the failure that it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, final

from .scheduler import Failed
from .strategies import Decision, Schedule


class Run(NamedTuple):
    """One schedule that was run."""

    failed: Failed | None
    decisions: Sequence[Decision]
    steps: int
    contested: int

    @property
    def schedule(self) -> Schedule:
        """What `replay` takes."""
        return {
            decision.step: decision.options[decision.chosen].number
            for decision in self.decisions
            if decision.chosen
        }

    def __repr__(self) -> str:
        return f"<Run of {self.steps} steps: {self.failed or 'clean'}>"


@final
@dataclass(frozen=True)
class Failure:
    """A schedule that failed, and failed again when it was replayed.

    Attributes:
        kind: "deadlock", "exception", "invariant" or "livelock".
        text: What happened; for a deadlock with the stack of every thread.
        schedule: What `replay` takes.
        number: In which schedule of the search it was found, counted from 1.
        search: The name of the search.
    """

    kind: str
    text: str
    schedule: Schedule
    number: int
    search: str

    def __str__(self) -> str:
        return (
            f"{self.kind} in schedule {self.number} of {self.search}: {self.text}\n"
            f"replay(program, {dict(self.schedule)})"
        )


@final
@dataclass
class Report:
    """What a search did.

    Attributes:
        search: Its name.
        schedules: How many schedules were run.
        distinct: How many of them differ.
        steps: How many steps the threads made in all.
        decisions: How often it was decided who goes on.
        seconds: How long it took.
        exhausted: Whether there is no schedule left to try.
        failure: The first failure, or None.
        reached: Steps by function.
    """

    search: str
    schedules: int = 0
    distinct: int = 0
    steps: int = 0
    decisions: int = 0
    seconds: float = 0.0
    exhausted: bool = False
    failure: Failure | None = None
    reached: dict[str, int] = field(default_factory=dict)

    def add(self, run: Run) -> None:
        """Count *run*."""
        self.schedules += 1
        self.steps += run.steps
        self.decisions += len(run.decisions)

    def __str__(self) -> str:
        rate = self.schedules / max(self.seconds, 1e-9)
        each = self.steps / max(self.schedules, 1)
        end = "exhausted, clean" if self.exhausted else "clean so far"
        return (
            f"{self.search}: {self.schedules:,} schedules ({self.distinct:,} differ),"
            f" {rate:,.0f}/s, {each:.0f} steps each: {self.failure or end}"
        )
