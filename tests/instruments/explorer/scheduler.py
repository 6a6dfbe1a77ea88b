"""Who runs: one thread at a time, until it is told to let another one go on."""

from __future__ import annotations

import traceback
from _thread import allocate_lock, get_ident
from collections.abc import Sequence
from types import CodeType, FrameType
from typing import Final, Literal, NamedTuple, Protocol, final

from .strategies import Chooser, Decision
from .workers import (
    Abandoned,
    Body,
    Waitable,
    Worker,
    at_its_gate,
    give_up,
    lease_all,
    stacks,
)

Kind = Literal["deadlock", "exception", "invariant", "livelock"]

# Not 0, which some code takes for "unset".
EPOCH_S: Final = 1000.0
STUCK_S: Final = 10.0
_ROUNDS_COUNT: Final = 5


class BlockedOutside(RuntimeError):  # noqa: N818  # says what happened
    """A thread blocks where the scheduler can't see it.

    On a lock that was made before the schedule began, or in C code.
    """


class Failed(NamedTuple):
    """How a schedule failed."""

    kind: Kind
    text: str


class Points(Protocol):
    """The instrumentation, which calls `Scheduler.step`."""

    def stops_before_calls(self, code: CodeType) -> bool: ...

    def follow(self) -> None: ...

    def leave(self) -> None: ...


class Interrupter(Protocol):
    """Decides where the first thread is interrupted."""

    def after_call(self, worker: Worker | None) -> None:
        """Raise KeyboardInterrupt if it is due after this call in *worker*."""
        ...

    def begin_waiting(self, worker: Worker) -> bool:
        """Raise it if it is due now; return whether it is due when everybody waits."""
        ...

    def strike(self) -> KeyboardInterrupt:
        """Return what is to be raised now."""
        ...


