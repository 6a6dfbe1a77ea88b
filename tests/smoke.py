"""A first use of the installed package, with nothing but what it depends on.

python -I tests/smoke.py
"""

from __future__ import annotations

import importlib.util
import threading
from importlib.metadata import version

import anyio

import concutil

BACKENDS = [name for name in ("asyncio", "trio") if importlib.util.find_spec(name)]
CALLS = 5


def share_one_limiter() -> concutil.LimiterStats:
    """Use one limiter from a thread and from every backend at once."""
    limiter = concutil.RateLimiter("1000/s", max_concurrent=1)

    def call() -> None:
        for _ in range(CALLS):
            with limiter:
                assert limiter.stats().in_flight == 1

    async def acall() -> None:
        for _ in range(CALLS):
            async with limiter:
                assert limiter.stats().in_flight == 1

    threads = [threading.Thread(target=call)]
    for backend in BACKENDS:
        runner = {"backend": backend}
        threads.append(threading.Thread(target=anyio.run, args=[acall], kwargs=runner))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return limiter.stats()


def main() -> None:
    """Load every name, and see that one limiter serves all worlds."""
    for name in concutil.__all__:
        getattr(concutil, name)
    stats = share_one_limiter()

    assert version("concutil") == concutil.__version__
    assert (stats.granted, stats.in_flight) == (CALLS * (1 + len(BACKENDS)), 0)


if __name__ == "__main__":
    main()
