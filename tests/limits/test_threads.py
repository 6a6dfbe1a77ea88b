"""A limiter between threads."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from concutil import Permit, RateLimiter, RateLimitExceeded
from concutil._core.admission import Admission
from concutil._core.ticket import GRANTED, Ticket
from concutil._limits.gate import Gate, Setting
from concutil.testing import ManualClock
from patience import LONG_S, eventually, threads


@contextmanager
def blocked(limiter: RateLimiter, count: int) -> Iterator[None]:
    """Wait until *count* are queued."""
    eventually(lambda: limiter.stats().waiting == count)
    yield


def test_places_are_handed_on_in_order() -> None:
    """Threads are let in first come, first served, one at a time."""
    limiter, order = RateLimiter(max_concurrent=1), []

    def enter(number: int) -> None:
        with limiter:
            order.append(number)
            assert limiter.stats().in_flight == 1

    limiter.__enter__()
    workers = []
    for number in range(5):
        workers.append(threading.Thread(target=enter, args=(number,)))
        workers[-1].start()
        with blocked(limiter, number + 1):
            assert order == []
    limiter.__exit__(None, None, None)
    for worker in workers:
        worker.join(LONG_S)

    assert order == list(range(5))
    assert limiter.stats().in_flight == 0


def test_a_manual_clock_lets_threads_go_on() -> None:
    """With a clock of its own a limiter waits for that, however long that takes."""
    clock = ManualClock()
    limiter, entered = RateLimiter("1/min", slack=0, clock=clock), []

    def enter() -> None:
        with limiter:
            entered.append(clock.now())

    with threads(*[enter] * 3):
        eventually(lambda: len(entered) == 1)
        for count in (2, 3):
            with blocked(limiter, 4 - count):
                clock.advance(60)
            eventually(lambda n=count: len(entered) == n)

    assert entered == [0, 60, 120]
    assert limiter.stats().waited_total == 180


def test_newcomers_never_overtake() -> None:
    """While anybody waits, `try_permit` is None, though its cost would be admitted."""
    clock = ManualClock()
    limiter = RateLimiter("1/s", burst=4, slack=0, clock=clock)
    assert limiter.try_permit(4) is not None
    with threads(lambda: limiter.permit(4).wait()), blocked(limiter, 1):
        clock.advance(2)
        assert limiter.try_permit(1) is None
        clock.advance(2)

    assert limiter.try_permit(1) is None
    clock.advance(1)
    assert limiter.try_permit(1) is not None


def test_a_permit_is_used_once() -> None:
    """Taking a permit a second time is a RuntimeError; releasing it twice is not."""
    limiter = RateLimiter(max_concurrent=1)
    permit = limiter.permit()
    with permit as same:
        assert same is permit
        assert permit.waited == 0
        with pytest.raises(RuntimeError, match="a permit is used once"):
            permit.wait()
        assert limiter.try_permit() is None
    permit.release()

    with pytest.raises(RuntimeError, match="a permit is used once"), permit:
        pass
    assert limiter.stats().in_flight == 0


def test_a_taken_permit_is_a_block() -> None:
    """What `wait` and `try_permit` gave may be entered, and is released by that."""
    limiter = RateLimiter(max_concurrent=1)
    with limiter.permit().wait() as permit:
        assert isinstance(permit, Permit)
        assert limiter.stats().in_flight == 1
    free = limiter.try_permit()
    assert free is not None
    with free:
        assert limiter.stats().in_flight == 1

    assert limiter.stats().in_flight == 0


def test_a_permit_tells_how_long_it_waited() -> None:
    """`waited` is the time in the queue, by the limiter's clock."""
    clock = ManualClock()
    limiter, waited = RateLimiter("1/s", slack=0, clock=clock), []
    wait = lambda: waited.append(limiter.permit().wait().waited)  # noqa: E731 - short
    with limiter, threads(wait), blocked(limiter, 1):
        clock.advance(1)

    assert waited == [1]


def test_a_timeout_that_the_rates_exceed_fails_at_once() -> None:
    """Nothing is booked, and the error tells when the same request would be met."""
    clock = ManualClock()
    limiter = RateLimiter("1/min", name="api", slack=0, clock=clock)
    limiter.permit().wait()

    with pytest.raises(
        RateLimitExceeded, match=r"'api' could not meet .* in 60 s"
    ) as info:
        limiter.permit(timeout=59).wait()

    assert info.value.retry_after == 60
    assert limiter.stats().waiting == 0
    clock.advance(60)
    assert limiter.try_permit() is not None


