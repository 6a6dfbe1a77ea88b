"""Ctrl-C at every point where CPython may deliver it to the first thread."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, permutations
from pathlib import Path
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any, Literal, final

from .explore import Explorer, Make, NothingExplored, Program
from .points import TOOL, BasePoints
from .scheduler import Failed
from .strategies import Following, Ordered
from .workers import HERE, Body, Worker

State = Literal["running", "waiting"]


@final
class Strike:
    """Interrupts the first thread at its *at*-th delivery point, counted from 1.

    Args:
        at: The delivery point.
        late: Where the thread waits there, whether to let all others go on until they
            wait as well.

    Attributes:
        state: What the thread did when it was interrupted; None if it wasn't.
        where: File and line.
        error: The interrupt.
    """

    def __init__(self, at: int, *, late: bool = False) -> None:
        self._left = at
        self._late = late
        self.state: State | None = None
        self.where = ""
        self.error = KeyboardInterrupt()

    def after_call(self, worker: Worker | None) -> None:
        if self._due(worker):
            self.state = "running"
            raise self.strike()

    def begin_waiting(self, worker: Worker) -> bool:
        due = self._due(worker)
        if due and not self._late:
            raise self.strike()
        return due

    def strike(self) -> KeyboardInterrupt:
        self.state = self.state or "waiting"
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith(HERE):
            frame = frame.f_back
        if frame is not None:
            self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        return self.error

    def _due(self, worker: Worker | None) -> bool:
        if worker is None or worker.number != 0 or _in_finalizer():
            return False
        self._left -= 1
        return self._left == 0


def _in_finalizer() -> bool:
    """Whether Python itself would drop what is raised here."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


class _Deliveries(BasePoints):
    """Tells the interrupter when CPython looks for signals in a target.

    That is when a function begins, after a C function has returned, and before a jump
    back. (The last not before 3.12. What the shadows stand for, they tell themselves.)
    """

    def _look(self, code: CodeType, offset: int) -> None:
        scheduler = self.scheduler
        if scheduler is not None and (worker := scheduler.here()) is not None:
            hits = self.site(code).hits
            hits[offset] = hits.get(offset, 0) + 1
            if scheduler.interrupter is not None:
                scheduler.interrupter.after_call(worker)


if sys.version_info >= (3, 12):

    class Deliveries(_Deliveries):
        """Is told by `sys.monitoring`."""

        def begin(self) -> None:
            events = sys.monitoring.events
            sys.monitoring.use_tool_id(TOOL, "interrupts")
            sys.monitoring.register_callback(TOOL, events.PY_START, self._on_start)
            sys.monitoring.register_callback(TOOL, events.PY_RESUME, self._look)
            sys.monitoring.register_callback(TOOL, events.C_RETURN, self._on_return)
            sys.monitoring.register_callback(TOOL, events.JUMP, self._on_jump)
            sys.monitoring.set_events(TOOL, events.PY_START)
            sys.monitoring.restart_events()

        def end(self) -> None:
            for site in self._sites.values():
                sys.monitoring.set_local_events(TOOL, site.code, 0)
            sys.monitoring.set_events(TOOL, 0)
            sys.monitoring.free_tool_id(TOOL)

        def _on_start(self, code: CodeType, offset: int) -> Any:
            if not self.covers(code):
                return sys.monitoring.DISABLE
            events = sys.monitoring.events
            wanted = events.PY_RESUME | events.CALL | events.JUMP
            sys.monitoring.set_local_events(TOOL, code, wanted)
            self._look(code, offset)
            return None

        def _on_return(
            self, code: CodeType, offset: int, of: object, _: object
        ) -> None:
            if not isinstance(of, (FunctionType, MethodType)):  # Python's own begin
                self._look(code, offset)

        def _on_jump(self, code: CodeType, offset: int, destination: int) -> None:
            if destination <= offset:
                self._look(code, offset)

else:

    class Deliveries(_Deliveries):
        """Is told by `sys.setprofile`."""

        def follow(self) -> None:
            sys.setprofile(self._on_event)

        def leave(self) -> None:
            sys.setprofile(None)

        def _on_event(self, frame: FrameType, event: str, _: object) -> None:
            if event in {"call", "c_return"} and self.covers(frame.f_code):
                self._look(frame.f_code, frame.f_lasti)


