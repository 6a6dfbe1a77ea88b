"""What threads do with an object, and the history of it: who called what, and when."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Generic, TypeVar, final

from .explorer.targets import Target
from .linearize import PENDING, Call, Model

S = TypeVar("S", bound=Hashable)

# An operation by name, with its arguments.
Op = tuple[Any, ...]


@final
@dataclass(frozen=True)
class Plan:
    """A program: what each thread does, and what one does before and after them all.

    What comes after lets nothing go unseen that the threads have left.
    """

    before: Sequence[Op]
    threads: Sequence[Sequence[Op]]
    after: Sequence[Op] = ()


@final
@dataclass(frozen=True)
class Trial(Generic[S]):
    """What is tried out.

    Attributes:
        name: What it is called in reports.
        make: Makes the object; each operation is one of its methods.
        model: What it should be like.
        plan: Draws a program.
        targets: Where threads are switched.
        background: An operation that one more thread goes on doing, as soon as the
            object's method `turn` returns, until the others have ended; its method
            `end`, if it has one, is called by each of them.
    """

    name: str
    make: Callable[[], Any]
    model: Model[S]
    plan: Callable[[random.Random], Plan]
    targets: Sequence[Target]
    background: Op | None = None


@final
class Recorder:
    """Writes down when operations on *subject* are called and return."""

    def __init__(self, subject: object) -> None:
        self._subject = subject
        self._stamps = itertools.count()  # next() of it is one step: a total order
        self._rows: list[list[Any]] = []
        self._ended: list[int] = []  # who has done its part

    def do(self, thread: int, op: Op) -> None:
        """Call *op* in the thread of that number."""
        name, *args = op
        method = getattr(self._subject, name)
        row = [thread, name, tuple(args), PENDING, next(self._stamps), inf]
        self._rows.append(row)
        result = method(*args)
        # The stamp first: a return too late only allows for more.
        row[5] = next(self._stamps)
        row[3] = result

    def do_all(self, ops: Sequence[Op]) -> None:
        """Call *ops* while no other thread is there."""
        for op in ops:
            self.do(-1, op)

    def calls(self) -> list[Call]:
        """Return all that was recorded."""
        return [Call(*row) for row in self._rows]

    def bodies(self, plan: Plan, background: Op | None) -> list[Callable[[], None]]:
        """Return what each thread runs; the last one may run in the background."""
        count = len(plan.threads)
        bodies = [self._body(i, ops) for i, ops in enumerate(plan.threads)]
        if background is not None:
            bodies.append(lambda: self._in_background(count, background))
        return bodies

    def _body(self, thread: int, ops: Sequence[Op]) -> Callable[[], None]:
        def body() -> None:
            for op in ops:
                self.do(thread, op)
            self._ended.append(thread)
            end = getattr(self._subject, "end", None)
            if end is not None:
                end()

        return body

    def _in_background(self, thread: int, op: Op) -> None:
        turn: Callable[[], None] = self._subject.turn  # type: ignore[attr-defined]  # by contract
        turn()
        while len(self._ended) < thread:  # it is the last
            self.do(thread, op)
            turn()
