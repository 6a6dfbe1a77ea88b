"""The schedule explorer runs what it says, and finds its way back."""

from __future__ import annotations

import gc
import math
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from threading import Lock as AliasedLock
from types import SimpleNamespace

import pytest

from concutil import RateLimiter, _core, _limits
from concutil._runtime import clock

from .canaries import compute, lock, update
from .explorer import (
    BlockedOutside,
    Exhaustive,
    NotDeterministic,
    NothingExplored,
    Pct,
    Program,
    Random,
    Search,
    explore,
    replay,
    scheduler,
)
from .planted_races import ComputesTwice, KeepsUpdates, LocksCrosswise, LosesUpdates

ME = sys.modules[__name__]
Bodies = Sequence[Callable[[], object]]


def of(*bodies: Callable[[], object], check: Callable[[], object] = int) -> Program:
    """Return a program of *bodies* that are code of this module."""
    return Program(lambda: (bodies, check), [ME])


def once(program: Program) -> None:
    """See that the first schedules are clean."""
    report = explore(program, Random(0), schedules=2)
    assert report.failure is None, report


def test_every_order_is_tried_once() -> None:
    """Two threads of four steps each have 70 orders, and that many are tried."""

    def program() -> tuple[Bodies, Callable[[], object]]:
        counter = LosesUpdates()
        return [counter.add, counter.add], lambda: None

    report = explore(Program(program, [LosesUpdates]), Exhaustive(99))
    assert report.exhausted
    assert report.schedules == report.distinct == math.comb(8, 4)


@pytest.mark.parametrize(("bound", "schedules"), [(0, 2), (1, 8), (2, 26)])
def test_bound_limits_preemptions(bound: int, schedules: int) -> None:
    """So many preemptions are tried, and who goes first is free."""

    def program() -> tuple[Bodies, Callable[[], object]]:
        counter = LosesUpdates()
        return [counter.add, counter.add], lambda: None

    report = explore(Program(program, [LosesUpdates]), Exhaustive(bound))
    assert report.exhausted
    assert report.schedules == schedules


def test_steps_are_counted_by_function() -> None:
    """A report says how many steps were made in which function."""
    report = explore(
        Program(lambda: update(KeepsUpdates), [KeepsUpdates]), Random(0), schedules=10
    )
    counted = {name.rpartition(":")[2]: steps for name, steps in report.reached.items()}
    assert counted.popitem()[1] >= 20 * 3
    assert not counted, "only one function was reached"


@pytest.mark.parametrize(
    "search", [Exhaustive(2), Random(1), Pct(1)], ids=["exhaustive", "random", "pct"]
)
def test_failure_is_replayed(search: Search) -> None:
    """The schedule that comes with a failure fails in the same way, every time."""
    program = Program(lambda: compute(ComputesTwice), [ComputesTwice])
    failure = explore(program, search).failure
    assert failure is not None
    for _ in range(3):
        failed = replay(program, failure.schedule).failed
        assert failed is not None
        assert (failed.kind, failed.text) == (failure.kind, failure.text)
    assert f"replay(program, {dict(failure.schedule)})" in str(failure)


@pytest.mark.parametrize("make", [Random, Pct])
def test_seed_decides(make: Callable[[int], Search]) -> None:
    """The same seed tries the same schedules."""
    program = Program(lambda: update(KeepsUpdates), [KeepsUpdates])
    first, second = (explore(program, make(7), schedules=50) for _ in range(2))
    assert (first.steps, first.distinct) == (second.steps, second.distinct)


def test_failure_is_shortened() -> None:
    """A schedule found by chance names only the switches that matter."""
    failure = explore(
        Program(lambda: update(LosesUpdates), [LosesUpdates]), Random(3)
    ).failure
    assert failure is not None
    assert len(failure.schedule) <= 2


def test_deadlock_is_told_with_all_stacks() -> None:
    """Who waits for what, who has it, and where each thread stands."""
    failure = explore(
        Program(lambda: lock(LocksCrosswise), [LocksCrosswise]), Exhaustive(1)
    ).failure
    assert failure is not None
    assert failure.kind == "deadlock"
    for words in (
        "thread 0 waits for Lock 2, which thread 1 has",
        "thread 1 waits for Lock 1, which thread 0 has",
        "in forth: with self.left, self.right",
        "in back: with self.right, self.left",
    ):
        assert words in failure.text


