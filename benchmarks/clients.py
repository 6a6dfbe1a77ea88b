"""Clients that enter a limiter, leave it and come back at once, until time is up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from side_by_side import peer

Block = AbstractContextManager[Any]
AsyncBlock = AbstractAsyncContextManager[Any]
Task = Callable[[], Coroutine[Any, Any, None]]

trio = peer("trio")


class Client:
    """One thread or task that calls as often as it is let, and counts its calls."""

    def __init__(self, end: float) -> None:
        self.end = end  # by time.monotonic
        self.calls = 0

    def in_a_thread(self, limiter: Block) -> None:
        """Call until the end."""
        while time.monotonic() < self.end:
            with limiter:
                self.calls += 1

    async def in_a_task(self, limiter: AsyncBlock) -> None:
        """Call until the end, in a task of any event loop."""
        while time.monotonic() < self.end:
            async with limiter:
                self.calls += 1


class Crowd:
    """So many clients, which start now and call for so many seconds."""

    def __init__(self, number: int, seconds: float) -> None:
        self._start = time.monotonic()
        self.clients = [Client(self._start + seconds) for _ in range(number)]

    def rate(self) -> float:
        """Return how many calls per second they made, all having ended now."""
        calls = sum(client.calls for client in self.clients)
        return calls / (time.monotonic() - self._start)


def run_threads(targets: list[Callable[[], object]]) -> None:
    """Run each of *targets* in a thread of its own, and wait for them all."""
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def run_asyncio_tasks(tasks: list[Task]) -> None:
    """Run *tasks* in this asyncio loop, and wait for them all."""
    await asyncio.gather(*[task() for task in tasks])


async def run_trio_tasks(tasks: list[Task]) -> None:
    """Run *tasks* in this trio run, and wait for them all."""
    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(task)