@final
@dataclass(frozen=True)
class LeftBehind:
    """An interrupt after which the others don't get through, or the check fails.

    Attributes:
        order: The order in which the threads begin.
        at: The delivery point of the first thread, counted from 1.
        late: Whether all others went on until they waited.
        state: What the first thread did.
        where: File and line.
        failed: What happened then.
    """

    order: Sequence[int]
    at: int
    late: bool
    state: State
    where: str
    failed: Failed


@final
@dataclass
class InterruptReport:
    """What a sweep did.

    Attributes:
        struck: How many interrupts came, by what the first thread did.
        left: Those that left something behind.
    """

    struck: Counter[State] = field(default_factory=Counter)
    left: list[LeftBehind] = field(default_factory=list)

    def add(self, other: InterruptReport) -> None:
        """Take in what another sweep did."""
        self.struck += other.struck
        self.left += other.left

    def bad(self, state: State) -> list[LeftBehind]:
        """Return those that left something behind when the thread was in *state*."""
        return [left for left in self.left if left.state == state]

    def places(self) -> Counter[str]:
        """Return how often something was left behind, by where and what."""
        return Counter(f"{it.where}, {it.state}: {it.failed.kind}" for it in self.left)

    def __str__(self) -> str:
        waiting, running = len(self.bad("waiting")), len(self.bad("running"))
        return (
            f"interrupted {self.struck['waiting']} times while waiting, {waiting} bad;"
            f" {self.struck['running']} times while running, {running} bad"
        )


def sweep_interrupts(
    program: Program, *, while_waiting: Program | None = None
) -> InterruptReport:
    """Interrupt the first thread of *program* at its 1st, 2nd, ... delivery point.

    For every order in which the threads may begin. A thread runs until it waits or
    ends; only then goes the next one on. While the first thread waits it is
    interrupted twice: at once, and when everybody waits. An interrupt is bad if it
    does not come out of the thread, if another thread never gets through or fails,
    or if the check does not hold.

    Args:
        program: Whose first thread is interrupted.
        while_waiting: The same program with the check that must hold when the first
            thread waited.

    Raises:
        NothingExplored: If the program can't be interrupted.
    """
    report = InterruptReport()
    explorer = Explorer(
        program.targets,
        clocks=program.clocks,
        max_steps=program.max_steps,
        points=Deliveries,
    )
    makes: dict[State, Make] = {
        "running": program.make,
        "waiting": (while_waiting or program).make,
    }
    with explorer:
        explorer.run(program.make, Following({}))
        for order in permutations(range(len(program.make()[0]))):
            for at in count(1):
                if not _strike_at(explorer, makes, report, order, at):
                    break
    gc.collect()  # what was left behind is warned of here, and not in another test
    if not report.struck:
        raise NothingExplored("the first thread passed no delivery point")
    return report


def _strike_at(
    explorer: Explorer,
    makes: Mapping[State, Make],
    report: InterruptReport,
    order: Sequence[int],
    at: int,
) -> bool:
    """Interrupt at one delivery point; False if there are fewer."""
    for late in (False, True):
        strike = Strike(at, late=late)
        failed = _run(explorer, makes["running"], order, strike)
        if strike.state is None:
            return late
        if strike.state == "waiting":
            strike = Strike(at, late=late)
            failed = _run(explorer, makes["waiting"], order, strike)
        assert strike.state is not None
        report.struck[strike.state] += 1
        if failed is not None:
            left = LeftBehind(order, at, late, strike.state, strike.where, failed)
            report.left.append(left)
        if strike.state == "running":
            break
    return True


def _run(
    explorer: Explorer, make: Make, order: Sequence[int], strike: Strike
) -> Failed | None:
    """Run once; return how it failed."""
    swallowed = False

    def make_victim() -> tuple[Sequence[Body], Callable[[], object]]:
        (first, *others), check = make()

        def victim() -> None:
            nonlocal swallowed
            try:
                first()
            except KeyboardInterrupt as error:
                if error is not strike.error:
                    raise
            else:
                swallowed = strike.state is not None

        return [victim, *others], check

    failed = explorer.run(make_victim, Ordered(order), strike).failed
    if failed is None and swallowed:
        return Failed("exception", "the interrupt did not come out of the thread")
    return failed
