"""Clients in threads and in the tasks of event loops, started and seen through."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from anyio.from_thread import start_blocking_portal

from .._errors import ConcutilError
from .._runtime import clock

_LOOK_S = 0.05
# What slow starts and busy machines get beyond the planned time, then what clients get
# to end once they were told to.
_PATIENCE_S, _GRACE_S = 2.0, 2.0


class TrafficError(ConcutilError):
    """The requests could not be made as planned."""


InThread = Callable[[], None]
InTask = Callable[[], Coroutine[Any, Any, None]]


class Crew(NamedTuple):
    """What each client does from its beginning to its end."""

    threads: Sequence[InThread]
    tasks: Mapping[str, Sequence[InTask]]  # by the name of the event loop


class Work:
    """So many calls, for whoever comes.

    Args:
        calls: How many.
    """

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self._left = calls
        self._stopped = False
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take one call, or return False if there is none left."""
        with self._lock:
            taken = self._left > 0
            self._left -= taken
        return taken

    def put_back(self) -> None:
        """Give back a call that was taken, to be made once more."""
        with self._lock:
            self._left += not self._stopped

    def stop(self) -> None:
        """Leave nothing to take."""
        with self._lock:
            self._stopped = True
            self._left = 0


def see_through(
    crew: Crew, work: Work, *, look: Callable[[], object], seconds: float
) -> None:
    """Have all clients of *crew* do their *work*, and return when they have ended.

    Args:
        crew: The clients.
        work: What they take their calls from.
        look: Called many times a second. What it raises ends the run, and everything
            that belongs to it.
        seconds: How long they should take. Soon afterwards no more calls are begun.

    Raises:
        TrafficError: If a client fails, or waits although its time is long over.
    """
    with _started(crew, work) as clients:
        _watch(clients, work, look, seconds=seconds)


@contextmanager
def _started(crew: Crew, work: Work) -> Generator[set[Future[None]], None, None]:
    """Start all clients, give their futures, and see that they end with the block."""
    with ExitStack() as stack:
        start_thread = stack.enter_context(_threads())
        # Runs before the threads are joined: they end when nothing is left to take.
        stack.callback(work.stop)
        portals = {
            world: stack.enter_context(
                start_blocking_portal(world, name=f"concutil-demo-{world}")
            )
            for world in crew.tasks
        }
        futures = {start_thread(client) for client in crew.threads}
        for world, portal in portals.items():
            futures.update(map(portal.start_task_soon, crew.tasks[world]))
        yield futures


def _watch(
    clients: set[Future[None]],
    work: Work,
    look: Callable[[], object],
    *,
    seconds: float,
) -> None:
    last_call_at = clock.monotonic() + max(0.0, seconds + _PATIENCE_S)
    while clients:
        done, clients = wait(clients, timeout=_LOOK_S, return_when=FIRST_EXCEPTION)
        for client in done:
            if (exc := client.exception()) is not None:
                raise TrafficError(f"a client of the demo failed: {exc!r}") from exc
        look()
        late = clock.monotonic() - last_call_at
        if late > _GRACE_S:
            raise TrafficError(f"{len(clients)} clients still wait to be let in")
        if late > 0:
            work.stop()


@contextmanager
def _threads() -> Generator[Callable[[InThread], Future[None]], None, None]:
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
