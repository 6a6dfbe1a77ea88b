"""Takes a primitive through schedules and interrupts: one declaration for all of it.

Declare it as a `Subject`: how it is made, what can be done with it, and what must hold.
Each battery returns what it did; one that did less than its budget fails.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from functools import partial
from itertools import combinations_with_replacement, product
from typing import Any, ClassVar, Final, NamedTuple, final

import hypothesis
from hypothesis import given, settings
from hypothesis import strategies as st

from .explorer import (
    Exhaustive,
    Explorer,
    InterruptReport,
    NothingExplored,
    Pct,
    Program,
    Random,
    Report,
    Search,
    sweep_interrupts,
)
from .explorer.points import Grain
from .explorer.targets import Target
from .explorer.workers import Body

# What each thread does, one operation after the other.
Plan = tuple[tuple[str, ...], ...]

HOLD_S: Final = 2.0
_EACH_COUNT: Final = 50  # schedules of one program by each random search

_here = threading.local()


class Call(NamedTuple):
    """An operation that was done to its end; the times are virtual."""

    thread: int
    name: str
    began: float
    ended: float
    result: object


class Subject(ABC):
    """A fresh object, to be used by all threads of a program.

    A subclass makes it in `__init__`. Each letter of its alphabet is a method that
    does one whole operation, calls `hold` while it holds something, and returns what
    `check` is to know of it.

    Class arguments, which a subclass inherits unless it gives its own:
        targets: Where threads are switched; each of them must be reached.
        alphabet: The names of the operations; the first is also what the rivals of an
            interrupted thread do.
        core: Those that are looked at more closely.
        clocks: Dotted names of functions that read the time.
        around: Makes a block in which all of this happens.
    """

    targets: ClassVar[tuple[Target, ...]] = ()
    alphabet: ClassVar[tuple[str, ...]] = ()
    core: ClassVar[tuple[str, ...]] = ()
    clocks: ClassVar[tuple[str, ...]] = ("concutil._runtime.clock.monotonic",)

    around: ClassVar[Callable[[], AbstractContextManager[object]]] = nullcontext

    def __init_subclass__(cls, **arguments: Any) -> None:
        for name, value in arguments.items():
            assert name in Subject.__annotations__, name
            setattr(cls, name, value)

    @abstractmethod
    def check(self, calls: Sequence[Call]) -> None:
        """Compare with a model what is left when just *calls* were made."""

    @abstractmethod
    def settled(self) -> None:
        """Check what must hold whenever nobody uses it, even after an interrupt."""


def hold() -> None:
    """Go on holding for as long as the calling thread is to hold things."""
    if _here.seconds:
        time.sleep(_here.seconds)


def plans(letters: Iterable[str], *, threads: int, length: int) -> list[Plan]:
    """Return all plans of so many threads; it does not matter who has which part."""
    parts = product(letters, repeat=length)
    return list(combinations_with_replacement(parts, threads))


def program(
    subject: type[Subject],
    plan: Plan,
    *holds: float,
    grain: Grain = "bytecode",
    only_settled: bool = False,
) -> Program:
    """Return the program in which each thread does its part of *plan*.

    Args:
        subject: What they use.
        plan: What they do.
        *holds: For how many seconds they hold things; the last goes for the rest.
        grain: What a step is.
        only_settled: Whether to check no more than that.
    """

    def make() -> tuple[list[Body], Body]:
        it = subject()
        calls: list[Call] = []
        seconds = [*holds, *holds[-1:] * len(plan)]
        bodies: list[Body] = [
            partial(_perform, it, calls, thread=thread, part=part, seconds=held)
            for thread, (part, held) in enumerate(zip(plan, seconds, strict=False))
        ]

        def check() -> None:
            it.settled()
            if not only_settled:
                it.check(calls)

        return bodies, check

    return Program(make, subject.targets, subject.clocks, grain)


def _perform(
    it: Subject,
    calls: list[Call],
    *,
    thread: int,
    part: Sequence[str],
    seconds: float,
) -> None:
    _here.seconds = seconds
    for name in part:
        began = time.monotonic()
        result = getattr(it, name)()
        calls.append(Call(thread, name, began, time.monotonic(), result))


@final
@dataclass
class Tally:
    """What a battery did."""

    name: str
    programs: int = 0
    schedules: int = 0
    distinct: int = 0
    steps: int = 0
    decisions: int = 0
    seconds: float = 0.0

    def add(self, report: Report) -> None:
        """Count what one search did."""
        for it in fields(self)[2:]:
            done = getattr(self, it.name) + getattr(report, it.name)
            setattr(self, it.name, done)

    def __str__(self) -> str:
        rate = self.schedules / max(self.seconds, 1e-9)
        return (
            f"{self.name}: {self.programs:,} programs, {self.schedules:,} schedules"
            f" ({self.distinct:,} differ), {self.steps:,} steps, {rate:,.0f}/s"
        )


@final
class _Bench:
    """An explorer for one subject, and what was done with it."""

    def __init__(self, subject: type[Subject], name: str, grain: Grain) -> None:
        self.tally = Tally(f"{subject.__name__}, {name}")
        self._subject = subject
        self._grain = grain
        self._explorer = Explorer(subject.targets, clocks=subject.clocks, grain=grain)
        self._around = subject.around()

    def __enter__(self) -> _Bench:
        self._around.__enter__()
        self._explorer.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._explorer.__exit__()
        self._around.__exit__(None, None, None)

    def require_reached(self) -> None:
        """Check that all targets were reached, and that there was a choice.

        Raises:
            NothingExplored: If not.
        """
        self._explorer.require_reached()
        if not self.tally.decisions:
            raise NothingExplored("there were never two threads that could go on")

    def search(
        self, plan: Plan, held: float, search: Search, schedules: int | None = None
    ) -> Report:
        """Search one program.

        Raises:
            AssertionError: If a schedule fails.
        """
        make = program(self._subject, plan, held).make
        report = self._explorer.search(make, search, schedules=schedules)
        self.tally.add(report)
        assert report.failure is None, (
            f"{report.failure}\nprogram = program({self._subject.__name__}, {plan!r},"
            f" {held}, grain={self._grain!r})"
        )
        return report


def exhaust(
    subject: type[Subject],
    each: Iterable[Plan],
    *,
    bound: int,
    held: float,
    grain: Grain = "bytecode",
) -> Tally:
    """Run every schedule, with at most *bound* preemptions, of *each* plan."""
    name = f"exhausted at bound {bound} by {grain}, held for {held:g} s"
    with _Bench(subject, name, grain) as bench:
        for plan in each:
            bench.tally.programs += 1
            assert bench.search(plan, held, Exhaustive(bound)).exhausted
        bench.require_reached()
    return bench.tally


def exhaust_one(
    subject: type[Subject], plan: Plan, *, bound: int, held: float, grain: Grain
) -> Tally:
    """Run every schedule of one *plan*, which need not reach all targets."""
    with _Bench(subject, "one program exhausted", grain) as bench:
        bench.tally.programs += 1
        assert bench.search(plan, held, Exhaustive(bound)).exhausted
    return bench.tally


def try_at_random(
    subject: type[Subject], *, schedules: int, seed: int | None = None
) -> Tally:
    """Let Hypothesis write programs, and run each under random schedules and PCT's.

    Args:
        subject: What they use.
        schedules: How many at least.
        seed: What the programs come from; None for the same ones every time.
    """
    letters = st.sampled_from(sorted(subject.alphabet))
    part = st.lists(letters, min_size=1, max_size=3).map(tuple)
    whole = st.lists(part, min_size=2, max_size=3).map(tuple)

    with _Bench(subject, "random and pct", "bytecode") as bench:

        @hypothesis.seed(seed)
        @settings(
            max_examples=-(-schedules // (2 * _EACH_COUNT)),
            derandomize=seed is None,
            database=None,
            deadline=None,
        )
        @given(whole, st.sampled_from([0.0, HOLD_S]), st.integers(0, 2**32))
        def try_out(plan: Plan, held: float, seed: int) -> None:
            bench.tally.programs += 1
            for search in (Random(seed), Pct(seed)):
                bench.search(plan, held, search, _EACH_COUNT)

        try_out()
        bench.require_reached()
    done = bench.tally.schedules
    assert done >= schedules, f"only {done:,} of {schedules:,} schedules were run"
    return bench.tally


def interrupt(subject: type[Subject]) -> InterruptReport:
    """Interrupt each operation everywhere, while two rivals come before or behind it.

    After an interrupt while it waits, it is as if it had never been called.
    """
    whole = InterruptReport()
    rival = subject.alphabet[0]
    with subject.around():
        for name in subject.alphabet:
            plan = ((name,), (rival,), (rival,))
            untouched = program(subject, plan, 0.0, HOLD_S)
            settled = program(subject, plan, 0.0, HOLD_S, only_settled=True)
            whole.add(sweep_interrupts(settled, while_waiting=untouched))
    return whole
