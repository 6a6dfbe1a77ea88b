"""Whether calls that overlapped did what some order of them, one by one, would do.

The order must respect real time: a call that had returned before another one began
comes first. The search is Wing and Gong's, "Testing and verifying concurrent objects",
1993, with Lowe's memo: what was done already and the state of the model, together, are
looked at once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar, final

S = TypeVar("S", bound=Hashable)


@final
class _Mark:
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


PENDING: Final = _Mark("pending")
WAITS: Final = _Mark("waits")


class Model(Protocol[S]):
    """An object in plain words: what each operation returns, and what it leaves.

    It is used by one caller at a time and has no state of its own. The same model
    serves `linearize` and, as `Alone`, a stateful test.
    """

    @property
    def start(self) -> S:
        """The state in which nothing was done yet."""
        ...

    def steps(self, name: str) -> Sequence[str]:
        """Return the instants of operation *name*: most have one, itself.

        What waits has two or more: it is in the queue, later it is granted.
        """
        ...

    def step(
        self, state: S, name: str, args: tuple[Any, ...]
    ) -> Sequence[tuple[object, S]]:
        """Return what step *name* returns and leaves; nothing if it must wait.

        Where the object may do this or that, all of it, the likeliest first.
        """
        ...


class OneStep(Generic[S]):
    """What models have in common whose operations all happen at one instant."""

    def steps(self, name: str) -> Sequence[str]:
        return (name,)


class Call(NamedTuple):
    """An operation, from when to when it was under way, and what it returned.

    A call that is `PENDING` never returned; it may have had its effect or not.
    """

    thread: int
    name: str
    args: tuple[Any, ...]
    result: object
    called: int
    returned: float

    def __str__(self) -> str:
        end = "..." if self.returned == inf else f"{self.returned:.0f}"
        text = f"{self.name}({', '.join(map(repr, self.args))}) -> {self.result!r}"
        return f"thread {self.thread}  [{self.called:3}, {end:>3}]  {text}"


@final
@dataclass(frozen=True)
class Verdict:
    """What the search came to.

    Attributes:
        ok: Whether there is such an order.
        placed: How many calls could be put in order, at most.
        visited: How many configurations were looked at.
    """

    ok: bool
    placed: int
    visited: int


@final
class Alone(Generic[S]):
    """A model as an object that is used by one caller: for stateful tests."""

    def __init__(self, model: Model[S]) -> None:
        self._model = model
        self.state = model.start

    def do(self, name: str, *args: object) -> object:
        """Return what the operation returns; `WAITS`, and nothing done, if it can't."""
        state, result = self.state, None
        for step in self._model.steps(name):
            outcomes = self._model.step(state, step, args)
            if not outcomes:
                return WAITS
            result, state = outcomes[0]
        self.state = state
        return result


def linearize(calls: Iterable[Call], model: Model[S]) -> Verdict:
    """Look for an order in which *model*, used alone, gives the same results."""
    return _Search(sorted(calls, key=lambda call: call.called), model).run()


# How many steps of each call are placed, and the state after them.
_Config = tuple[tuple[int, ...], S]


@final
class _Search(Generic[S]):
    def __init__(self, calls: Sequence[Call], model: Model[S]) -> None:
        self._calls = calls
        self._model = model
        self._steps = [tuple(model.steps(call.name)) for call in calls]
        # Of a call that never returned, no step must be placed.
        self._due = [
            0 if call.result is PENDING else len(steps)
            for call, steps in zip(calls, self._steps, strict=True)
        ]

    def run(self) -> Verdict:
        seen: set[_Config[S]] = set()
        stack: list[_Config[S]] = [((0,) * len(self._calls), self._model.start)]
        most = 0
        while stack:
            config = stack.pop()
            if config in seen:
                continue
            seen.add(config)
            placed = self._placed(config[0])
            most = max(most, placed)
            if placed == len(self._calls):
                return Verdict(ok=True, placed=placed, visited=len(seen))
            stack += self._after(config)
        return Verdict(ok=False, placed=most, visited=len(seen))

    def _placed(self, done: tuple[int, ...]) -> int:
        pairs = zip(done, self._due, strict=True)
        return sum(steps >= due for steps, due in pairs)

    def _after(self, config: _Config[S]) -> list[_Config[S]]:
        """Return what may come next, the earliest call last: it is tried first."""
        done, state = config
        calls = self._calls
        missing = [i for i, due in enumerate(self._due) if done[i] < due]
        first_return = min(calls[i].returned for i in missing)
        after: list[_Config[S]] = []
        for i in reversed(range(len(calls))):
            # Who began after another one, not yet placed, had returned comes later.
            if calls[i].called <= first_return and done[i] < len(self._steps[i]):
                progress = (*done[:i], done[i] + 1, *done[i + 1 :])
                after += [(progress, it) for it in self._place(i, done[i], state)]
        return after

    def _place(self, i: int, done: int, state: S) -> list[S]:
        call, steps = self._calls[i], self._steps[i]
        outcomes = self._model.step(state, steps[done], call.args)
        # What a call returns is known after its last step.
        open_end = done + 1 < len(steps) or call.result is PENDING
        return [it for result, it in outcomes if open_end or result == call.result]
