"""The fourth part: slow pages that everybody wants at once, and who asks the server.

All clients look for the same page in the same instant, in threads and in tasks, and
find that it isn't there. What then comes to the server is what a cache is about.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from .clients import TaskClient, ThreadClient, task_client, thread_client
from .crew import Crew, Work, see_through
from .heads import Reply
from .plan import StampedePlan
from .server import NOT_OURS, OK, serving
from .traffic import THREADS
from .verdict import Answers

ASKERS_PER_WORLD = 10


class PageLedger:
    """What arrived when; whoever says which page is served."""

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        self.refused = 0  # nobody

    def arrive(self, at: float, fields: Mapping[str, str]) -> Reply:
        """Note an arrival at the time *at*, and return what to answer."""
        if "page" not in fields:
            return NOT_OURS
        self.arrivals.append(at)
        return Reply(OK, {})


class Caching(NamedTuple):
    """What gives the value of a key, or has it computed, in a thread and in a task."""

    name: str
    in_thread: Callable[[str, Callable[[], int]], int]
    in_task: Callable[[str, Callable[[], Awaitable[int]]], Awaitable[int]]


class PageLog:
    """What one client asked for; only that client writes to it."""

    def __init__(self, work: Work, pages: int) -> None:
        self.requested = 0
        self.answered = 0
        self._work = work
        self._pages = [str(page) for page in range(pages)]

    def next_page(self) -> str | None:
        """Return which page to ask for, or None if there is none left."""
        if len(self._pages) > 0 and self._work.take():
            return self._pages.pop(0)
        return None

    def take_in(self, reply: Reply) -> int:
        """Note the answer to a request, and return what it says."""
        self.requested += 1
        return reply.status

    def answer(self, status: int) -> None:
        """Note that there is an answer, wherever it comes from."""
        self.answered += status == OK


class StampedeOutcome(NamedTuple):
    """What came of a run."""

    name: str
    work: Work
    ledger: PageLedger
    logs: list[PageLog]

    @property
    def tally(self) -> Answers:
        """The counts of both sides."""
        return Answers(
            planned=self.work.calls,
            answered=sum(log.answered for log in self.logs),
            requested=sum(log.requested for log in self.logs),
            arrived=len(self.ledger.arrivals),
        )


def run_stampede(
    caching: Caching,
    plan: StampedePlan,
    loops: Iterable[str],
    *,
    seconds: float,
    port: int,
    look: Callable[[StampedeOutcome], object],
) -> StampedeOutcome:
    """Have all clients ask for the pages of *plan*, and say what came of it.

    Args:
        caching: What each asks.
        plan: How many pages, and how slow they are.
        loops: Which event loops there are beside threads.
        seconds: How long it should take. Soon afterwards nobody asks any more.
        port: Where the server listens; 0 for any free port.
        look: Called many times a second with what is known so far. What it raises ends
            the run, and everything that belongs to it.

    Returns:
        What is known when all clients are done.
    """
    worlds = [THREADS, *loops]
    work = Work(len(worlds) * ASKERS_PER_WORLD * plan.pages)
    logs = {
        world: [PageLog(work, plan.pages) for _ in range(ASKERS_PER_WORLD)]
        for world in worlds
    }
    ledger = PageLedger()
    flat = [log for world in logs.values() for log in world]
    outcome = StampedeOutcome(caching.name, work, ledger, flat)
    with serving(ledger, port=port, answer_s=plan.answer_s) as opened:
        in_thread = partial(_ask_in_thread, caching, opened)
        in_task = partial(_ask_in_task, caching, opened)
        crew = Crew(
            [partial(in_thread, log) for log in logs.pop(THREADS)],
            {loop: [partial(in_task, log) for log in logs[loop]] for loop in logs},
        )
        see_through(crew, work, look=lambda: look(outcome), seconds=seconds)
    return outcome


def _ask_in_thread(caching: Caching, port: int, log: PageLog) -> None:
    def fetch(client: ThreadClient, page: str) -> int:
        return log.take_in(client.get({"Page": page}))

    with thread_client(port) as client:
        while (page := log.next_page()) is not None:
            log.answer(caching.in_thread(page, partial(fetch, client, page)))


async def _ask_in_task(caching: Caching, port: int, log: PageLog) -> None:
    async def fetch(client: TaskClient, page: str) -> int:
        return log.take_in(await client.get({"Page": page}))

    async with task_client(port) as client:
        while (page := log.next_page()) is not None:
            log.answer(await caching.in_task(page, partial(fetch, client, page)))
