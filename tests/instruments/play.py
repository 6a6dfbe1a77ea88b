"""One run of a scenario, cut short or not: who does what, when, and what is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, final

import anyio
from anyio.abc import TaskGroup

from .probe import Probe
from .scenario import Scenario
from .virtual_time import settle
from .ways import Way

_PATIENCE_S: Final = 1e6  # virtual: to be sure costs nothing


class Stuck(AssertionError):  # noqa: N818  # says what happened
    """Somebody never got through."""


@dataclass(frozen=True)
class Seen:
    """What could be seen of one run; times are virtual.

    Attributes:
        ended: When the operation was over, or was never called.
        early: The state while others still wait; None if the operation does, too.
        through: When who queued behind it was through.
        newcomer: When somebody was through who came after all that.
        late: The state at the very end.
    """

    ended: float
    early: object
    through: float
    newcomer: float
    late: object

    def held_up_until(self, ended: float) -> Seen:
        """Return what had been seen if an operation had been before all until then."""
        return replace(
            self,
            ended=ended,
            through=max(ended, self.through),
            newcomer=max(ended, self.newcomer),
        )

    def difference(self, expected: Seen) -> str:
        """Return what differs from *expected*, in words; nothing if nothing does."""
        if self.early is None:
            expected = replace(expected, early=None)
        pairs = zip(vars(self).items(), vars(expected).values(), strict=True)
        return "; ".join(
            f"{name} is {is_!r} and ought to be {ought!r}"
            for (name, is_), ought in pairs
            if is_ != ought
        )


@dataclass(frozen=True)
class Played:
    """How a run went.

    Attributes:
        seen: What could be seen of it.
        suspensions: How often the operation suspended.
        struck: Whether it was cut short, or nearly.
        completed: Whether it returned all the same.
    """

    seen: Seen
    suspensions: int = 0
    struck: bool = False
    completed: bool = False


async def play(
    scenario: Callable[[], Scenario], way: Way | None = None, at: int = 0
) -> Played:
    """Run *scenario* once, its operation cut short by *way* at suspension *at*.

    Without a way nobody calls the operation; at 0 nobody cuts it short.

    Raises:
        Stuck: If somebody never got through.
    """
    actors = _Actors(scenario())
    with anyio.move_on_after(_PATIENCE_S):
        return await actors.play(way, at)
    raise Stuck(actors.who_waits())


@final
class _Actors:
    """The tasks of one run."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._probe: Probe | None = None
        self._ended: float | None = None
        self._through: float | None = None

    async def play(self, way: Way | None, at: int) -> Played:
        await self._scenario.setup()
        async with anyio.create_task_group() as tasks:
            if way is None:
                self._ended = _now()
                tasks.start_soon(self._queue_behind)
            else:
                tasks.start_soon(self._operate, tasks, way, at)
            await settle()
            early = None if self._ended is None else self._scenario.state()
            await self._scenario.help()
        await self._scenario.behind()
        newcomer = _now()
        await settle()
        seen = Seen(
            ended=self._ended or 0.0,
            early=early,
            through=self._through or 0.0,
            newcomer=newcomer,
            late=self._scenario.state(),
        )
        if self._probe is None:
            return Played(seen)
        probe = self._probe
        return Played(seen, probe.suspensions, probe.struck, probe.completed)

    async def _operate(self, tasks: TaskGroup, way: Way, at: int) -> None:
        def first() -> None:
            tasks.start_soon(self._queue_behind)

        self._probe = Probe(self._scenario.operation(), at, first=first)
        await way(self._probe)
        self._ended = _now()
        if not self._probe.suspensions:
            first()

    async def _queue_behind(self) -> None:
        await self._scenario.behind()
        self._through = _now()

    def who_waits(self) -> str:
        if self._ended is None:
            return "the operation never ends"
        if self._through is None:
            return "who queued behind it never gets through"
        return "a newcomer never gets through"


def _now() -> float:
    # Waits that take the same time may differ in the last bits of their floats.
    return round(anyio.current_time(), 6)
