"""Who goes on: searches, and the chooser that each of them makes for a schedule."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf, log
from typing import NamedTuple, Protocol, final

# Which thread goes on at which step, wherever that isn't the first option.
Schedule = Mapping[int, int]


class Numbered(Protocol):
    """A thread of the program; the first has number 0."""

    @property
    def number(self) -> int: ...


class Decision(NamedTuple):
    """A moment at which more than one thread could go on.

    Attributes:
        step: Its number in the schedule; it begins with 0, who goes first.
        options: The thread that ran, if it can go on; then the others that can; then
            those whose timers may fire now.
        free: So many of the first options are free; each of the others interrupts a
            thread that could have gone on.
        chosen: Which option was taken.
    """

    step: int
    options: Sequence[Numbered]
    free: int
    chosen: int


class Chooser(Protocol):
    """Decides for one schedule.

    Attributes:
        ask_at: A thread that can go on does so, unasked, until this step. When one
            waits or ends, what follows is always asked.
    """

    ask_at: float

    def choose(self, step: int, options: Sequence[Numbered], free: int) -> int:
        """Return which of *options*, maybe only one, goes on; see `Decision`."""
        ...


class Search(Protocol):
    """Makes one chooser after the other, and learns from what they led to."""

    @property
    def name(self) -> str:
        """What this search is, with its seed if it has one."""
        ...

    def next(self) -> Chooser | None:
        """Return the chooser for the next schedule; None when there is none left."""
        ...

    def learn(self, decisions: Sequence[Decision], contested: int) -> None:
        """Take in the schedule that has just ended.

        Args:
            decisions: What was decided.
            contested: How many steps were made while others had not ended.
        """
        ...


@final
class Following:
    """Takes the first option, except where *schedule* names another thread.

    Args:
        schedule: What to follow.
        ask_on: Whether to be asked at every step after its last deviation.

    Attributes:
        diverged: Whether the schedule named a thread that could not go on.
    """

    def __init__(self, schedule: Schedule, *, ask_on: bool = False) -> None:
        self._schedule = schedule
        self._ask_on = ask_on
        self._steps = sorted(schedule, reverse=True)
        self.ask_at = 0.0
        self.diverged = False

    def choose(self, step: int, options: Sequence[Numbered], free: int) -> int:
        self.ask_at = self._next_ask(step)
        thread = self._schedule.get(step)
        if thread is None:
            return 0
        for index, option in enumerate(options):
            if option.number == thread:
                return index
        self.diverged = True
        return 0

    def _next_ask(self, step: int) -> float:
        steps = self._steps
        while steps and steps[-1] <= step:
            steps.pop()
        if steps:
            return steps[-1]
        return step + 1 if self._ask_on else inf


@final
class Ordered:
    """Lets a thread run for as long as it can, then the next one in *order*."""

    def __init__(self, order: Sequence[int]) -> None:
        self._rank = {thread: rank for rank, thread in enumerate(order)}
        self.ask_at = inf

    def choose(self, step: int, options: Sequence[Numbered], free: int) -> int:
        return min(range(free), key=lambda index: self._rank[options[index].number])


@final
class Exhaustive:
    """Every schedule with at most *bound* preemptions, those with fewer first."""

    def __init__(self, bound: int) -> None:
        self.name = f"exhaustive, bound {bound}"
        self._bound = bound
        # Schedules still to be run, by the number of their preemptions.
        self._todo: list[list[tuple[tuple[int, int], ...]]]
        self._todo = [[] for _ in range(bound + 1)]
        self._todo[0].append(())
        self._prefix: tuple[tuple[int, int], ...] = ()
        self._spent = 0

    def next(self) -> Following | None:
        for spent, todo in enumerate(self._todo):
            if todo:
                self._prefix = todo.pop()
                self._spent = spent
                # Who can't afford another preemption needn't look where it could be.
                return Following(dict(self._prefix), ask_on=spent < self._bound)
        return None

    def learn(self, decisions: Sequence[Decision], contested: int) -> None:
        # All schedules that leave this one after its own last deviation come next.
        last = self._prefix[-1][0] if self._prefix else -1
        for step, options, free, _ in decisions:
            if step > last:
                for index in range(1, len(options)):
                    spent = self._spent + (index >= free)
                    if spent <= self._bound:
                        deviation = (step, options[index].number)
                        self._todo[spent].append((*self._prefix, deviation))


@final
class Random:
    """Switches by chance: in some schedules at every other step, in others seldom.

    An even chance at every step would keep all threads equally far for ever.
    """

    def __init__(self, seed: int) -> None:
        self.name = f"random, seed {seed}"
        self._draw = random.Random(seed).random

    def next(self) -> Restless:
        return Restless(self._draw, 2.0 ** -(1 + int(self._draw() * 6)))

    def learn(self, decisions: Sequence[Decision], contested: int) -> None:
        """Nothing is to be learnt from chance."""


@final
class Restless:
    """Leaves a thread that can go on, with the given *chance* at each step."""

    def __init__(self, draw: Callable[[], float], chance: float) -> None:
        self._draw = draw
        self._scale = log(1.0 - chance)
        self.ask_at = self._after(0)

    def choose(self, step: int, options: Sequence[Numbered], free: int) -> int:
        if len(options) == 1 or (free == 1 and step < self.ask_at):
            return 0
        first = int(free == 1)
        self.ask_at = self._after(step)
        return first + int(self._draw() * (len(options) - first))

    def _after(self, step: int) -> float:
        return step + 1 + int(log(1.0 - self._draw()) / self._scale)


@final
class Pct:
    """Random priorities, lowered at *depth* - 1 random steps.

    Finds a fault that takes *depth* ordered steps with a known least probability:
    Burckhardt and others, "A randomized scheduler with probabilistic guarantees of
    finding bugs", 2010.
    """

    def __init__(self, seed: int, *, depth: int = 3) -> None:
        self.name = f"pct of depth {depth}, seed {seed}"
        self._draw = random.Random(seed).random
        self._depth = depth
        self._longest = 1

    def next(self) -> Priorities:
        draws = [self._draw() for _ in range(self._depth - 1)]
        return Priorities(self._draw, {1 + int(it * self._longest) for it in draws})

    def learn(self, decisions: Sequence[Decision], contested: int) -> None:
        self._longest = max(self._longest, contested)


@final
class Priorities:
    """Lets the thread of the highest priority run, and lowers it at some *steps*."""

    def __init__(self, draw: Callable[[], float], steps: Iterable[int]) -> None:
        self._draw = draw
        self._steps = sorted(steps, reverse=True)
        self._priority: dict[int, float] = {}
        self._lowest = 0.0
        self.ask_at = self._next_ask()

    def choose(self, step: int, options: Sequence[Numbered], free: int) -> int:
        best = self._best(options)
        if step >= self.ask_at:
            self._lowest -= 1.0
            self._priority[options[best].number] = self._lowest
            best = self._best(options)
            self._steps.pop()
            self.ask_at = self._next_ask()
        return best

    def _next_ask(self) -> float:
        return self._steps[-1] if self._steps else inf

    def _best(self, options: Sequence[Numbered]) -> int:
        for option in options:
            if option.number not in self._priority:
                self._priority[option.number] = self._draw()
        priorities = [self._priority[option.number] for option in options]
        return priorities.index(max(priorities))
