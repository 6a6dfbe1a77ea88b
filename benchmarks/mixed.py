"""One limiter for four threads, two asyncio loops and a trio run, all at once.

    python benchmarks/mixed.py [--quick]

Every world has four clients that come back at once: each should get its share of
5,000/s, and the limit should be reached and kept. Then once more with a loop that
stands still for a second, as one does when a task blocks it: nobody else should lose
by that. There is no peer: no other limiter may be shared by these worlds.

The instant of each grant is written down where it is decided, under the limiter's lock:
a client's own clock would tell when the client got round to running. The exit status
is 1 if any window of any length had more grants than the limiter promises.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from math import inf

from clients import Crowd, run_asyncio_tasks, run_threads, run_trio_tasks
from side_by_side import Cell, peer, print_head, print_table, wants_quick

from concutil import Rate, RateLimiter
from concutil._core.admission import Admission

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

RATE_PER_S = 5_000
BURST_CALLS = 1
SLACK_S = 0.01
CLIENTS_COUNT = 4  # in every world
ROUNDING_DIGITS = 3  # sums of floats may be wrong by less than such a part of a call

World = Callable[[RateLimiter, Crowd], None]

trio = peer("trio")


class Recorded(Admission):
    """An admission that writes down the instant of every grant."""

    __slots__ = ("_booked", "grants")
    _booked: int
    grants: list[float]

    @property
    def booked(self) -> int:
        """How many were let in: it is counted up where a grant is decided."""
        return self._booked

    @booked.setter
    @override
    def booked(self, number: int) -> None:
        if number == 0:
            self.grants = []
        elif number > self._booked:
            self.grants.append(self._last)  # never before the one before it
        self._booked = number


def recorded_limiter() -> tuple[RateLimiter, Recorded]:
    rate = Rate(RATE_PER_S, burst=BURST_CALLS)
    limiter = RateLimiter(rate, slack=SLACK_S)
    record = Recorded.of([rate], None, SLACK_S)
    assert isinstance(record, Recorded)
    limiter._gate.admission = record  # noqa: SLF001 - only there a grant has a time
    return limiter, record


def excess(grants: list[float]) -> float:
    """Return by how many calls the fullest of all windows is above its bound.

    A window from grant i to grant j may hold burst + rate * (w + slack) of them. As j
    goes on, one number stands for all i before it, so this takes one pass.
    """
    worst = room = -inf
    for i, at in enumerate(grants):
        spent = i - RATE_PER_S * (at - grants[0])
        room = max(room, -spent)
        worst = max(worst, spent + 1 + room)
    return worst - BURST_CALLS - RATE_PER_S * SLACK_S


def in_threads(limiter: RateLimiter, crowd: Crowd) -> None:
    run_threads([partial(client.in_a_thread, limiter) for client in crowd.clients])


def in_asyncio(limiter: RateLimiter, crowd: Crowd, *, stands_still: float = 0) -> None:
    async def main() -> None:
        if stands_still:
            loop = asyncio.get_running_loop()
            loop.call_later(stands_still, time.sleep, stands_still)
        await run_asyncio_tasks([
            partial(it.in_a_task, limiter) for it in crowd.clients
        ])

    asyncio.run(main())


def in_trio(limiter: RateLimiter, crowd: Crowd) -> None:
    trio.run(run_trio_tasks, [partial(it.in_a_task, limiter) for it in crowd.clients])


def worlds(stands_still: float) -> dict[str, World]:
    result: dict[str, World] = {
        "4 threads": in_threads,
        "an asyncio loop": in_asyncio,
        "another one": partial(in_asyncio, stands_still=stands_still),
    }
    if trio is not None:
        result["a trio run"] = in_trio
    return result


def run_together(
    limiter: RateLimiter, some: dict[str, World], seconds: float
) -> dict[str, list[int]]:
    """Return how many calls each client of each world made in so many seconds."""
    start = threading.Barrier(len(some))
    calls: dict[str, list[int]] = {}

    def live(name: str, world: World) -> None:
        start.wait()
        crowd = Crowd(CLIENTS_COUNT, seconds)
        world(limiter, crowd)
        calls[name] = [client.calls for client in crowd.clients]

    run_threads([partial(live, name, world) for name, world in some.items()])
    return {name: calls[name] for name in some}


def show(title: str, seconds: float, stands_still: float) -> bool:
    """Print what each world got, and return whether the limit was kept."""
    limiter, record = recorded_limiter()
    cpu = time.process_time()
    calls = run_together(limiter, worlds(stands_still), seconds)
    cpu = time.process_time() - cpu
    grants = record.grants
    assert len(grants) == limiter.stats().granted
    took = grants[-1] - grants[0]
    fair = sum(map(sum, calls.values())) / len(calls)
    rows: list[tuple[Cell, ...]] = [
        (name, f"{sum(it) / took:,.0f}", sum(it) / fair, f"{min(it)} .. {max(it)}")
        for name, it in calls.items()
    ]
    share = len(grants) / took / RATE_PER_S
    rows.append(("all", f"{len(grants) / took:,.0f}", "", ""))
    print_table(title, ("", "calls/s", "/ fair share", "a client's calls"), rows)
    over = round(excess(grants), ROUNDING_DIGITS) + 0.0  # no -0.0
    print(f"    {share:.3f} of {RATE_PER_S:,}/s; {cpu / took:.2f} cores taken")
    print(f"    the fullest window is {over:.{ROUNDING_DIGITS}f} calls above its bound")
    return over <= 0


def main() -> int:
    second = 0.05 if wants_quick(__doc__) else 1.0
    print_head(__doc__, "trio")
    seconds = 3 * second
    kept = [
        show(f"All run, for {seconds:g} s", seconds, 0),
        show(f"One loop stands still for {second:g} s of them", seconds, second),
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
