"""A keyed limiter in many threads and event loops, forked, and under pressure."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import anyio
import pytest
import trio

from concutil import KeyedRateLimiter, RateLimitExceeded
from concutil.testing import ManualClock, cancelled_at
from patience import eventually, threads

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
# A child of a program with threads is what these tests are about.
forks = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")


@pytest.fixture
def hurry() -> Iterator[None]:
    """Let threads take turns as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hurry")
def test_threads_together_get_what_a_key_allows() -> None:
    """By blocks and permits, asleep and awake, exactly the burst of each is granted."""
    limiters, granted = KeyedRateLimiter("1/h burst 40", slack=0), Counter[int]()
    lock, blocks_done = threading.Lock(), threading.Barrier(4, timeout=10)

    def client() -> None:
        mine = Counter[int]()
        for key in range(3):
            view = limiters[key]
            for _ in range(4):
                with view:
                    mine[key] += 1
                mine[key] += view.try_permit() is not None
        blocks_done.wait()
        for key in range(3):
            while limiters[key].try_permit() is not None:
                mine[key] += 1
        with lock:
            granted.update(mine)

    with threads(*[client] * 4):
        pass

    assert granted == {0: 40, 1: 40, 2: 40}
    assert [limiters[key].stats().granted for key in range(3)] == [40] * 3


@pytest.mark.slow
@pytest.mark.usefixtures("hurry")
def test_pressure_from_many_threads_resets_nothing() -> None:
    """Only so many keys are let in, each as often as it may, and others refused."""
    clock = ManualClock()
    limiters = KeyedRateLimiter("1/h burst 3", slack=0, clock=clock, max_keys=20)
    granted: list[int] = []
    most: list[int] = []

    def client(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(1_000):
            key = draw.randrange(60)
            try:
                with limiters[key].permit(timeout=0):
                    granted.append(key)
            except RateLimitExceeded:
                most.append(len(limiters))

    with threads(*[lambda seed=seed: client(seed) for seed in range(4)]):
        pass

    assert sorted(Counter(granted).values()) == [3] * 20
    assert max(most) == 20
    clock.advance(3 * 3_600)
    for key in range(100, 120):
        assert limiters[key].try_permit() is not None


@pytest.mark.slow
@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("limits", [["500/s"], []])
def test_places_hold_while_keys_come_and_go(limits: list[str]) -> None:
    """Never two are inside for a key, though it is forgotten and comes again."""
    limiters = KeyedRateLimiter(*limits, max_concurrent=1, max_keys=6)
    inside: Counter[int] = Counter()
    peak: list[int] = []
    lock = threading.Lock()

    def client(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(100):
            key = draw.randrange(8)
            try:
                with limiters[key]:
                    with lock:
                        inside[key] += 1
                        peak.append(inside[key])
                    with lock:
                        inside[key] -= 1
            except RateLimitExceeded:
                assert len(limiters) <= 6

    with threads(*[lambda seed=seed: client(seed) for seed in range(4)]):
        pass

    assert max(peak) == 1
    assert [limiters[key].stats().in_flight for key in range(8)] == [0] * 8


def test_the_queue_of_a_key_is_one_across_worlds() -> None:
    """Who came first is let in first, whatever it is."""
    limiters, order = KeyedRateLimiter(max_concurrent=1), []

    async def task(name: str) -> None:
        async with limiters["a"]:
            order.append(name)

    def thread() -> None:
        with limiters["a"]:
            order.append("thread")

    kinds: dict[str, Callable[[], None]] = {
        "thread": thread,
        "asyncio": lambda: asyncio.run(task("asyncio")),
        "trio": lambda: trio.run(task, "trio"),
    }
    names = ["asyncio", "thread", "trio", "thread", "trio", "asyncio"]
    view = limiters["a"]
    view.__enter__()
    workers = []
    for started, name in enumerate(names, 1):
        workers.append(threading.Thread(target=kinds[name]))
        workers[-1].start()
        eventually(lambda n=started: view.stats().waiting == n)  # called at once
    view.__exit__(None, None, None)
    for worker in workers:
        worker.join(10)

    assert order == names


@pytest.mark.anyio
@pytest.mark.parametrize("limits", [["1/s"], [], ["3/9s exact"]])
async def test_cancelled_anywhere_nothing_is_left(limits: list[str]) -> None:
    """Cancelled at its first, second, third suspension, a block leaves its key free."""
    clock = ManualClock()

    async def enter() -> None:
        async with limiters["a"]:
            await anyio.lowlevel.checkpoint()

    point, cancelled = 1, True
    while cancelled:
        limiters = KeyedRateLimiter(
            *limits, slack=0, clock=clock, max_concurrent=1, max_keys=1
        )
        cancelled = await cancelled_at(point, enter)
        stats = limiters["a"].stats()
        assert (stats.waiting, stats.in_flight) == (0, 0)
        clock.advance(9)
        async with limiters["b"].permit(timeout=0):  # there is room, so a is gone
            pass
        clock.advance(9)
        point += 1
    assert point > 2


@pytest.mark.anyio
async def test_a_loop_that_needn_t_wait_lets_others_run() -> None:
    """Tasks that enter without a wait still yield at least every 10 ms."""
    limiters, stop = KeyedRateLimiter("1000000/s burst 1000000"), False

    async def other() -> None:
        nonlocal stop
        stop = True

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        while not stop:
            async with limiters["a"]:
                pass
    before = limiters["a"].stats().granted
    for _ in range(100):
        async with limiters["a"]:
            pass
    assert limiters["a"].stats().granted == before + 100


def in_child(check: Callable[[], bool]) -> bool:
    """Return what *check* returns in a forked child."""
    pid = os.fork()
    if pid == 0:
        result = False
        try:
            result = check()
        finally:
            os._exit(not result)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@needs_fork
@forks
def test_a_child_finds_nobody_inside_or_waiting() -> None:
    """After a fork all keys work, what was spent is spent, and old permits are void."""
    limiters = KeyedRateLimiter("1/h burst 2", max_concurrent=2, max_keys=2)
    old = limiters["a"].permit().wait()
    inside = limiters["b"]

    def check() -> bool:
        fresh = [limiters[key].stats().in_flight for key in "ab"]
        old.refund()
        old.release()
        inside.__exit__(None, None, None)
        spent = limiters["a"].try_permit(2) is None
        with limiters["a"]:
            now = limiters["a"].stats().in_flight
        full = limiters["c"].try_permit() is None
        return (fresh, spent, now, full) == ([0, 0], True, 1, True)

    with inside, limiters["b"]:
        assert in_child(check)
        assert inside.stats().in_flight == 2
    old.release()
    assert limiters["a"].stats().in_flight == 0


@needs_fork
@forks
def test_locks_held_by_other_threads_don_t_stop_the_child() -> None:
    """A fork while another thread holds every lock leaves a usable child."""
    limiters = KeyedRateLimiter("1/h burst 2")
    with limiters["a"]:
        shard, held, go = limiters["a"]._shard, threading.Event(), threading.Event()

    def hold() -> None:
        with shard._lock, limiters._shards._lock:
            shard.ledger._free.append(0.0)  # in the middle of adding a key
            held.set()
            go.wait(10)
            shard.ledger._mend()

    def check() -> bool:
        with limiters["a"], limiters["b"]:
            return limiters["a"].try_permit() is None and len(limiters) == 2

    with threads(hold):
        held.wait(10)
        assert in_child(check)
        go.set()