@final
class Scheduler:
    """One schedule: hands the right to run from thread to thread as *chooser* says.

    Args:
        chooser: Decides who goes on.
        points: The instrumentation.
        max_steps: More steps than this are taken for a livelock.
        interrupter: Interrupts the first thread; nobody is preempted then.

    Attributes:
        now: Virtual seconds; they pass only when a timer fires.
        current: The thread that runs; None before the first and after the last.
        decisions: What was decided so far.
        steps: How many steps were made.
        contested: How many of them while more than one thread had not ended.
        failed: How the schedule failed, or None.
        stopping: Whether the threads are being unwound.
    """

    def __init__(
        self,
        chooser: Chooser,
        points: Points,
        *,
        max_steps: int,
        interrupter: Interrupter | None = None,
    ) -> None:
        self.interrupter = interrupter
        self.now = EPOCH_S
        self.current: Worker | None = None
        self.decisions: list[Decision] = []
        self.steps = 0
        self.contested = 0
        self.failed: Failed | None = None
        self.stopping = False
        self._points = points
        self._chooser = chooser
        self._ask_at: float = 0  # who can go on does so, unasked, until this step
        self._most_steps = max_steps
        self._alive: list[Worker] = []
        self._timers: list[Worker] = []  # those of `_alive` that have a deadline
        self._locks = 0
        self._ended = allocate_lock()
        self._ended.acquire()

    def run(self, bodies: Sequence[Body]) -> None:
        """Run *bodies*, each in a thread, to their ends or to a failure.

        Raises:
            BlockedOutside: If that takes longer than any schedule does.
        """
        self._alive = lease_all(self, bodies)
        ended = False
        try:
            self._start(self._next())
            ended = self._wait_for_end()
            if not ended:
                raise BlockedOutside(
                    "a thread blocks outside of the explorer: on a lock that was made"
                    " before the schedule began, or in C code\n" + stacks(self._alive)
                )
        finally:
            self.current = None
            if not ended:
                give_up()

    def _wait_for_end(self) -> bool:
        """Wait until all have ended; False if one blocks outside."""
        for _ in range(_ROUNDS_COUNT):
            steps = self.steps
            if self._ended.acquire(timeout=STUCK_S):
                return True
            # On a busy machine a thread may wait that long to be run.
            if steps == self.steps and not at_its_gate(self.current):
                return False
        return False

    def here(self) -> Worker | None:
        """Return the caller, if it is the thread that runs in this schedule."""
        current = self.current
        if current is not None and current.ident == get_ident():
            return current
        return None

    def lock_name(self, kind: str) -> str:
        """Return a name for a new lock: the same one in every replay."""
        self._locks += 1
        return f"{kind} {self._locks}"

    def step(self) -> bool:
        """Count a step, before which the thread that runs may be switched.

        Returns:
            False if the caller isn't a thread of this schedule.
        """
        current = self.current
        if current is None or current.ident != get_ident():
            return False
        self.steps += 1
        if self.steps >= self._ask_at:
            self._ask()
        return True

    def lock_step(self, caller: FrameType) -> None:
        """Let the thread be switched before *caller* uses a lock.

        Instrumented code may have made its step before the call already.
        """
        if self.stopping:
            self._unwind()
            return
        if self.interrupter is not None:
            return
        if not self._points.stops_before_calls(caller.f_code):
            self.step()

    def freed(self, what: Waitable) -> None:
        """Take in that *what* has become free: somebody may go on who could not."""
        if any(worker.waits_for is what for worker in self._alive):
            self._ask_at = 0

    def after_call(self) -> None:
        """Interrupt the thread that runs, if that is due after a call of C code."""
        if self.interrupter is not None:
            self.interrupter.after_call(self.here())

    def wait(self, worker: Worker, what: Waitable, patience: float | None) -> bool:
        """Wait in *worker*, which runs, until *what* is free; False if it is too late.

        Whoever is told True goes on at once, so *what* is still free then.
        """
        if self.stopping:
            raise Abandoned
        if self.interrupter is not None:
            worker.interrupt = self.interrupter.begin_waiting(worker)
        self.steps += 1
        worker.waits_for = what
        if patience is not None:
            worker.deadline = self.now + patience
            self._timers.append(worker)
        self._hand_over()
        in_time = worker.waits_for is not None  # a timer that fires forgets it
        self._stop_waiting(worker)
        struck, worker.interrupt = worker.interrupt and not in_time, False
        if struck and self.interrupter is not None:
            raise self.interrupter.strike()
        return in_time

    def begun(self) -> None:
        """Watch the calling worker, which has been started."""
        self._points.follow()
        if self.stopping:
            raise Abandoned

    def finished(self, worker: Worker) -> None:
        """Take out *worker*, which has ended its body, and start another one."""
        self._points.leave()
        self._alive.remove(worker)
        self.steps += 1
        if len(self._alive) == 1:
            self.contested = self.steps
        if worker.error is not None:
            trace = "".join(traceback.format_exception(worker.error)).rstrip()
            self._note("exception", f"in thread {worker.number}\n{trace}")
        if not self._alive:
            self._ended.release()
            return
        following = None if self.stopping else self._next()
        if following is None and not self.stopping:
            self._note("deadlock", stacks(self._alive))
        self._start(following or self._alive[0])

    def _start(self, worker: Worker | None) -> None:
        assert worker is not None
        self.current = worker
        worker.gate.open()

    def _ask(self) -> None:
        if self.steps > self._most_steps:
            self._note("livelock", f"more than {self._most_steps} steps")
            raise Abandoned
        if self.stopping:
            self._unwind()
        else:
            self._hand_over()

    def _unwind(self) -> None:
        """Stop the thread that runs, but let it undo its work as it is used to."""
        assert self.current is not None
        if not self.current.unwinding:
            self.current.unwinding = True
            raise Abandoned

    def _hand_over(self) -> None:
        me = self.current
        following = self._next()
        if following is me:
            return
        assert me is not None
        if following is None:
            self._note("deadlock", stacks(self._alive))
        else:
            self._start(following)
            me.gate.pass_through()
        if self.stopping:
            self._unwind()

    def _next(self) -> Worker | None:
        """Choose who goes on; None if nobody can."""
        options = self._ready()
        ready = len(options)
        free = int(self.current in options) or ready
        if not ready and (struck := self._interrupted()):
            return struck
        if self._timers:
            options += self._firing(options)
        if not options:
            return None
        free = free or len(options)
        index = self._chooser.choose(self.steps, options, free)
        if len(options) > 1:
            self.decisions.append(Decision(self.steps, options, free, index))
        if index >= ready:
            self._fire(options[index])
        self._ask_at = self._most_steps + 1
        if len(self._alive) > 1:
            self._ask_at = min(self._ask_at, self._chooser.ask_at)
        return options[index]

    def _ready(self) -> list[Worker]:
        """Return who can go on without a timer, first of all the thread that runs."""
        ready: list[Worker] = []
        for worker in self._alive:
            if worker.waits_for is None or worker.waits_for.owner is None:
                if worker is self.current:
                    ready.insert(0, worker)
                else:
                    ready.append(worker)
        return ready

    def _firing(self, ready: Sequence[Worker]) -> list[Worker]:
        """Return whose timers fire next; who is ready needs none."""
        waiting = [worker for worker in self._timers if worker not in ready]
        deadlines = [w.deadline for w in waiting if w.deadline is not None]
        first = min(deadlines, default=None)
        return [worker for worker in waiting if worker.deadline == first]

    def _fire(self, worker: Worker) -> None:
        assert worker.deadline is not None
        self.now = max(self.now, worker.deadline)
        worker.interrupt = False
        self._stop_waiting(worker)

    def _interrupted(self) -> Worker | None:
        """Return the thread that is to be interrupted now that everybody waits."""
        for worker in self._alive:
            if worker.interrupt:
                self._stop_waiting(worker)
                return worker
        return None

    def _stop_waiting(self, worker: Worker) -> None:
        worker.waits_for = None
        if worker.deadline is not None:
            worker.deadline = None
            self._timers.remove(worker)

    def _note(self, kind: Kind, text: str) -> None:
        if self.failed is None:
            self.failed = Failed(kind, text)
            self._most_steps += self.steps  # for the unwinding
        self.stopping = True
        self._ask_at = 0  # whoever goes on is unwound at its next step
