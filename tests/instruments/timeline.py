"""Programs of calls to a limiter, and when each of these ought to be let in.

The model is slow and plainly right: a list of waiters, and a loop over what happens.
In virtual time a real limiter must do the same at the same times in every world: a
wake-up that is lost, late or given to the wrong one moves somebody's time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import inf
from random import Random
from typing import Final, Literal, NamedTuple, final

from admission_model import TokenBucket
from concutil import Rate, RateLimiter

_ROUNDING_S: Final = 1e-6


class Fate(NamedTuple):
    """What became of a call, and when that was decided, in virtual seconds."""

    what: Literal["let in", "refused", "cancelled"]
    when: float

    def agrees(self, other: Fate) -> bool:
        """Whether *other* is the same, but for rounding."""
        return self.what == other.what and abs(self.when - other.when) < _ROUNDING_S


@dataclass(frozen=True)
class Call:
    """A call, and how long it waits and stays.

    Attributes:
        arrive: When it comes.
        cost: What it takes of each rate.
        hold: Seconds that it stays inside.
        patience: Its timeout; None is for ever.
        cancel: Seconds after which it is cancelled, inside or not; inf is never.
    """

    arrive: float
    cost: float
    hold: float
    patience: float | None
    cancel: float


@dataclass(frozen=True)
class Program:
    """A limiter, and the calls to it."""

    rates: tuple[Rate, ...]
    places: int | None
    slack: float
    calls: tuple[Call, ...]

    def limiter(self) -> RateLimiter:
        """Return the limiter that it is about."""
        return RateLimiter(*self.rates, max_concurrent=self.places, slack=self.slack)


def draw(random: Random, *, cancels: bool) -> Program:
    """Return a program in which no two things happen at the same time."""
    bursts = random.choices((1, 2, 5, 5.5), k=random.randrange(3))
    rates = [
        Rate(random.choice((1, 2, 5)), random.choice((0.5, 3)), burst=burst)
        for burst in bursts
    ]
    costs = 0.5, 1, 1, 1, min(bursts, default=1)
    calls = [
        Call(
            arrive=random.random() * random.choice((1e-4, 2, 6)),
            cost=random.choice(costs),
            hold=random.random() * random.choice((1e-3, 2)),
            patience=random.choice((None, None, random.random() * 5)),
            cancel=random.choice((inf, random.random() * 5)) if cancels else inf,
        )
        for _ in range(random.randrange(3, 12))
    ]
    places = random.choice((None, 1, 2) if rates else (1, 2))
    return Program(tuple(rates), places, random.choice((0, 0.01, 0.3)), tuple(calls))


@final
class Model:
    """Plays a program, one thing after the other."""

    def __init__(self, program: Program) -> None:
        self._places = inf if program.places is None else program.places
        self._buckets = [TokenBucket(rate, program.slack) for rate in program.rates]
        self._now = 0.0
        self._queue: list[Call] = []
        self._inside: list[Call] = []
        self._fates: dict[Call, Fate] = {}
        self._serial = count()
        self._agenda: list[tuple[float, int, Callable[[Call], None], Call]] = []
        for call in program.calls:
            self._plan(call.arrive, self._arrive, call)

    def fates(self) -> dict[Call, Fate]:
        """Return what becomes of each call."""
        while self._agenda or self._queue:
            free = len(self._inside) < self._places
            due = self._due(self._queue[0].cost) if free and self._queue else inf
            if self._agenda and self._agenda[0][0] < due:
                self._now, _, happen, call = heappop(self._agenda)
                happen(call)
            else:
                self._now = due
                self._let_in(self._queue.pop(0))
        return self._fates

    def _plan(self, when: float, happen: Callable[[Call], None], call: Call) -> None:
        if when < inf:
            heappush(self._agenda, (when, next(self._serial), happen, call))

    def _due(self, cost: float) -> float:
        waits = [0.0]
        for bucket in self._buckets:
            bucket.refill(self._now)
            waits.append((cost - bucket.tokens) / bucket.per_second)
        return self._now + max(waits)

    def _arrive(self, call: Call) -> None:
        self._plan(self._now + call.cancel, self._cancel, call)
        free = not self._queue and len(self._inside) < self._places
        if free and self._due(call.cost) <= self._now + _ROUNDING_S:
            self._let_in(call)
            return
        ahead = sum(waiting.cost for waiting in self._queue)
        patience = inf if call.patience is None else call.patience
        if self._due(ahead + call.cost) > self._now + patience:
            self._fates[call] = Fate("refused", self._now)
            return
        self._queue.append(call)
        self._plan(self._now + patience, self._give_up, call)

    def _let_in(self, call: Call) -> None:
        for bucket in self._buckets:
            bucket.take(call.cost, self._now)
        self._inside.append(call)
        self._fates[call] = Fate("let in", self._now)
        self._plan(self._now + call.hold, self._leave, call)

    def _leave(self, call: Call) -> None:
        if call in self._inside:
            self._inside.remove(call)

    def _give_up(self, call: Call) -> None:
        if call in self._queue:
            self._queue.remove(call)
            self._fates[call] = Fate("refused", self._now)

    def _cancel(self, call: Call) -> None:
        self._leave(call)
        if call in self._queue:
            self._queue.remove(call)
            self._fates[call] = Fate("cancelled", self._now)
