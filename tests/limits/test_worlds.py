"""One limiter for threads, asyncio loops and a trio run, all at the same time."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import anyio.lowlevel
import pytest
import trio

from admission_model import excess
from concutil import Rate, RateLimiter
from concutil._core.buckets import Gcra
from concutil._core.cost import ONE
from concutil.testing import ManualClock
from patience import eventually, threads

WORLDS = ["thread", "thread", "asyncio", "asyncio", "trio"]


class Inside:
    """Who is inside a limiter, and how many were at most."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = 0
        self.peak = 0
        self.entries: Counter[str] = Counter()

    def note(self, step: int, name: str = "") -> None:
        with self.lock:
            self.now += step
            self.peak = max(self.peak, self.now)
            if name:
                self.entries[name] += 1


def client(world: str, limiter: RateLimiter, inside: Inside, times: int) -> None:
    """Enter *limiter* so many times from two tasks of a loop, or from this thread."""

    async def task() -> None:
        for _ in range(times // 2):
            async with limiter:
                inside.note(1, world)
                await anyio.lowlevel.checkpoint()
                inside.note(-1)

    async def on_asyncio() -> None:
        await asyncio.gather(task(), task())

    async def on_trio() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(task)
            nursery.start_soon(task)

    if world == "asyncio":
        asyncio.run(on_asyncio())
    elif world == "trio":
        trio.run(on_trio)
    else:
        for _ in range(times):
            with limiter:
                inside.note(1, world)
                inside.note(-1)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 2])
def test_places_are_shared_by_all_worlds(limit: int) -> None:
    """Never more than the limit are inside, and everybody gets through."""
    limiter, inside = RateLimiter(max_concurrent=limit), Inside()
    with threads(*[lambda w=world: client(w, limiter, inside, 60) for world in WORLDS]):
        pass

    assert inside.peak <= limit
    assert inside.entries == {"thread": 120, "asyncio": 120, "trio": 60}
    assert (limiter.stats().in_flight, limiter.stats().waiting) == (0, 0)


@pytest.mark.slow
def test_a_rate_is_shared_by_all_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound holds for the times of the grants, in every window."""
    grants, take = [], Gcra.take

    def recorded(self: Gcra, amount: float, now: float) -> float:
        grants.append((now, amount))
        return take(self, amount, now)

    monkeypatch.setattr(Gcra, "take", recorded)
    rate = Rate(2000, burst=3)
    limiter, inside = RateLimiter(rate, slack=0.005), Inside()
    with threads(*[lambda w=world: client(w, limiter, inside, 60) for world in WORLDS]):
        pass

    assert len(grants) == inside.entries.total() == 300
    assert -20 < excess(grants, rate, 0.005) <= 1e-6


def test_the_queue_is_one_across_worlds() -> None:
    """Who came first is let in first, whatever it is."""
    limiter, order = RateLimiter(max_concurrent=1), []
    started = 0

    async def task(name: str) -> None:
        async with limiter:
            order.append(name)

    def thread() -> None:
        with limiter:
            order.append("thread")

    kinds = {
        "thread": thread,
        "asyncio": lambda: asyncio.run(task("asyncio")),
        "trio": lambda: trio.run(task, "trio"),
    }
    names = ["asyncio", "thread", "trio", "thread", "trio", "asyncio"]
    limiter.__enter__()
    workers = []
    for started, name in enumerate(names, 1):
        workers.append(threading.Thread(target=kinds[name]))
        workers[-1].start()
        eventually(lambda n=started: limiter.stats().waiting == n)
    limiter.__exit__(None, None, None)
    for worker in workers:
        worker.join(10)

    assert order == names


def test_one_manual_clock_moves_all_worlds() -> None:
    """Whoever waits for the clock's time goes on when it comes, in any world."""
    clock = ManualClock()
    limiter, inside = RateLimiter("1/min", slack=0, clock=clock), Inside()
    limiter.__enter__()
    with threads(*[lambda w=world: client(w, limiter, inside, 2) for world in WORLDS]):
        for granted in range(2, 12):
            eventually(
                lambda: (
                    limiter.stats().waiting
                    and limiter._gate.read(lambda core, _: core.due(ONE)) > clock.now()
                )
            )
            clock.advance(60)
            eventually(lambda n=granted: limiter.stats().granted == n)

    assert inside.entries.total() == 10


@pytest.mark.slow
def test_a_blocked_loop_delays_nobody_else() -> None:
    """While one loop hangs, threads behind its waiters get what the rate gives."""
    limiter, hang = RateLimiter("200/s", slack=0), threading.Event()
    hung = threading.Event()

    async def main() -> None:
        async def enter() -> None:
            async with limiter:
                pass

        tasks = [asyncio.create_task(enter()) for _ in range(5)]
        await asyncio.sleep(0)
        hung.set()
        hang.wait(10)
        await asyncio.gather(*tasks)

    def thread() -> None:
        hung.wait(10)
        for _ in range(10):
            with limiter:
                pass
        hang.set()

    with threads(lambda: asyncio.run(main()), thread):
        pass

    assert limiter.stats().granted == 15


def test_one_pause_holds_all_worlds() -> None:
    """Who comes while it is paused waits to its end, in a thread as in either loop."""
    clock = ManualClock()
    limiter, inside = RateLimiter(max_concurrent=20, clock=clock), Inside()
    limiter.pause(30)
    with threads(*[lambda w=world: client(w, limiter, inside, 2) for world in WORLDS]):
        eventually(lambda: limiter.stats().waiting == 8)
        clock.advance(20)
        limiter.pause(20)  # while they wait, beyond the first
        clock.advance(10)
        assert (limiter.stats().waiting, limiter.stats().granted) == (8, 0)
        clock.advance(9.9)
        assert (limiter.stats().waiting, limiter.stats().granted) == (8, 0)
        clock.advance(0.1)

    assert inside.entries == {"thread": 4, "asyncio": 4, "trio": 2}
