"""Where a limiter's callers wait: an `Admission` behind one lock, for all worlds.

Whatever changes the admission is a `Change`, put into an inbox; who holds the lock
applies all that is there. So code that runs from the collector, perhaps in a thread
that holds this very lock, can always leave its change behind and go.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from math import inf
from types import TracebackType
from typing import Final, NoReturn, Protocol, TypeVar, final

from .._core.admission import Admission
from .._core.buckets import ROUNDING_S
from .._core.cost import shown_cost
from .._core.options import shown
from .._core.ticket import GONE, QUEUED, Ticket
from .._errors import RateLimitExceeded
from .._runtime.clock import Clock, reader
from .._runtime.events import LimiterRefused, LimiterWaited, LoopBlocked, emit
from .._runtime.on_threads import THREADS
from .._runtime.waiters import YIELD_EVERY_S, World, park, run, runs_a_loop

T = TypeVar("T")
Change = Callable[[Admission, float], None]  # the float is the time
NO_KEY: Final = object()


class Hold(Protocol):
    """Says that a gate is needed, for a limiter that makes gates when they are.

    As a block it ends if the block fails.
    """

    @property
    def gate(self) -> Gate:
        """The gate, which is the same for all who need it at one time."""
        ...

    def end(self) -> None:
        """Need it no more; a second call does nothing."""
        ...

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@final
class Setting:
    """What all gates of one limiter share: its name, its clock, what it has told."""

    __slots__ = ("clock", "name", "now", "told_of_loop", "yield_every")

    def __init__(self, name: str | None, clock: Clock | None) -> None:
        self.name: str | None = name
        self.clock: Clock | None = clock
        self.now: Callable[[], float] = reader(clock)
        # How long a task may go on without yielding; a clock of the user's own can't
        # tell, so there the loop's world decides.
        self.yield_every: float = YIELD_EVERY_S if clock is None else -inf
        self.told_of_loop: bool = False  # that it is blocked

    def __str__(self) -> str:
        return "the limiter" if self.name is None else f"limiter {self.name!r}"


@final
class Gate:
    """Lets tickets in as its admission grants them, first come, first served.

    Args:
        admission: What decides.
        setting: What is shared with other gates of the same limiter.
        key: Whose it is, if the limiter has one for each key.
    """

    __slots__ = (
        "__weakref__",
        "_key",
        "_setting",
        "admission",
        "bounded",
        "inbox",
        "lock",
        "name",
        "now",
        "yield_every",
    )

    def __init__(
        self, admission: Admission, setting: Setting, key: object = NO_KEY
    ) -> None:
        self._setting = setting
        self._key = key
        self.name: str | None = setting.name
        self.now: Callable[[], float] = setting.now
        self.yield_every: float = setting.yield_every
        self.bounded: bool = admission.counted  # else nobody has a place to give back
        self.admission: Admission = admission
        self.lock: threading.Lock = (
            threading.Lock()
        )  # guards the admission and all tickets
        # Not empty only while somebody is about to take the lock, or holds it.
        self.inbox: deque[Change] = deque()

    def after_fork(self) -> None:
        """Go on in a forked child: nobody waits, nobody is inside."""
        self.renew(self.admission.in_child())

    def renew(self, admission: Admission) -> None:
        """Go on in a forked child with *admission*."""
        self.lock = threading.Lock()
        self.inbox = deque()
        self.admission = admission

    @property
    def gate(self) -> Gate:
        """Itself: the only gate of a limiter needs no `Hold`."""
        return self

    def end(self) -> None:
        """Stay: it is needed for as long as its limiter is."""

    def __enter__(self) -> None:
        """Stay as well."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stay as well."""

    def try_enter(self) -> bool:
        """Let a block in, if that needs no waiting."""
        now = self.now()  # outside of the lock: a clock may be anybody's code
        with self.lock:
            admission = self.admission
            entered = not admission.lines and admission.book_one(now)
        if self.inbox:
            self.settle()
        return entered

    def leave(self, error_kind: type[BaseException] | None) -> None:
        """Give back the place of a block that *error_kind* has ended."""
        if error_kind is GeneratorExit:
            self.give_back(_leave_block, wait=False)
            return
        with self.lock:
            admission = self.admission
            admission.leave_block()
            crowded = admission.lines
        if crowded or self.inbox:
            self.settle()

    def try_book(self, ticket: Ticket) -> bool:
        """Grant *ticket*, if that needs no waiting."""
        if self.inbox:
            self.settle()  # what the collector left there may be what is asked for
        now = self.now()
        with self.lock:
            booked = self.admission.book(ticket, now)
        if self.inbox:
            self.settle()
        return booked

    def wait(self, ticket: Ticket) -> None:
        """Block this thread until *ticket* is granted."""
        if self.try_book(ticket):
            return
        if not self._setting.told_of_loop and runs_a_loop():
            self._setting.told_of_loop = True
            emit(LoopBlocked, limiter=self.name, policy=None, cache=None)
        run(self.admit(THREADS, ticket))

    async def admit(self, world: World, ticket: Ticket) -> None:
        """Wait until *ticket* is granted: the one text for threads and tasks.

        Args:
            world: Where this runs.
            ticket: What is asked for; new.

        Raises:
            RateLimitExceeded: If its patience ends before.
        """
        try:
            if self.try_book(ticket):
                await world.checkpoint()
            else:
                await self._queue(world, ticket)
        except BaseException as error:
            # Cancelled, closed or Ctrl-C: leave, or pass on what was handed over.
            self.give_back(_undoing(ticket), wait=not isinstance(error, GeneratorExit))
            raise

    async def _queue(self, world: World, ticket: Ticket) -> None:
        waiter = ticket.waiter = world.waiter()
        ticket.line = world.line
        # Read here: who applies the change may have read the clock long before.
        ticket.since = self.now()
        try:
            self.apply(lambda core, now: core.enter(ticket, now), ticket)
            while ticket.state is QUEUED:
                until = min(ticket.alarm, ticket.until)
                await park(world, waiter, until, clock=self._setting.clock)
                late = self.now() >= ticket.until - ROUNDING_S
                # Also if it is late: what is admitted in that instant is in time.
                self.apply(lambda core, _: core.awake(ticket), ticket)
                if late:
                    self.apply(lambda core, now: core.expire(ticket, now), ticket)
                    break
        finally:
            waiter.close()
        if ticket.state is GONE:
            self._refuse(ticket)
        emit(
            LimiterWaited,
            limiter=self.name,
            cost=dict(ticket.cost),
            waited=ticket.waited,
        )

    def _refuse(self, ticket: Ticket) -> NoReturn:
        cost, retry_after = dict(ticket.cost), ticket.retry_after
        if retry_after == inf:
            raise ValueError(
                f"{self} was changed, and no wait admits a cost of {shown_cost(cost)}"
                " now: give its rates a greater burst="
            )
        emit(LimiterRefused, limiter=self.name, cost=cost, retry_after=retry_after)
        paused = self.admission.is_paused(self.now())
        who = "it is paused, and admits" if paused else "its rates admit"
        why = f"{who} {shown_cost(cost)} in {retry_after:.3g} s"
        if retry_after == 0 and self.bounded:
            why = f"all {self.admission.limit} places stayed taken"
        raise RateLimitExceeded(
            f"{self} could not meet the timeout: {why}", retry_after=retry_after
        )

    def give_back(self, change: Change, *, wait: bool) -> None:
        """Apply *change*, and let whoever waits behind move up.

        With `wait=False` it never blocks, as code that the collector runs must not:
        if somebody holds the lock, perhaps this thread itself, they will apply it.
        """
        self.inbox.append(change)
        if wait or not self.lock.locked():
            self.settle()

    def read(self, what: Callable[[Admission, float], T]) -> T:
        """Return *what* of the admission, as of one instant."""
        if self.inbox:
            self.settle()
        now = self.now()
        with self.lock:
            answer = what(self.admission, now)
        if self.inbox:
            self.settle()  # the collector may have left something there meanwhile
        return answer

    def apply(self, change: Change, me: Ticket | None = None) -> None:
        """Apply *change*, and let whoever can now move up; *me* needn't be woken."""
        at = self.now()  # who applies it may have read the clock long before
        self.inbox.append(lambda core, now: change(core, max(now, at)))
        self.settle(me)

    def settle(self, me: Ticket | None = None) -> None:
        """Apply all changes, grant what can be granted, wake all but *me*."""
        woken: deque[Ticket] = deque()
        try:
            while True:
                now = self.now()
                with self.lock:
                    self._apply_all(now, woken)
                self._wake(woken, me)
                if not self.inbox:
                    return
        except BaseException:
            # Ctrl-C: others may depend on what was begun.
            self._wake(woken, me)
            if self.inbox and not self.lock.locked():
                self.settle()
            raise

    def _apply_all(self, now: float, woken: deque[Ticket]) -> None:
        admission, inbox = self.admission, self.inbox
        while inbox:
            inbox.popleft()(admission, now)
        admission.advance(now, woken)

    def _wake(self, woken: deque[Ticket], me: Ticket | None) -> None:
        while woken:
            ticket = woken[0]
            if ticket is not me and not ticket.waiter.wake():
                # Its loop is closed: what it was handed goes to the next.
                self.inbox.append(_undoing(ticket))
            woken.popleft()

    def __str__(self) -> str:
        key = "" if self._key is NO_KEY else f" for {shown(self._key)}"
        return f"{self._setting}{key}"


def _undoing(ticket: Ticket) -> Change:
    return lambda admission, _: admission.undo(ticket)


def _leave_block(admission: Admission, _now: float) -> None:
    admission.leave_block()