def test_exception_is_told_with_its_traceback() -> None:
    """What a thread raises is a failure that says where."""

    def fail() -> None:
        raise LookupError("nothing there")

    failure = explore(of(fail, fail), Exhaustive(0)).failure
    assert failure is not None
    assert failure.kind == "exception"
    assert "in fail" in failure.text
    assert "LookupError: nothing there" in failure.text


def test_endless_loop_is_a_livelock() -> None:
    """A thread that goes on and on is stopped."""
    flag = SimpleNamespace(up=False)

    def spin() -> None:
        while not flag.up:
            pass

    program = Program(lambda: ([spin, spin], lambda: None), [ME], max_steps=500)
    failure = explore(program, Exhaustive(0)).failure
    assert failure is not None
    assert failure.kind == "livelock"


def test_target_that_is_not_reached_is_refused() -> None:
    """A green result about code that never ran would mean nothing."""
    program = Program(lambda: update(KeepsUpdates), [KeepsUpdates, LocksCrosswise])
    with pytest.raises(NothingExplored, match="no step was made in LocksCrosswise"):
        explore(program, Exhaustive(1))


def test_package_is_reached_by_any_of_its_modules() -> None:
    """A package as a target stands for all code in its folder."""

    def program() -> tuple[Bodies, Callable[[], object]]:
        limiter = RateLimiter("1/s")

        def enter() -> None:
            with limiter:
                pass

        return [enter, enter], lambda: None

    report = explore(
        Program(program, [_limits, _core], ["concutil._runtime.clock.monotonic"]),
        Random(0),
        schedules=2,
    )
    files = {name.partition(":")[0] for name in report.reached}
    assert files >= {"admission.py", "gate.py", "limiter.py"}


def test_program_without_choice_is_refused() -> None:
    """A single thread has but one schedule."""
    counter = KeepsUpdates()
    program = Program(lambda: ([counter.add], lambda: None), [KeepsUpdates])
    with pytest.raises(NothingExplored, match="never two threads"):
        explore(program, Exhaustive(1))


def test_program_that_decides_by_chance_is_refused() -> None:
    """A failure that does not come again is no failure of the schedule."""
    runs = iter(range(1_000))

    def program() -> tuple[Bodies, Callable[[], object]]:
        counter = KeepsUpdates()
        run = next(runs)

        def check() -> None:
            assert run != 3

        return [counter.add, counter.add], check

    with pytest.raises(NotDeterministic, match="did not fail again"):
        explore(Program(program, [KeepsUpdates]), Exhaustive(2))


def test_schedule_of_another_program_is_refused() -> None:
    """A schedule that names a thread which can't go on does not fit."""
    program = Program(lambda: update(KeepsUpdates), [KeepsUpdates])
    with pytest.raises(NotDeterministic, match="can't go on"):
        replay(program, {0: 7})


