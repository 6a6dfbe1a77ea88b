"""A client of a server that fails: retries within a budget, and a pause for everybody.

    python examples/retrying_client.py

The server is a stand-in. It loses one request in seven, and is overloaded once: then
it answers 503 to whoever asks within the next second, and says when to come back.
"""

from __future__ import annotations

import asyncio
import time

from concutil import RateLimiter, RetryBudget, parse_retry_after, retry
from concutil.events import Event, RetryScheduled, subscribe

OVERLOADED_AT = 20


class OverloadedError(Exception):
    """The server answered 503."""

    def __init__(self, retry_after: str) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


def wait_for(error: Exception) -> float | bool:
    """Say after how many seconds to try again, or whether at all."""
    if isinstance(error, OverloadedError):
        asked = parse_retry_after(error.retry_after)
        return True if asked is None else min(asked, 60)
    return isinstance(error, ConnectionError)


limits = RateLimiter("100/s", max_concurrent=10, name="api")
policy = retry(
    wait_for, attempts=4, timeout=10, limiter=limits, budget=RetryBudget(), name="api"
)


class StandIn:
    """It answers after five milliseconds, if at all."""

    def __init__(self) -> None:
        self.requests = 0
        self.in_vain = 0
        self.overloaded_until = 0.0

    @policy
    async def fetch(self, path: str) -> str:
        """Make a request, which may be repeated."""
        self.requests += 1
        number = self.requests
        await asyncio.sleep(0.005)
        if number == OVERLOADED_AT:
            self.overloaded_until = time.monotonic() + 1
        if time.monotonic() < self.overloaded_until:
            self.in_vain += 1
            raise OverloadedError("1")
        if number % 7 == 0:
            raise ConnectionResetError(path)
        return f"content of {path}"


async def main() -> None:
    server = StandIn()
    retries: list[Event] = []

    def count(event: Event) -> None:
        if isinstance(event, RetryScheduled):
            retries.append(event)

    began = time.monotonic()
    with subscribe(count):
        found = await asyncio.gather(*(server.fetch(f"/{n}") for n in range(60)))
    seconds = time.monotonic() - began
    print(f"{len(found)} calls in {seconds:.1f} s, {server.requests} requests")
    print(f"{server.in_vain} of them while the server was overloaded")
    print(f"{len(retries)} retries: {policy}")


if __name__ == "__main__":
    asyncio.run(main())