@pytest.mark.parametrize("timeout", [0, -1])
def test_no_patience_is_no_wait(timeout: float) -> None:
    """A timeout of 0 or less takes what is free, and is refused otherwise."""
    limiter = RateLimiter(max_concurrent=1)
    with (
        limiter.permit(timeout=timeout),
        pytest.raises(RateLimitExceeded) as info,
        limiter.permit(timeout=timeout),
    ):
        raise AssertionError("two are inside")

    assert info.value.retry_after == 0
    assert limiter.stats().in_flight == 0


def test_a_late_place_fails_at_the_end_of_the_timeout() -> None:
    """Only time tells whether a place comes free: the patience is waited for."""
    clock = ManualClock()
    limiter, errors = RateLimiter(max_concurrent=1, slack=0, clock=clock), []

    def enter() -> None:
        with pytest.raises(RateLimitExceeded) as info:
            limiter.permit(timeout=5).wait()
        errors.append((clock.now(), info.value.retry_after))

    with limiter, threads(enter), blocked(limiter, 1):
        clock.advance(4.9)
        with blocked(limiter, 1):
            clock.advance(0.1)

    assert errors == [(5, 0)]
    assert limiter.stats().in_flight == 0


def test_a_thread_that_ends_with_a_permit_gives_it_back() -> None:
    """A permit that nobody can release any more frees its place, with a warning."""
    limiter = RateLimiter(max_concurrent=1)

    def take() -> None:
        permit = limiter.permit().wait()
        assert permit.waited == 0

    thread = threading.Thread(target=take)
    with pytest.warns(  # noqa: PT031 - it comes at either
        ResourceWarning, match="dropped while it held a place"
    ):
        thread.start()
        thread.join(LONG_S)
        gc.collect()

    assert limiter.stats().in_flight == 0


def test_a_dropped_permit_of_a_rate_holds_nothing() -> None:
    """Without a limit to what runs at once there is nothing to give back."""
    limiter = RateLimiter("100/s", burst=2)
    assert limiter.permit().wait().waited == 0
    gc.collect()

    assert limiter.stats().granted == 1


def test_the_collector_never_waits_for_the_lock() -> None:
    """A permit dropped by a collection that runs under the lock is given back."""
    limiter = RateLimiter(max_concurrent=1)
    with pytest.warns(  # noqa: PT031 - the collector may come at any of them
        ResourceWarning, match="dropped while it held a place"
    ):
        cycle: list[object] = [limiter.permit().wait()]
        cycle.append(cycle)
        del cycle
        with limiter._gate.lock:
            gc.collect()

    assert limiter.stats().in_flight == 0


def test_a_generator_dropped_under_the_lock_gives_its_place_back() -> None:
    """Whoever uses the limiter next finds the place that the collector freed."""
    limiter = RateLimiter(max_concurrent=2)

    @limiter
    def items() -> Iterator[int]:
        yield 1

    def drop() -> None:
        dropped = items()
        assert next(dropped) == 1
        with limiter._gate.lock:
            del dropped
        assert limiter._gate.inbox, "the lock was held: it was left there"

    with limiter:
        drop()
        with limiter:  # takes the last place, or finds the one that was freed
            assert limiter.stats().in_flight == 2
        drop()
    assert limiter.stats().in_flight == 0


def test_whoever_reads_applies_what_was_left_meanwhile() -> None:
    """A place that the collector frees while stats are read goes to who waits."""
    limiter, entered = RateLimiter(max_concurrent=1), []
    limiter.__enter__()

    def leave(*_: object) -> None:
        limiter.__exit__(GeneratorExit, None, None)

    def enter() -> None:
        with limiter:
            entered.append(True)

    with threads(enter), blocked(limiter, 1):
        limiter._gate.read(leave)

    assert entered == [True]


