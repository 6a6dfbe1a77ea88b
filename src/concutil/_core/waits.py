"""Who waits for whom: finding the way round before anybody waits for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, final


class Goal(Protocol):
    """What can be waited for."""

    @property
    def step(self) -> Step:
        """Who computes it now: that may change."""
        ...


@final
class Step:
    """One computation, or one thread that is blocked, and what it waits for.

    Args:
        key: Whose value is computed.
        thread: The ident of the thread in which it runs.
        outer: The computation inside of which it was begun, or None.

    Attributes:
        needs: What it waits for now, by who does the waiting.
        over: Whether it has ended.
    """

    __slots__ = ("key", "needs", "outer", "over", "thread")

    def __init__(self, key: Any, thread: int, outer: Step | None = None) -> None:
        self.key = key
        self.thread = thread
        self.outer = outer
        self.needs: dict[object, Goal] = {}
        self.over = False

    def end(self) -> None:
        """Be over, and needed by nothing any more."""
        self.over = True
        if self.outer is not None:
            self.outer.needs.pop(self, None)


def live(step: Step | None) -> Step | None:
    """Return *step*, or the innermost one around it that has not ended."""
    while step is not None and step.over:
        step = step.outer
    return step


def way(
    start: Step, goals: Iterable[Step], onward: Callable[[Step], Iterable[Step]]
) -> list[Step] | None:
    """Return the steps from *start* to one of *goals*, both included, or None.

    Args:
        start: Where to begin.
        goals: Where to end.
        onward: Called with a step; returns those that it waits for.

    Cost:
        Each step that can be reached is looked at once.
    """
    ends = set(goals)
    seen, trail = {start}, [(start, iter(onward(start)))]
    while trail:
        step, rest = trail[-1]
        if step in ends:
            return [step for step, _ in trail]
        following = next((it for it in rest if it not in seen), None)
        if following is None:
            trail.pop()
        else:
            seen.add(following)
            trail.append((following, iter(onward(following))))
    return None
