"""Virtual threads: one runs at a time, in a fixed order, and waits in no real time."""

from __future__ import annotations

import threading
from _thread import allocate_lock, start_new_thread
from collections.abc import Iterator
from queue import Empty, Queue

import pytest

from concutil import RateLimiter, RateLimitExceeded

from .virtual_threads import Deadlock, VirtualThreads


@pytest.fixture
def threads() -> Iterator[VirtualThreads]:
    with VirtualThreads() as threads:
        yield threads


def test_sleeps_take_no_real_time(threads: VirtualThreads) -> None:
    """A year passes at once, and who sleeps wakes up in the order of the times."""
    log: list[tuple[float, float]] = []

    def sleep(seconds: float) -> None:
        threads.sleep(seconds)
        log.append((seconds, threads.now))

    threads.run(lambda: sleep(3e7), lambda: sleep(0.25), lambda: sleep(3600.0))
    assert log == [(it, it) for it in (0.25, 3600.0, 3e7)]


def test_nobody_is_preempted(threads: VirtualThreads) -> None:
    """A thread goes on until it blocks; whoever was ready first runs then."""
    log: list[str] = []

    def program(name: str) -> None:
        for _ in range(2):
            log.append(name)
            log.append(name)
            threads.sleep(0)

    threads.run(lambda: program("a"), lambda: program("b"), lambda: program("c"))
    assert "".join(log) == "aabbcc" * 2


def test_lock_is_handed_over_in_order(threads: VirtualThreads) -> None:
    """Who waits for a lock gets it in the order of arrival, at the time of release."""
    lock = threading.Lock()
    log: list[tuple[str, float]] = []

    def program(name: str) -> None:
        with lock:
            log.append((name, threads.now))
            threads.sleep(1)

    threads.run(lambda: program("a"), lambda: program("b"), lambda: program("c"))
    assert log == [("a", 0), ("b", 1), ("c", 2)]
    assert not lock.locked()


def test_wait_for_a_lock_ends_in_time(threads: VirtualThreads) -> None:
    """A wait with a timeout ends when that is over, and the lock goes to others."""
    lock = threading.Lock()
    log: list[tuple[bool, float]] = []

    def hold() -> None:
        with lock:
            threads.sleep(5)

    def wait(seconds: float) -> None:
        log.append((lock.acquire(timeout=seconds), threads.now))

    threads.run(hold, lambda: wait(2), lambda: wait(9), lambda: wait(0))
    assert log == [(False, 0), (False, 2), (True, 5)]


def test_lock_released_as_a_wait_ends_is_free(threads: VirtualThreads) -> None:
    """A lock isn't handed to one whose time is up, though it hasn't run yet."""
    lock = threading.Lock()
    lock.acquire()
    log: list[bool] = []

    def release() -> None:
        threads.sleep(1)
        lock.release()

    threads.run(release, lambda: log.append(lock.acquire(timeout=1)))
    assert log == [False]
    assert not lock.locked()


def test_standard_library_is_taken_over(threads: VirtualThreads) -> None:
    """What the standard library builds from locks waits in virtual time, too."""
    queue: Queue[int] = Queue()
    event = threading.Event()
    log: list[object] = []

    def consume() -> None:
        log.append(queue.get())
        with pytest.raises(Empty):
            queue.get(timeout=30)
        log.append(threads.now)
        event.set()

    def produce() -> None:
        threads.sleep(7)
        queue.put(42)
        log.append(event.wait(timeout=1000))

    threads.run(consume, produce)
    assert log == [42, 37, True]


def test_concutil_waits_in_virtual_time(threads: VirtualThreads) -> None:
    """A limiter made in the block makes its threads wait in virtual time."""
    limiter = RateLimiter("1/hour", slack=0)
    log: list[float] = []

    def call() -> None:
        with limiter:
            log.append(threads.now)
        with pytest.raises(RateLimitExceeded), limiter.permit(timeout=1):
            pass

    threads.run(call, call, call)
    assert log == [0, 3600, 7200]


def test_late_timers_are_late_by_that_much() -> None:
    """With a lateness, each jump goes too far by it."""
    with VirtualThreads(lateness=0.25) as threads:
        threads.run(lambda: threads.sleep(1), lambda: threads.sleep(3))
        assert threads.now == 3.25


@pytest.mark.canary
def test_deadlock_is_told(threads: VirtualThreads) -> None:
    """When nobody can ever go on, the run ends in an error instead of hanging."""
    first, second = threading.Lock(), threading.Lock()

    def take(one: threading.Lock, other: threading.Lock) -> None:
        with one:
            threads.sleep(1)
            with other:
                pass

    with pytest.raises(Deadlock, match="no timer is set"):
        threads.run(lambda: take(first, second), lambda: take(second, first))


def test_error_of_a_thread_comes_out(threads: VirtualThreads) -> None:
    """What a program raises is raised by run, after the others have ended."""
    log: list[str] = []

    def fail() -> None:
        raise LookupError

    def work() -> None:
        threads.sleep(1)
        log.append("worked")

    with pytest.raises(LookupError):
        threads.run(fail, work)
    assert log == ["worked"]


def test_outside_of_run_nobody_waits(threads: VirtualThreads) -> None:
    """The thread that makes the world may use free locks, but can't wait for one."""
    lock = threading.Lock()
    with lock, pytest.raises(Deadlock, match="outside"):
        lock.acquire()
    with pytest.raises(RuntimeError):
        lock.release()


def test_threads_of_others_get_real_locks(threads: VirtualThreads) -> None:
    """Locks that other threads make meanwhile are what they always are."""
    made: list[object] = []
    done = allocate_lock()
    done.acquire()

    def make() -> None:
        made.append(threading.Lock())
        done.release()

    start_new_thread(make, ())
    done.acquire()
    assert type(made[0]) is type(done)
    assert type(threading.Lock()) is not type(done)
