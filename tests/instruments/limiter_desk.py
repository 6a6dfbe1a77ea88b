"""The limiter as histories see it, with a clock that moves by an operation."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any, Final, final

from concutil import Permit, RateLimiter
from concutil._core import admission, buckets
from concutil._limits import gate, limiter, permit
from concutil._runtime import on_threads, waiters
from concutil.testing import ManualClock

from .limiter_model import CLIENTS, FIRST, PLACES, RATES, STEP_S, AdmissionModel
from .recorder import Op, Plan, Trial


@final
class AskedClock:
    """A `ManualClock` that counts the steps for which somebody waits."""

    def __init__(self) -> None:
        self._clock = ManualClock()
        self.now = self._clock.now
        self.advance = self._clock.advance
        self.asked = threading.Semaphore(0)

    def call_at(self, when: float, wake: Callable[[], object]) -> Callable[[], object]:
        call_off = self._clock.call_at(when, wake)
        for _ in range(ceil((when - self.now()) / STEP_S)):
            self.asked.release()
        return call_off


class Desk:
    """A limiter, and the permits that each client holds."""

    early = 2

    def __init__(self) -> None:
        self.clock = AskedClock()
        self.limiter = RateLimiter(
            FIRST, max_concurrent=PLACES, slack=0, clock=self.clock
        )
        self.held: list[list[Permit]] = [[] for _ in range(CLIENTS)]
        self.blocks = [0] * CLIENTS  # in how many blocks each client is

    def take(self, who: int, cost: float) -> None:
        self.held[who].append(self.limiter.permit(cost).wait())

    def attempt(self, who: int, cost: float) -> bool:
        taken = self.limiter.try_permit(cost)
        if taken is not None:
            self.held[who].append(taken)
        return taken is not None

    def give(self, who: int) -> None:
        if self.held[who]:
            self.held[who].pop().release()

    def enter(self, who: int) -> None:
        self.limiter.__enter__()
        self.blocks[who] += 1

    def leave(self, who: int) -> None:
        self._exit(who, None)

    def drop(self, who: int) -> None:
        """Leave a block as the collector does, which never waits for a lock."""
        self._exit(who, GeneratorExit)

    def _exit(self, who: int, kind: type[BaseException] | None) -> None:
        if self.blocks[who]:
            self.blocks[who] -= 1
            self.limiter.__exit__(kind, None, None)

    def refund(self, who: int) -> None:
        if self.held[who]:
            self.held[who][-1].refund()

    def pause(self, who: int, seconds: float) -> None:
        self.limiter.pause(seconds)

    def pace(self, who: int, rate: str) -> None:
        self.limiter.update(RATES[rate])

    def resize(self, who: int, places: int) -> None:
        self.limiter.update(max_concurrent=places)

    def stats(self, who: int) -> tuple[int, int, int, float]:
        """Return how many wait, are inside and were let in, and when one may come."""
        stats = self.limiter.stats()
        return stats.waiting, stats.in_flight, stats.granted, stats.next_in

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def close(self) -> None:
        """Give back whatever is held."""
        for who in range(CLIENTS):
            while self.held[who]:
                self.give(who)
            while self.blocks[who]:
                self.leave(who)

    def turn(self) -> None:
        """Wait until somebody waits for a step of the clock.

        In the explorer the first steps come as early as may be.
        """
        if self.early:
            self.early -= 1
            time.sleep(1)
        else:
            self.clock.asked.acquire()

    def end(self) -> None:
        self.clock.asked.release()


class RealDesk(Desk):
    """The same among real threads."""

    early = 0


def plan(rng: random.Random) -> Plan:
    """Draw a program for two clients, or three; nobody waits while holding a place.

    Each program is made of a few operations only, so that they meet more often.
    """
    clients = rng.choice((2, 2, 3))
    length = 3 if clients == 2 else 2
    names = rng.sample(tuple(ALPHABET), 3)
    if not _BACK.keys() & set(names):
        names.append(rng.choice(tuple(_BACK)))
    before = [("resize", 0, 1)] if rng.random() < 0.5 else []
    threads = [_part(rng, who, names, length) for who in range(clients)]
    return Plan(before, threads, [("stats", 0)])


def _part(rng: random.Random, who: int, names: Sequence[str], length: int) -> list[Op]:
    ops: list[Op] = []
    back: list[Op] = []  # gives back what is held, at most
    for _ in range(length):
        name = rng.choice(names)
        if name in {"take", "enter"}:
            ops += back
            back = []
        ops.append((name, who, *ALPHABET[name](rng)))
        if name in _BACK:
            back.append((rng.choice(_BACK[name]), who))
    return ops + back


# What gives back what an operation may take.
_BACK: Final = {"take": ["give"], "attempt": ["give"], "enter": ["leave", "drop"]}
ALPHABET: Final[dict[str, Callable[[random.Random], tuple[Any, ...]]]] = {
    "take": lambda rng: (rng.choice((1, 1, 2)),),
    "attempt": lambda rng: (rng.choice((1, 1, 2)),),
    "give": lambda _: (),
    "enter": lambda _: (),
    "leave": lambda _: (),
    "drop": lambda _: (),
    "refund": lambda _: (),
    "pause": lambda rng: (rng.choice((STEP_S, 2 * STEP_S)),),
    "pace": lambda rng: (rng.choice(tuple(RATES)),),
    "resize": lambda rng: (rng.choice((1, 2)),),
    "stats": lambda _: (),
}

# The collector drops a block while somebody else is under the lock; a third one waits.
_FULL: Final = [("resize", 0, 1), ("enter", 0)]
_WAITS: Final = [("enter", 1), ("leave", 1)]
DROPS: Final = tuple(
    Plan(before, [[("drop", 0)], _WAITS, other], [("stats", 0)])
    for before, other in (
        (_FULL, [("attempt", 2, 1), ("give", 2)]),
        (_FULL, [("enter", 2), ("leave", 2)]),
        (_FULL, [("stats", 2)]),
        ([("enter", 0), ("enter", 2)], [("leave", 2)]),
    )
)
# Somebody asks for what was dropped before it was given back.
DROPS_ASKED_FOR: Final = tuple(
    Plan(_FULL, [[("drop", 0)], asks, [("stats", 2)]], [("stats", 0)])
    for asks in ([("attempt", 1, 1), ("give", 1)], _WAITS, [("stats", 1)])
)

_TARGETS: Final = (admission, buckets, gate, limiter, permit, on_threads, waiters)
# Without its clock there are fewer schedules.
TIMELESS: Final = Trial("RateLimiter", Desk, AdmissionModel(), plan, _TARGETS)
SCHEDULES: Final = Trial(*(
    "RateLimiter",
    Desk,
    AdmissionModel(),
    plan,
    _TARGETS,
    ("advance", STEP_S),
))
THREADS: Final = Trial(*(
    "RateLimiter",
    RealDesk,
    AdmissionModel(),
    plan,
    _TARGETS,
    ("advance", STEP_S),
))
