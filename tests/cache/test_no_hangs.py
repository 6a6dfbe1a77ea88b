"""What could leave somebody waiting for ever: code of keys, no stack left, Ctrl-C."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from concutil import Cache
from concutil._cache import sorting
from concutil._core.lru import Run, Survey
from concutil.testing import ManualClock
from patience import eventually


def fix() -> int:
    """Succeed."""
    return 1


# --- a run or a date may have the last reference to a key, and lets go of it under the
# lock: what its end calls (a finalizer, __del__) may need locks of its own


@pytest.mark.parametrize("ttl", [None, 1000], ids=["run", "date"])
def test_keys_end_when_the_lock_is_free(ttl: float | None) -> None:
    """The finalizer of a key is not called under the lock."""
    clock = ManualClock()
    cache: Cache[object, int] = Cache(40, ttl=ttl, clock=clock)
    locked: list[bool] = []

    class Key:
        def __del__(self) -> None:
            locked.append(cache._store._is_mine())

    key = Key()
    cache[key] = 1  # the least recent of all
    for number in range(39):
        cache[number] = number
    if ttl is None:  # as if something else had been evicted
        cache.get(0)
        sorting.arrange(cache._store.lru, cache._store._lock)
    del cache[key], key
    clock.advance(2000)
    for number in range(100, 103):
        cache[number] = number

    assert locked == [False]


# --- a run of what was used since is made in vain


def test_all_are_used_again_during_each_sort(monkeypatch: pytest.MonkeyPatch) -> None:
    """After four sorts it looks at each; what was least recently used goes."""
    sorts: list[int] = []
    gone: list[int] = []
    cache: Cache[int, int] = Cache(40, on_evict=lambda key, *_: gone.append(key))
    for number in range(40):
        cache[number] = number
    real = sorting.in_order

    def meanwhile(survey: Survey) -> Run:
        sorts.append(len(survey.entries))
        for key in sorted(cache, reverse=True):
            cache.get(key)
        return real(survey)

    monkeypatch.setattr(sorting, "in_order", meanwhile)
    cache[40] = 40
    assert sorts == [40] * 4
    assert gone == [39]
    cache[41] = 41
    assert sorts == [40] * 8
    assert gone == [39, 40]
    monkeypatch.setattr(sorting, "in_order", lambda it: sorts.append(0) or real(it))
    for number in range(42, 52):
        cache[number] = number

    assert sorts[8:] == [0], "one run is enough for many"
    assert gone[2:] == [38, 37, 36, 35, 34, 33, 32, 31, 30, 29]


# --- waking needs some stack; where there is none, whoever comes next does it


@pytest.mark.slow
@pytest.mark.parametrize("world", ["thread", "asyncio", "trio"])
@pytest.mark.parametrize("frames", range(180, 192))
def test_waiters_of_who_has_no_stack_left(world: str, frames: int, calls) -> None:
    """Where a computation ends without the stack to wake others, the next call does."""
    cache: Cache[str, int] = Cache()
    begun: list[int] = []
    opened: list[int] = []

    def compute() -> int:
        begun.append(1)
        while not opened:
            time.sleep(0)  # noqa: HC14 - anything better needs frames
        return 1

    def lead() -> None:
        with suppress(RecursionError):
            below(frames, lambda: cache.get_or_compute("a", compute))

    leader = threading.Thread(target=lead, daemon=True)
    with stack(200):
        leader.start()
        eventually(lambda: begun or not leader.is_alive())
    if not begun:
        return  # too deep already
    flight = cache._store.flights["a"]
    waiter = calls.join(world, cache, "a", lambda: 2)
    with stack(200):
        opened.append(1)
        leader.join(10)
    cache.get_or_compute("b", lambda: 3)
    waiter._thread.join(0.5)
    hangs = waiter._thread.is_alive()
    flight.wake()  # so that it comes to an end

    assert not hangs
    assert waiter.result() in {1, 2}


@contextmanager
def stack(limit: int) -> Iterator[None]:
    """Have Python give up after so many frames."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def below(frames: int, fn: Callable[[], object]) -> object:
    """Call *fn* that many frames down."""
    return fn() if frames == 0 else below(frames - 1, fn)


# --- Ctrl-C between the end of a flight and its wake-ups


class Interrupted:
    """A lock whose block ends with Ctrl-C, when that is armed."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.armed = False

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()
        if self.armed:
            self.armed = False
            raise KeyboardInterrupt

    def acquire(self, *, blocking: bool) -> bool:
        return self.lock.acquire(blocking)

    def release(self) -> None:
        self.lock.release()

    def _is_owned(self) -> bool:
        return self.lock._is_owned()


def test_ctrl_c_before_the_wake_ups(calls) -> None:
    """Who waits is woken all the same."""
    cache: Cache[str, int] = Cache()
    lock = cache._store._lock = Interrupted()

    def compute() -> int:
        lock.armed = True
        return 1

    gate = calls.gate()
    leader = calls.lead("thread", cache, "a", compute, gate)
    flight = cache._store.flights["a"]
    waiter = calls.join("thread", cache, "a", fix)
    gate.open()
    leader.join()
    waiter._thread.join(0.5)
    hangs = waiter._thread.is_alive()
    flight.wake()  # so that it comes to an end

    assert isinstance(leader.error, KeyboardInterrupt)
    assert not hangs
