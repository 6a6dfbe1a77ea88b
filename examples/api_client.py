"""A client that keeps two limits of an API, and gives up early when it must.

    python examples/api_client.py

The API allows 50 calls per second and 600 per minute, ten of them at once; here it
is a stand-in that answers after five milliseconds.
"""

from __future__ import annotations

import asyncio
import time

from concutil import RateLimiter, RateLimitExceeded

PATIENCE_S = 0.1

limits = RateLimiter("50/s burst 5", "600/min burst 20", max_concurrent=10, name="api")


class Client:
    """Every method is held to the same limits, whichever thread or loop calls it."""

    @limits
    def fetch(self, path: str) -> str:
        """Fetch from a thread."""
        time.sleep(0.005)
        return f"content of {path}"

    async def fetch_soon(self, path: str) -> str | None:
        """Fetch from a task, or return None if that would take too long."""
        try:
            async with limits.permit(timeout=PATIENCE_S):
                await asyncio.sleep(0.005)
                return f"content of {path}"
        except RateLimitExceeded as error:
            print(f"{path}: not now, perhaps in {error.retry_after:.2f} s")
            return None


async def main() -> None:
    client = Client()
    first = await asyncio.to_thread(client.fetch, "/first")
    print(first)
    found = await asyncio.gather(*(client.fetch_soon(f"/{n}") for n in range(20)))
    print(f"{len(found) - found.count(None)} of {len(found)} came in time")
    print(limits)


if __name__ == "__main__":
    asyncio.run(main())
