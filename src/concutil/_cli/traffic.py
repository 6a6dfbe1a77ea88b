"""Real requests from threads, asyncio and trio at once, through what limits them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import partial
from typing import NamedTuple, Protocol

from .._runtime import clock
from .clients import task_client, thread_client
from .crew import Crew, Work, see_through
from .server import OK, Ledger, serving
from .verdict import Grant, Tally

THREADS = "threads"
CLIENTS_PER_WORLD = 4


class Waited(Protocol):
    """What a limiter may hand to those it lets in."""

    @property
    def waited(self) -> float:
        """How many seconds passed between asking and the grant."""
        ...


ThreadGate = Callable[[], AbstractContextManager[Waited | None]]
TaskGate = Callable[[], AbstractAsyncContextManager[Waited | None]]


class Contender(NamedTuple):
    """What the requests go through: each call of a gate gives a block to enter."""

    name: str
    threads: ThreadGate
    tasks: Mapping[str, TaskGate]  # by the name of the event loop


class Log:
    """What one client did; only that client writes to it."""

    def __init__(self, work: Work) -> None:
        self.answered = 0
        self.told_no = 0
        self.grants: list[Grant] = []
        self._work = work
        self._asked = 0.0

    def ask(self) -> bool:
        """Take a call and note the time, or return False if there is none left."""
        if not self._work.take():
            return False
        self._asked = clock.monotonic()
        return True

    def enter(self, permit: Waited | None) -> None:
        """Note that the call was let in, with what its limiter says about that."""
        if permit is not None:
            self.grants.append(Grant(self._asked + permit.waited, clock.monotonic()))

    def answer(self, status: int) -> None:
        """Note the answer to the call."""
        self.answered += 1
        self.told_no += status != OK


class Outcome(NamedTuple):
    """What came of a run."""

    name: str
    work: Work
    ledger: Ledger
    logs: Mapping[str, list[Log]]  # by world

    def answered(self, world: str) -> int:
        """Return how many calls the clients of *world* made."""
        return sum(log.answered for log in self.logs[world])

    @property
    def tally(self) -> Tally:
        """The counts of both sides."""
        logs = [log for world in self.logs.values() for log in world]
        return Tally(
            planned=self.work.calls,
            answered=sum(log.answered for log in logs),
            arrived=len(self.ledger.arrivals),
            told_no=sum(log.told_no for log in logs),
            refused=self.ledger.refused,
        )

    @property
    def grants(self) -> list[Grant]:
        """All that the clients know about when their calls were granted."""
        return [
            grant
            for world in self.logs.values()
            for log in world
            for grant in log.grants
        ]


def run_traffic(
    contender: Contender,
    ledger: Ledger,
    *,
    calls: int,
    seconds: float,
    port: int,
    look: Callable[[Outcome], object],
) -> Outcome:
    """Make *calls* requests to a server of their own, and say what came of it.

    Args:
        contender: What the requests go through.
        ledger: The server's, still empty.
        calls: How many requests.
        seconds: How long they should take. Soon afterwards no more are begun.
        port: Where the server listens; 0 for any free port.
        look: Called many times a second with what is known so far. What it raises ends
            the run, and everything that belongs to it.

    Returns:
        What is known when all clients are done.
    """
    work = Work(calls)
    logs = {
        world: [Log(work) for _ in range(CLIENTS_PER_WORLD)]
        for world in (THREADS, *contender.tasks)
    }
    outcome = Outcome(contender.name, work, ledger, logs)
    with serving(ledger, port=port) as opened:
        crew = Crew(
            [
                partial(_call_in_thread, contender.threads, opened, log)
                for log in logs[THREADS]
            ],
            {
                loop: [partial(_call_in_task, gate, opened, log) for log in logs[loop]]
                for loop, gate in contender.tasks.items()
            },
        )
        see_through(crew, work, look=lambda: look(outcome), seconds=seconds)
    return outcome


def _call_in_thread(gate: ThreadGate, port: int, log: Log) -> None:
    with thread_client(port) as client:
        while log.ask():
            with gate() as permit:
                log.enter(permit)
                log.answer(client.get().status)


async def _call_in_task(gate: TaskGate, port: int, log: Log) -> None:
    async with task_client(port) as client:
        while log.ask():
            async with gate() as permit:
                log.enter(permit)
                log.answer((await client.get()).status)
