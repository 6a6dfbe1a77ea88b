"""Programs that show each planted race, and how."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from .explorer import Program
from .planted_races import (
    ComputesOnce,
    ComputesTwice,
    DropsWhatCameLate,
    HandsToTheDead,
    KeepsTime,
    KeepsUpdates,
    LocksCrosswise,
    LocksInOrder,
    LosesUpdates,
    MissesTheSignal,
    PublishesEarly,
    PublishesLast,
    RegistersGuarded,
    RegistersUnguarded,
    SeesTheSignal,
    TakesWhatCameLate,
    TurnsTimeBack,
    WakesNobody,
    WakesTheHead,
)

Scenario = tuple[Sequence[Callable[[], object]], Callable[[], object]]


def _same(found: object, wanted: object) -> None:
    assert found == wanted, f"{found}, not {wanted}"


def update(kind: type[LosesUpdates]) -> Scenario:
    counter = kind()
    return [counter.add, counter.add], lambda: _same(counter.count, 2)


def compute(kind: type[ComputesTwice]) -> Scenario:
    store = kind()
    return [lambda: store.get("key")] * 2, lambda: _same(store.computed, 1)


def signal(kind: type[MissesTheSignal]) -> Scenario:
    door = kind()
    return [door.wait, door.let_go], lambda: None


def lock(kind: type[LocksCrosswise]) -> Scenario:
    pair = kind()
    return [pair.forth, pair.back], lambda: None


def publish(kind: type[PublishesEarly]) -> Scenario:
    place = kind()
    return [place.make, place.use], lambda: None


def hand_over(kind: type[DropsWhatCameLate]) -> Scenario:
    permits = kind()
    taken: list[bool] = []
    return [
        lambda: taken.append(permits.take(5.0)),
        permits.give,
    ], lambda: _same(permits.free + sum(taken), 1)


def enter(kind: type[WakesNobody]) -> Scenario:
    door = kind()

    def visit() -> None:
        door.enter()
        door.leave()

    return [visit, visit], lambda: _same(door.queue, [])


def take(kind: type[TurnsTimeBack]) -> Scenario:
    bucket = kind()

    def later() -> None:
        time.sleep(1.0)
        bucket.take()
        bucket.take()

    def check() -> None:
        assert bucket.taken <= 1, f"{bucket.taken} tokens in 1 s"

    return [bucket.take, later], check


def register(kind: type[RegistersUnguarded]) -> Scenario:
    room = kind()
    return [room.call, room.call], lambda: _same(room.inside, [])


@final
@dataclass(frozen=True)
class Canary:
    """A fault and its correction, and how they are used.

    Attributes:
        name: What the fault is called.
        kind: How a schedule fails that shows it.
        use: Makes the threads that use an instance, and their check.
        faulty: The class with the fault.
        corrected: The class without.
    """

    name: str
    kind: str
    use: Callable[[Any], Scenario]
    faulty: type
    corrected: type

    def program(self, kind: type) -> Program:
        """Return the program that uses *kind*, one of the two classes."""
        return Program(lambda: self.use(kind), [kind])

    def __str__(self) -> str:
        return self.name


CANARIES: Final = (
    Canary("lost update", "invariant", update, LosesUpdates, KeepsUpdates),
    Canary("check then act", "invariant", compute, ComputesTwice, ComputesOnce),
    Canary("lost wake-up", "deadlock", signal, MissesTheSignal, SeesTheSignal),
    Canary("lock order", "deadlock", lock, LocksCrosswise, LocksInOrder),
    Canary("published early", "exception", publish, PublishesEarly, PublishesLast),
    Canary(
        "permit dropped as the timeout fires",
        "invariant",
        hand_over,
        DropsWhatCameLate,
        TakesWhatCameLate,
    ),
    Canary(
        "wake-up given to a dead waiter",
        "invariant",
        hand_over,
        HandsToTheDead,
        TakesWhatCameLate,
    ),
    Canary("waiter nobody wakes", "deadlock", enter, WakesNobody, WakesTheHead),
    Canary("stale time", "invariant", take, TurnsTimeBack, KeepsTime),
)
INTERRUPTED: Final = Canary(
    "leak at interrupt", "invariant", register, RegistersUnguarded, RegistersGuarded
)
