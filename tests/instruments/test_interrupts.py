"""Ctrl-C is delivered wherever CPython may deliver it, and what it leaves is found."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from .canaries import INTERRUPTED
from .explorer import NothingExplored, Program, primitives, sweep_interrupts

Tell = Callable[[object], None]
Bodies = Sequence[Callable[[], object]]


@pytest.mark.canary
def test_leak_at_interrupt_is_found(tell: Tell) -> None:
    """Who registers before the `try` begins is found out."""
    report = sweep_interrupts(INTERRUPTED.program(INTERRUPTED.faulty))
    tell(f"{INTERRUPTED}: {report}")
    assert {left.failed.kind for left in report.left} == {INTERRUPTED.kind}
    assert not report.bad("waiting")


@pytest.mark.canary
def test_corrected_twin_is_clean(tell: Tell) -> None:
    """Who registers inside of the `try` leaves nothing behind, anywhere."""
    report = sweep_interrupts(INTERRUPTED.program(INTERRUPTED.corrected))
    tell(f"{INTERRUPTED}, corrected: {report}")
    assert not report.left
    assert report.struck["waiting"] == 4
    assert report.struck["running"] >= 8


class Queue:
    """One at a time; who gives up waiting stays in the queue if *forgets*."""

    def __init__(self, *, forgets: bool) -> None:
        self.forgets = forgets
        self.lock = threading.Lock()
        self.busy = False
        self.waiting: list[threading.Lock] = []

    def enter(self) -> None:
        gate = threading.Lock()
        gate.acquire()
        with self.lock:
            if not self.busy:
                self.busy = True
                return
            self.waiting.append(gate)
        try:
            gate.acquire()
        except KeyboardInterrupt:
            self.give_up(gate)
            raise

    def give_up(self, gate: threading.Lock) -> None:
        if not self.forgets:
            with self.lock:
                self.waiting.remove(gate)

    def leave(self) -> None:
        with self.lock:
            self.busy = bool(self.waiting)
            if self.waiting:
                self.waiting.pop(0).release()

    def program(self) -> tuple[Bodies, Callable[[], object]]:
        def visit() -> None:
            self.enter()
            self.leave()

        def stay() -> None:
            self.enter()
            time.sleep(1)
            self.leave()

        return [visit, stay, stay], lambda: None


@pytest.mark.canary
@pytest.mark.parametrize("forgets", [True, False])
def test_waiter_that_was_interrupted_is_left(forgets: bool, tell: Tell) -> None:  # noqa: FBT001  # a parameter of the test
    """Somebody who was interrupted while waiting must not be handed anything."""
    program = Program(lambda: Queue(forgets=forgets).program(), [Queue])
    report = sweep_interrupts(program)
    tell(f"stays in the queue ({forgets}): {report}")
    assert bool(report.bad("waiting")) == forgets


def test_interrupt_that_is_swallowed_is_found() -> None:
    """Ctrl-C must come out of the thread."""

    def swallow() -> None:
        with suppress(KeyboardInterrupt):
            time.sleep(1)

    report = sweep_interrupts(Program(lambda: ([swallow], lambda: None), [swallow]))
    assert "did not come out" in report.bad("waiting")[0].failed.text


def test_finalizers_are_left_alone() -> None:
    """What `__del__` raises is dropped by Python itself: nothing could be promised."""

    class Dropped:
        def __del__(self) -> None:
            len("")

    def drop() -> None:
        Dropped()
        time.sleep(1)

    targets = [Dropped, drop]
    report = sweep_interrupts(Program(lambda: ([drop], lambda: None), targets))
    assert report.struck["running"]
    assert not report.left


def test_nothing_to_interrupt_is_refused() -> None:
    """A thread that passes no delivery point can't be swept."""
    program = Program(lambda: ([lambda: None], lambda: None), [Queue])
    with pytest.raises(NothingExplored, match="no delivery point"):
        sweep_interrupts(program)


@pytest.mark.smoke
def test_with_is_interrupted_as_cpython_does_it() -> None:
    """The shadows know where this Python looks for Ctrl-C around `with`."""
    left: list[str] = []

    class Interrupts:
        __enter__ = staticmethod(_thread.interrupt_main)

        def __exit__(self, *exc: object) -> None:
            left.append("left")

    def enter() -> None:
        with Interrupts():
            for _ in range(100):
                time.sleep(0)

    with pytest.raises(KeyboardInterrupt):
        enter()
    assert (not left) == primitives.WITH_IS_A_CALL
