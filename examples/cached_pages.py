"""Pages that many want at once: one request for each, in threads and in tasks.

    python examples/cached_pages.py

The server is a stand-in that takes its time. Its pages are fresh for a minute, and for
ten more they are served while one caller fetches them anew. A clock that is moved by
hand stands in for that time.
"""

from __future__ import annotations

import asyncio
import time

from concutil import Cache
from concutil.testing import ManualClock

SLOW_S = 0.1
CLIENTS = 20

clock = ManualClock()


def characters(path: str, body: str) -> int:
    """Weigh a page."""
    return len(path) + len(body)


pages: Cache[str, str] = Cache(
    1_000_000,
    weigh=characters,
    ttl=60,
    stale=600,
    name="pages",
    clock=clock,
)


class StandIn:
    """It counts requests, and answers slowly."""

    def __init__(self) -> None:
        self.requests = 0

    def fetch(self, path: str) -> str:
        """Make a request from a thread."""
        self.requests += 1
        time.sleep(SLOW_S)
        return self._body(path)

    async def afetch(self, path: str) -> str:
        """Make a request from a task."""
        self.requests += 1
        await asyncio.sleep(SLOW_S)
        return self._body(path)

    def _body(self, path: str) -> str:
        return f"{path}, request {self.requests}"


def page(server: StandIn, path: str) -> str:
    return pages.get_or_compute(path, lambda: server.fetch(path))


async def apage(server: StandIn, path: str) -> str:
    return await pages.aget_or_compute(path, lambda: server.afetch(path))


async def crowd(server: StandIn, path: str) -> set[str]:
    """Return what threads and tasks get who all want the same page now."""
    tasks = [apage(server, path) for _ in range(CLIENTS)]
    threads = [asyncio.to_thread(page, server, path) for _ in range(CLIENTS)]
    return set(await asyncio.gather(*tasks, *threads))


async def main() -> None:
    server = StandIn()
    for what, seconds in (
        ("nothing is there yet", 0),
        ("a minute later", 61),
        ("all of that is fresh", 0),
        ("it was changed", 0),
    ):
        clock.advance(seconds)
        if what == "it was changed":
            pages.invalidate("/home")
        before = server.requests
        bodies = await crowd(server, "/home")
        print(f"{what:<21} requests: {server.requests - before}", sorted(bodies))
    stats = pages.stats()
    print(
        f"{stats.hits} hits, {stats.computes} computed, {stats.joins} waited for that"
    )
    print(pages)


if __name__ == "__main__":
    asyncio.run(main())
