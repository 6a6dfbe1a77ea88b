"""The threads that run: real ones, kept for the next schedule, each behind a gate."""

from __future__ import annotations

import os
import sys
import traceback
from _thread import get_ident, start_new_thread
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol, final

Body = Callable[[], object]

HERE: Final = str(Path(__file__).parent)


class Abandoned(BaseException):
    """Unwinds the threads of a schedule that has failed."""


class Waitable(Protocol):
    """What a thread may wait for; it is free when it has no owner."""

    owner: object

    @property
    def name(self) -> str: ...


class Master(Protocol):
    """What a worker needs of its scheduler."""

    stopping: bool

    def begun(self) -> None: ...

    def finished(self, worker: Worker) -> None: ...


@final
class Gate:
    """Holds up the one thread that passes through it until it is opened.

    It is a pipe. A lock takes twice as long to change hands, and where there is no GIL
    ten times: whoever waits for one spins.
    """

    __slots__ = ("_reads", "_writes")

    def __init__(self) -> None:
        self._reads, self._writes = os.pipe()

    def open(self) -> None:
        os.write(self._writes, b"!")

    def pass_through(self) -> None:
        os.read(self._reads, 1)


@final
class Worker:
    """A real thread that runs one body per schedule, whenever its gate is opened.

    Attributes:
        waits_for: What it waits for, until that is free or its timer fires.
        deadline: When its timer fires, if it has one.
        interrupt: Whether it is to be interrupted when everybody waits.
        unwinding: Whether it was told to give up.
        error: What its body raised.
    """

    __slots__ = (
        "_body",
        "_master",
        "deadline",
        "error",
        "gate",
        "ident",
        "interrupt",
        "number",
        "unwinding",
        "waits_for",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.ident = 0
        self.gate = Gate()
        # By hand: what `threading` makes while a schedule runs are shadows.
        start_new_thread(self._serve, ())

    def lease(self, master: Master, body: Body) -> Worker:
        """Get ready to run *body* in a new schedule."""
        self._master = master
        self._body = body
        self.waits_for: Waitable | None = None
        self.deadline: float | None = None
        self.interrupt = False
        self.unwinding = False
        self.error: BaseException | None = None
        return self

    def forget(self) -> None:
        """Let go of the body and of its error, whose time is over."""
        self._body = _nothing
        self.error = None

    def _serve(self) -> None:
        self.ident = get_ident()
        while True:
            self.gate.pass_through()
            master = self._master
            try:
                master.begun()
                self._body()
            except Abandoned:
                pass
            except BaseException as error:  # noqa: ASYNC103, BLE001 - told by the scheduler
                self.error = error
            master.finished(self)


def _nothing() -> None:
    pass


_pool: list[Worker] = []


def lease_all(master: Master, bodies: Sequence[Body]) -> list[Worker]:
    """Return a worker for each of *bodies*."""
    while len(_pool) < len(bodies):
        _pool.append(Worker(len(_pool)))
    pairs = zip(_pool, bodies, strict=False)
    return [worker.lease(master, body) for worker, body in pairs]


def forget_all() -> None:
    """Keep nothing of a schedule alive until the next one, maybe of another test."""
    for worker in _pool:
        worker.forget()


def give_up() -> None:
    """Forget workers that hang where nobody can reach them."""
    _pool.clear()


def at_its_gate(worker: Worker | None) -> bool:
    """Whether *worker* stands in the explorer's own code."""
    frame = None if worker is None else sys._current_frames().get(worker.ident)
    return frame is None or frame.f_code.co_filename.startswith(HERE)


def stacks(workers: Iterable[Worker]) -> str:
    """Tell what each of *workers* does, and where, from the outside in."""
    frames = sys._current_frames()
    lines = []
    for worker in workers:
        lines.append(f"thread {worker.number} {_doing(worker)}")
        frame = frames.get(worker.ident)
        for entry in () if frame is None else traceback.extract_stack(frame):
            if not entry.filename.startswith(HERE):
                place = f"{Path(entry.filename).name}:{entry.lineno}"
                lines.append(f"    {place} in {entry.name}: {entry.line}")
    return "\n".join(lines)


def _doing(worker: Worker) -> str:
    what = worker.waits_for
    if what is None:
        return "runs"
    if isinstance(what.owner, Worker):
        return f"waits for {what.name}, which thread {what.owner.number} has"
    return f"waits for {what.name}"
