"""Small faults that the schedule explorer must find, each with its corrected twin."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace


class LosesUpdates:
    """Reads, then writes: two may have read the same."""

    def __init__(self) -> None:
        self.count = 0

    def add(self) -> None:
        self.count += 1


class KeepsUpdates(LosesUpdates):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def add(self) -> None:
        with self.lock:
            self.count += 1


class ComputesTwice:
    """Checks, then acts: two may have found nothing."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.computed = 0
        self.lock = threading.Lock()

    def compute(self) -> int:
        self.computed += 1
        return self.computed

    def get(self, key: str) -> int:
        if key not in self.known:
            with self.lock:
                self.known[key] = self.compute()
        return self.known[key]


class ComputesOnce(ComputesTwice):
    def get(self, key: str) -> int:
        with self.lock:
            if key not in self.known:
                self.known[key] = self.compute()
            return self.known[key]


class MissesTheSignal:
    """Looks before it takes the lock: the signal may come in between."""

    def __init__(self) -> None:
        self.open = False
        self.condition = threading.Condition()

    def wait(self) -> None:
        if not self.open:
            with self.condition:
                self.condition.wait()

    def let_go(self) -> None:
        self.open = True
        with self.condition:
            self.condition.notify_all()


class SeesTheSignal(MissesTheSignal):
    def wait(self) -> None:
        with self.condition:
            while not self.open:
                self.condition.wait()


class LocksCrosswise:
    """Takes two locks, one way here and the other way there."""

    def __init__(self) -> None:
        self.left = threading.Lock()
        self.right = threading.Lock()

    def forth(self) -> None:
        with self.left, self.right:
            pass

    def back(self) -> None:
        with self.right, self.left:
            pass


class LocksInOrder(LocksCrosswise):
    def back(self) -> None:
        with self.left, self.right:
            pass


class PublishesEarly:
    """Stores the object where others look, then makes it ready."""

    def __init__(self) -> None:
        self.shared: SimpleNamespace | None = None

    def make(self) -> None:
        made = SimpleNamespace()
        self.shared = made
        made.ready = True

    def use(self) -> None:
        found = self.shared
        assert found is None or found.ready


class PublishesLast(PublishesEarly):
    def make(self) -> None:
        made = SimpleNamespace()
        made.ready = True
        self.shared = made


class DropsWhatCameLate:
    """Was handed the permit just as its patience ended, and goes without it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.free = 0
        self.queue: list[threading.Lock] = []

    def take(self, timeout: float) -> bool:
        with self.lock:
            if self.free:
                self.free -= 1
                return True
            gate = threading.Lock()
            gate.acquire()
            self.queue.append(gate)
        return gate.acquire(timeout=timeout) or self.too_late(gate)

    def too_late(self, gate: threading.Lock) -> bool:
        with self.lock:
            if gate in self.queue:
                self.queue.remove(gate)
        return False

    def give(self) -> None:
        with self.lock:
            gate = self.queue.pop(0) if self.queue else None
            if gate is None:
                self.free += 1
        if gate is not None:
            gate.release()


class TakesWhatCameLate(DropsWhatCameLate):
    def too_late(self, gate: threading.Lock) -> bool:
        with self.lock:
            if gate in self.queue:
                self.queue.remove(gate)
                return False
        return True


class HandsToTheDead(TakesWhatCameLate):
    """Stays in the queue when its patience has ended, and is handed the permit."""

    def too_late(self, gate: threading.Lock) -> bool:
        return False


class WakesNobody:
    """One at a time, and one a second: who leaves early wakes nobody.

    Who waits for the place sets no timer, and is woken only if it is due already.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.full = False
        self.due = 0.0
        self.queue: list[threading.Lock] = []

    def enter(self) -> None:
        gate = threading.Lock()
        gate.acquire()
        patience = self.look(gate)
        while patience is not None:
            gate.acquire(timeout=patience)
            patience = self.look(gate)

    def look(self, gate: threading.Lock) -> float | None:
        """Enter and return None, or return how long to wait; -1 is until woken."""
        now = time.monotonic()
        with self.lock:
            if gate not in self.queue:
                self.queue.append(gate)
            if self.full:
                return -1
            if self.queue[0] is gate and now >= self.due:
                self.queue.remove(gate)
                self.full = True
                self.due = now + 1.0
                return None
            return max(0.0, self.due - now)

    def leave(self) -> None:
        with self.lock:
            self.full = False
            head = self.queue[0] if self.must_look() else None
        if head is not None and head.locked():
            head.release()

    def must_look(self) -> bool:
        return bool(self.queue) and time.monotonic() >= self.due


class WakesTheHead(WakesNobody):
    def must_look(self) -> bool:
        return bool(self.queue)


class TurnsTimeBack:
    """Reads the clock, then waits for the lock: what it stores is the past."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.tokens = 0.0
        self.seen = time.monotonic()
        self.taken = 0

    def take(self) -> None:
        now = time.monotonic()
        with self.lock:
            now = self.passed(now)
            self.tokens = min(1.0, self.tokens + max(0.0, now - self.seen))
            self.seen = now
            if self.tokens >= 1.0:
                self.tokens -= 1.0
                self.taken += 1

    def passed(self, now: float) -> float:
        return now


class KeepsTime(TurnsTimeBack):
    def passed(self, now: float) -> float:
        return max(now, self.seen)


class RegistersUnguarded:
    """Registers before its `try` begins: Ctrl-C in between leaves it there."""

    def __init__(self) -> None:
        self.inside: list[object] = []

    def call(self) -> None:
        me = object()
        self.inside.append(me)
        try:
            time.sleep(1)
        finally:
            self.inside.remove(me)


class RegistersGuarded(RegistersUnguarded):
    def call(self) -> None:
        me = object()
        try:
            self.inside.append(me)
            time.sleep(1)
        finally:
            if me in self.inside:
                self.inside.remove(me)
