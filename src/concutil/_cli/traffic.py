"""Real requests from threads, asyncio and trio at once, through what limits them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    ExitStack,
    contextmanager,
)
from functools import partial
from typing import NamedTuple, Protocol

from anyio.from_thread import start_blocking_portal

from .._errors import ConcutilError
from .._runtime import clock
from .clients import task_client, thread_client
from .server import TOO_MANY_REQUESTS, Ledger, serving
from .verdict import Grant, Tally

THREADS = "threads"
CLIENTS_PER_WORLD = 4

_LOOK_S = 0.05
# What slow starts and busy machines get beyond the planned time, then what clients get
# to end once they were told to.
_PATIENCE_S, _GRACE_S = 2.0, 2.0


class TrafficError(ConcutilError):
    """The requests could not be made as planned."""


class Waited(Protocol):
    """What a limiter may hand to those it lets in."""

    @property
    def waited(self) -> float:
        """How many seconds passed between asking and the grant."""
        ...


ThreadGate = Callable[[], AbstractContextManager[Waited | None]]
StartThread = Callable[[Callable[[], None]], Future[None]]
TaskGate = Callable[[], AbstractAsyncContextManager[Waited | None]]


class Contender(NamedTuple):
    """What the requests go through: each call of a gate gives a block to enter."""

    name: str
    threads: ThreadGate
    tasks: Mapping[str, TaskGate]  # by the name of the event loop


class Work:
    """So many calls, for whoever comes.

    Args:
        calls: How many.
    """

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self._left = calls
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take one call, or return False if there is none left."""
        with self._lock:
            taken = self._left > 0
            self._left -= taken
        return taken

    def stop(self) -> None:
        """Leave nothing to take."""
        with self._lock:
            self._left = 0


class Log:
    """What one client did; only that client writes to it."""

    def __init__(self, work: Work) -> None:
        self.answered = 0
        self.told_429 = 0
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
        self.told_429 += status == TOO_MANY_REQUESTS


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
            told_429=sum(log.told_429 for log in logs),
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
    with (
        serving(ledger, port=port) as opened,
        _clients(contender, outcome, opened) as clients,
    ):
        _see_through(clients, outcome, look, seconds=seconds)
    return outcome


@contextmanager
def _clients(
    contender: Contender, outcome: Outcome, port: int
) -> Generator[set[Future[None]], None, None]:
    """Start all clients, give their futures, and see that they end with the block."""
    with ExitStack() as stack:
        start_thread = stack.enter_context(_threads())
        # Runs before the threads are joined: they end when nothing is left to take.
        stack.callback(outcome.work.stop)
        portals = {
            world: stack.enter_context(
                start_blocking_portal(world, name=f"concutil-demo-{world}")
            )
            for world in contender.tasks
        }
        futures = {
            start_thread(partial(_call_in_thread, contender.threads, port, log))
            for log in outcome.logs[THREADS]
        }
        for world, portal in portals.items():
            for log in outcome.logs[world]:
                gate = contender.tasks[world]
                futures.add(portal.start_task_soon(_call_in_task, gate, port, log))
        yield futures


def _call_in_thread(gate: ThreadGate, port: int, log: Log) -> None:
    with thread_client(port) as client:
        while log.ask():
            with gate() as permit:
                log.enter(permit)
                log.answer(client.get())


async def _call_in_task(gate: TaskGate, port: int, log: Log) -> None:
    async with task_client(port) as client:
        while log.ask():
            async with gate() as permit:
                log.enter(permit)
                log.answer(await client.get())


def _see_through(
    clients: set[Future[None]],
    outcome: Outcome,
    look: Callable[[Outcome], object],
    *,
    seconds: float,
) -> None:
    """Wait for all clients, as long as there is hope.

    Args:
        clients: Their futures.
        outcome: What they work on.
        look: Called with the outcome again and again.
        seconds: How long they should take.

    Raises:
        TrafficError: If a client fails, or waits although its time is long over.
    """
    last_call_at = clock.monotonic() + seconds + _PATIENCE_S
    while clients:
        done, clients = wait(clients, timeout=_LOOK_S, return_when=FIRST_EXCEPTION)
        for client in done:
            if (exc := client.exception()) is not None:
                raise TrafficError(f"a client of the demo failed: {exc!r}") from exc
        look(outcome)
        late = clock.monotonic() - last_call_at
        if late > _GRACE_S:
            raise TrafficError(f"{len(clients)} clients still wait to be let in")
        if late > 0:
            outcome.work.stop()


@contextmanager
def _threads() -> Generator[StartThread, None, None]:
    """Give a function that starts threads, and join them after the block."""
    threads: list[threading.Thread] = []

    def start(run: Callable[[], None]) -> Future[None]:
        future: Future[None] = Future()
        thread = threading.Thread(
            target=_settle,
            args=(future, run),
            name=f"concutil-demo-thread-{len(threads)}",
            daemon=True,  # noqa: HC11 - a limiter that lets nobody in must not hang us
        )
        threads.append(thread)
        thread.start()
        return future

    try:
        yield start
    finally:
        gone_at = clock.monotonic() + _GRACE_S
        for thread in threads:
            thread.join(max(0.0, gone_at - clock.monotonic()))


def _settle(future: Future[None], run: Callable[[], None]) -> None:
    try:
        run()
    except Exception as exc:  # noqa: BLE001  # whoever watches the future raises it
        future.set_exception(exc)
    else:
        future.set_result(None)
