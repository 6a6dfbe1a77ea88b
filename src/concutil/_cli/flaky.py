"""The third part: a server that fails, and what different retries make of it.

Now and then it answers 503, and once it does so for a whole second, in which it says
by `Retry-After` when to come back. Whoever goes on asking then makes a storm.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from math import ceil, inf
from typing import NamedTuple

from .._core.retry_after import parse_retry_after
from .clients import task_client, thread_client
from .crew import Crew, Work, see_through
from .heads import Reply
from .plan import BAD_S, FlakyPlan
from .server import OK, UNAVAILABLE, serving
from .traffic import CLIENTS_PER_WORLD, THREADS, Log
from .verdict import Tally

ONE_IN = 10  # of all arrivals fails, even in good times


class Unavailable(Exception):  # noqa: N818 - the name of the status
    """The server answered 503.

    Args:
        retry_after: The seconds that it asked to wait, if it said so.
    """

    def __init__(self, retry_after: float | None) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


def asked(error: Exception) -> bool | float:
    """Say of *error* whether it is to be retried, or after how many seconds."""
    if not isinstance(error, Unavailable):
        return False
    return True if error.retry_after is None else error.retry_after


class FlakyLedger:
    """What arrived when, and what of it failed.

    Args:
        bad_from: Which arrival, counted from 1, begins the bad second.
    """

    def __init__(self, *, bad_from: int) -> None:
        self.arrivals: list[float] = []
        self.failures: list[float] = []
        self.refused = 0
        self.in_vain = 0  # arrivals in the bad second
        self._bad_from = bad_from
        self._bad_until = -inf

    def arrive(self, at: float, fields: Mapping[str, str]) -> Reply:  # noqa: ARG002  # it treats all alike
        """Note an arrival at the time *at*, and return what to answer."""
        self.arrivals.append(at)
        if len(self.arrivals) == self._bad_from:
            self._bad_until = at + BAD_S
        if at < self._bad_until:
            self.in_vain += 1
            wait = ceil(round(self._bad_until - at, 6))  # not 2 for 1.0000000001
            return self._fail(at, {"Retry-After": str(wait)})
        if len(self.arrivals) % ONE_IN == 0:
            return self._fail(at, {})
        return Reply(OK, {})

    def _fail(self, at: float, fields: Mapping[str, str]) -> Reply:
        self.failures.append(at)
        self.refused += 1
        return Reply(UNAVAILABLE, fields)


class Retrying(NamedTuple):
    """What calls a function until it succeeds, in a thread and in a task."""

    name: str
    in_thread: Callable[[Callable[[], None]], object]
    in_task: Callable[[Callable[[], Awaitable[None]]], Awaitable[object]]


class FlakyLog(Log):
    """What one client did, and what came of its calls."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self.begun = self.succeeded = self.failed = 0

    def begin(self) -> bool:
        """Take a call, or return False if there is none left."""
        taken = self.ask()
        self.begun += taken
        return taken

    def take_in(self, reply: Reply) -> None:
        """Note the answer to an attempt, and raise `Unavailable` if it is one."""
        self.answer(reply.status)
        if reply.status == UNAVAILABLE:
            raise Unavailable(parse_retry_after(reply.fields.get("retry-after")))
        self.succeeded += 1


class FlakyOutcome(NamedTuple):
    """What came of a run."""

    name: str
    work: Work
    ledger: FlakyLedger
    logs: list[FlakyLog]

    @property
    def succeeded(self) -> int:
        """How many calls came to a good end."""
        return sum(log.succeeded for log in self.logs)

    @property
    def failed(self) -> int:
        """How many calls ended with an error."""
        return sum(log.failed for log in self.logs)

    @property
    def retries(self) -> int:
        """How many requests were no first attempts."""
        return sum(log.answered - log.begun for log in self.logs)

    @property
    def tally(self) -> Tally:
        """The counts of both sides; each retry is planned as it is made."""
        return Tally(
            planned=self.work.calls + max(0, self.retries),
            answered=sum(log.answered for log in self.logs),
            arrived=len(self.ledger.arrivals),
            told_no=sum(log.told_no for log in self.logs),
            refused=self.ledger.refused,
        )


def run_flaky(
    retrying: Retrying,
    plan: FlakyPlan,
    loops: Iterable[str],
    *,
    seconds: float,
    port: int,
    look: Callable[[FlakyOutcome], object],
) -> FlakyOutcome:
    """Make the calls of *plan*, retried by *retrying*, and say what came of it.

    Args:
        retrying: What each call goes through.
        plan: How many calls, and when the server goes bad.
        loops: Which event loops there are beside threads.
        seconds: How long it should take. Soon afterwards no more calls are begun.
        port: Where the server listens; 0 for any free port.
        look: Called many times a second with what is known so far. What it raises ends
            the run, and everything that belongs to it.

    Returns:
        What is known when all clients are done.
    """
    work = Work(plan.calls)
    ledger = FlakyLedger(bad_from=plan.bad_from)
    logs = {
        world: [FlakyLog(work) for _ in range(CLIENTS_PER_WORLD)]
        for world in (THREADS, *loops)
    }
    flat = [log for world in logs.values() for log in world]
    outcome = FlakyOutcome(retrying.name, work, ledger, flat)
    with serving(ledger, port=port) as opened:
        in_thread = partial(_call_in_thread, retrying, opened)
        in_task = partial(_call_in_task, retrying, opened)
        crew = Crew(
            [partial(in_thread, log) for log in logs.pop(THREADS)],
            {loop: [partial(in_task, log) for log in logs[loop]] for loop in logs},
        )
        see_through(crew, work, look=lambda: look(outcome), seconds=seconds)
    return outcome


def _call_in_thread(retrying: Retrying, port: int, log: FlakyLog) -> None:
    def attempt() -> None:
        log.take_in(client.get())

    with thread_client(port) as client:
        while log.begin():
            try:
                retrying.in_thread(attempt)
            except Unavailable:
                log.failed += 1


async def _call_in_task(retrying: Retrying, port: int, log: FlakyLog) -> None:
    async def attempt() -> None:
        log.take_in(await client.get())

    async with task_client(port) as client:
        while log.begin():
            try:
                await retrying.in_task(attempt)
            except Unavailable:
                log.failed += 1