def test_lock_from_before_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that blocks on a real lock is told, with where it does."""
    real = threading.Lock()
    real.acquire()

    def block() -> None:
        with real:
            pass

    with monkeypatch.context() as patched:
        patched.setattr(scheduler, "STUCK_S", 0.05)
        with pytest.raises(BlockedOutside, match="in block: with real:"):
            explore(of(block, block), Exhaustive(0))
    real.release()
    once(Program(lambda: update(KeepsUpdates), [KeepsUpdates]))


def test_lock_that_is_left_locked_is_found() -> None:
    """A check that would wait for ever says so."""

    def program() -> tuple[Bodies, Callable[[], object]]:
        lock = threading.Lock()
        return [lock.acquire, lambda: None], lock.acquire

    failure = explore(Program(program, [ME]), Exhaustive(0)).failure
    assert failure is not None
    assert failure.kind == "invariant"
    assert "would wait for Lock 1 for ever" in failure.text


def test_waits_take_no_real_time() -> None:
    """A year of sleep passes at once, and each clock tells the same time."""
    year = 3e7
    seen: list[float] = []

    def sleep() -> None:
        begin, also = time.monotonic(), clock.monotonic()
        time.sleep(year)
        seen.append(time.monotonic() - begin)
        seen.append(clock.monotonic() - also)

    clocks = ["concutil._runtime.clock.monotonic"]
    once(Program(lambda: ([sleep, sleep], int), [ME], clocks))
    assert min(seen) == year


def test_patience_ends_in_virtual_time() -> None:
    """What waits with a timeout gives up when nobody else can go on."""

    def program() -> tuple[Bodies, Callable[[], object]]:
        gate, event = threading.Lock(), threading.Event()
        jobs: queue.Queue[int] = queue.Queue()
        places = threading.Semaphore(0)
        gate.acquire()

        def wait() -> None:
            begin = time.monotonic()
            assert not gate.acquire(timeout=1.0)
            assert not event.wait(2.0)
            assert not places.acquire(timeout=3.0)
            with pytest.raises(queue.Empty):
                jobs.get(timeout=4.0)
            assert time.monotonic() >= begin + 10.0

        return [wait, wait], lambda: None

    once(Program(program, [ME]))


def test_conditions_and_queues_hand_over() -> None:
    """What the standard library makes of locks is under control too."""

    def program() -> tuple[Bodies, Callable[[], object]]:
        jobs: queue.Queue[int] = queue.Queue(maxsize=1)
        got: list[int] = []

        def put() -> None:
            for job in range(3):
                jobs.put(job)

        def get() -> None:
            got.extend(jobs.get() for _ in range(3))

        def check() -> None:
            assert got == [0, 1, 2]

        return [put, get], check

    report = explore(Program(program, [ME]), Random(0), schedules=200)
    assert report.failure is None, report
    assert report.distinct > 50


def test_locks_err_as_the_real_ones_do() -> None:
    """What a real lock refuses its shadow refuses, with the same kind of error."""

    def misuse(made: threading.Lock) -> None:
        with pytest.raises(RuntimeError, match="unlocked lock"):
            made.release()
        with pytest.raises(ValueError, match="non-blocking"):
            made.acquire(blocking=False, timeout=1)
        with pytest.raises(ValueError, match="timeout value must be"):
            made.acquire(timeout=-2)
        with pytest.raises(OverflowError):
            made.acquire(timeout=1e300)
        assert made.acquire(blocking=False)
        assert not made.acquire(blocking=False)
        assert made.locked()

    misuse(threading.Lock())
    once(of(*[lambda: misuse(threading.Lock())] * 2))


def test_reentrant_locks_count() -> None:
    """An RLock is free again when it was given back as often as it was taken."""

    def program() -> tuple[Bodies, Callable[[], object]]:
        made = threading.RLock()
        inside: list[int] = []

        def use() -> None:
            with made, made:
                made.acquire()
                inside.append(1)
                made.release()
                assert inside.pop() == 1
                assert not inside
            with pytest.raises(RuntimeError, match="un-acquired"):
                made.release()

        return [use, use], lambda: None

    report = explore(Program(program, [ME]), Exhaustive(1))
    assert report.exhausted, report
    assert report.failure is None, report


def test_names_in_a_target_module_are_found() -> None:
    """`from threading import Lock` is no way around the explorer."""

    def program() -> tuple[Bodies, Callable[[], object]]:
        made = AliasedLock()

        def use() -> None:
            with made:
                time.sleep(1.0)

        return [use, use], lambda: None

    once(Program(program, [ME]))


def test_real_things_are_put_back() -> None:
    """After a search, also one that failed, nothing is left of the shadows."""
    real = (threading.Lock, threading.RLock, time.monotonic, time.sleep, AliasedLock)
    while_running: list[bool] = []
    explore(of(*[lambda: while_running.append(gc.isenabled())] * 2), Exhaustive(0))
    failed = explore(Program(lambda: update(LosesUpdates), [LosesUpdates]), Random(0))
    assert failed.failure is not None
    after = (threading.Lock, threading.RLock, time.monotonic, time.sleep, AliasedLock)
    assert after == real
    assert not any(while_running), "the collector was on"
    assert gc.isenabled()


def test_grain_of_locks_sees_nothing_else() -> None:
    """With steps at locks alone, what goes wrong without any lock goes unseen."""
    coarse = Program(lambda: update(LosesUpdates), [LosesUpdates], grain="lock")
    report = explore(coarse, Exhaustive(9))
    assert report.failure is None, report
    assert report.schedules == 2
    crossed = Program(lambda: lock(LocksCrosswise), [LocksCrosswise], grain="lock")
    failure = explore(crossed, Exhaustive(1)).failure
    assert failure is not None
    assert failure.kind == "deadlock"