def test_whoever_tries_applies_what_was_left_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So does a place that it frees while somebody else tries to have one."""
    limiter, entered, book = RateLimiter(max_concurrent=1), [], Admission.book
    limiter.__enter__()

    def dropping(self: Admission, ticket: Ticket, now: float) -> bool:
        limiter.__exit__(GeneratorExit, None, None)
        return book(self, ticket, now)

    def enter() -> None:
        with limiter:
            entered.append(True)

    with threads(enter), blocked(limiter, 1):
        monkeypatch.setattr(Admission, "book", dropping)
        assert limiter.try_permit() is None
        monkeypatch.undo()

    assert entered == [True]


def test_what_was_left_under_the_lock_is_there_for_the_next() -> None:
    """Whoever tries finds the place that the collector gave back just before."""
    limiter = RateLimiter(max_concurrent=1)
    limiter.__enter__()
    with limiter._gate.lock:
        limiter.__exit__(GeneratorExit, None, None)

    with limiter.try_permit() or pytest.fail("the place is free"):
        assert limiter.stats().in_flight == 1


def test_a_late_thread_does_not_lose_rate() -> None:
    """Lateness within the slack is made up for; beyond it, it is lost."""
    clock = ManualClock()
    limiter = RateLimiter("10/s", slack=0.25, clock=clock)
    assert limiter.try_permit() is not None
    clock.advance(0.35)

    assert limiter.try_permit() is not None
    assert limiter.try_permit() is not None
    assert limiter.try_permit() is not None
    assert limiter.try_permit() is None


def test_a_clock_that_jumps_back_mints_nothing() -> None:
    """A backward jump of an injected clock admits nobody before the old time."""

    class Jumping:
        time = 100.0

        def now(self) -> float:
            return self.time

        def call_at(
            self, when: float, wake: Callable[[], object]
        ) -> Callable[[], object]:
            raise AssertionError("nobody waits here")

    clock = Jumping()
    limiter = RateLimiter("1/s", burst=2, slack=0, clock=clock)
    assert limiter.try_permit() is not None
    clock.time = 0
    assert limiter.try_permit() is not None, "there was one left at 100"
    assert limiter.try_permit() is None
    clock.time = 100
    assert limiter.try_permit() is None
    clock.time = 101
    assert limiter.try_permit() is not None


def test_real_time_is_kept() -> None:
    """With the system's clock ten calls at 200/s take 45 ms, give or take the slack."""
    limiter = RateLimiter(calls_per_second=200)
    begin = time.monotonic()
    for _ in range(10):
        with limiter:
            pass

    assert time.monotonic() - begin >= 9 / 200 - 0.01


def test_who_holds_no_place_releases_nothing() -> None:
    """A permit that is new or still in the queue goes on as if it wasn't released."""
    limiter = RateLimiter(max_concurrent=1)
    permit, queued = limiter.permit(), limiter.permit()
    permit.release()
    permit.wait()
    with threads(queued.wait), permit, blocked(limiter, 1):
        queued.release()
        assert limiter.stats().waiting == 1
        assert limiter.try_permit() is None

    assert limiter.stats().in_flight == 1
    queued.release()
    queued.release()
    assert limiter.stats().in_flight == 0


Crowd = tuple[Gate, list[Ticket], list[Ticket]]


class Sleeper:
    """Waits for a place, and may be interrupted as it is woken."""

    def __init__(self, *, interrupted: bool = False) -> None:
        self.interrupted = interrupted
        self.woken = 0

    def wake(self) -> bool:
        self.woken += 1
        if self.interrupted and self.woken == 1:
            raise KeyboardInterrupt
        return True

    def is_leaving(self) -> bool:
        return False


@pytest.fixture
def crowded() -> Crowd:
    """A gate, two who are inside and two who wait, the first to be interrupted."""
    gate = Gate(Admission.of([], 2, 0.0), Setting(None, ManualClock()))
    inside, waiting = [Ticket(kept=True), Ticket(kept=True)], [Ticket(), Ticket()]
    assert all(gate.try_book(ticket) for ticket in inside)
    for ticket in waiting:
        ticket.waiter = Sleeper(interrupted=ticket is waiting[0])
        gate.apply(lambda core, now, t=ticket: core.enter(t, now), ticket)
    return gate, inside, waiting


def test_an_interrupt_between_wake_ups_loses_none(crowded: Crowd) -> None:
    """Ctrl-C as the first of two is woken: both are, and it comes out."""
    gate, inside, waiting = crowded

    def leave(core: Admission, _: float) -> None:
        for ticket in inside:
            core.release(ticket)

    with pytest.raises(KeyboardInterrupt):
        gate.apply(leave)
    assert [ticket.waiter.woken for ticket in waiting] == [2, 1]
    assert [ticket.state for ticket in waiting] == [GRANTED, GRANTED]


def test_an_interrupt_between_changes_loses_none(crowded: Crowd) -> None:
    """Ctrl-C as one change is applied: those behind it are applied all the same."""
    gate, inside, waiting = crowded
    waiting[0].waiter.interrupted = False

    def interrupted(_core: Admission, _now: float) -> None:
        raise KeyboardInterrupt

    gate.inbox.append(interrupted)
    with pytest.raises(KeyboardInterrupt):
        gate.apply(lambda core, _: core.release(inside[0]))
    assert not gate.inbox
    assert [ticket.waiter.woken for ticket in waiting] == [1, 0]


def test_an_interrupt_waits_for_no_lock(
    crowded: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds the lock applies what was left; it is not waited for."""
    gate, inside, waiting = crowded
    waiting[0].waiter.interrupted = False

    def interrupted() -> float:
        raise KeyboardInterrupt

    gate.inbox.append(lambda core, _: core.release(inside[0]))
    with gate.lock, monkeypatch.context() as patched:
        patched.setattr(gate, "now", interrupted)
        with pytest.raises(KeyboardInterrupt):
            gate.settle()
    assert len(gate.inbox) == 1
    gate.settle()
    assert [ticket.waiter.woken for ticket in waiting] == [1, 0]
