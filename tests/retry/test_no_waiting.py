"""Leaving waits out, where it was asked for and nowhere else."""

from __future__ import annotations

import sys
import threading
from contextvars import copy_context

import anyio
import pytest

from concutil import RateLimiter, RateLimitExceeded, retry
from concutil.events import Event, RetryScheduled, subscribe
from concutil.testing import ManualClock, no_waiting
from patience import eventually, threads
from virtual import Flaky


def test_waits_are_left_out() -> None:
    """Attempts are counted as ever, and follow each other at once."""
    clock, step = ManualClock(), Flaky(OSError())
    policy = retry(OSError, attempts=4, wait_initial=10, jitter="none", clock=clock)
    heard: list[Event] = []
    with no_waiting(), subscribe(heard.append), pytest.raises(OSError):
        policy.call(step)

    assert (step.calls, clock.now()) == (4, 0)
    waits = [event.wait for event in heard if isinstance(event, RetryScheduled)]
    assert waits == [5, 5, 5], "what is told is what would have been waited"


def test_a_wait_beyond_the_deadline_gives_up_as_ever() -> None:
    """What a program does doesn't depend on whether it waits."""
    step = Flaky(OSError())
    policy = retry(lambda _: 60, timeout=30)
    with no_waiting(), pytest.raises(OSError):
        policy.call(step)

    assert step.calls == 1


def test_limiters_are_not_affected() -> None:
    """A limiter lets nobody start before their time."""
    limiter = RateLimiter("1/h", slack=0)
    with no_waiting():
        limiter.permit().wait()
        with pytest.raises(RateLimitExceeded):
            limiter.permit(timeout=1).wait()


def test_another_thread_still_waits() -> None:
    """It concerns the context that entered it."""
    clock, ended = ManualClock(), []
    policy = retry(OSError, wait_initial=5, jitter="none", clock=clock)

    def call() -> None:
        ended.append(policy.call(Flaky(OSError(), threading.get_ident())))

    with threads(call):
        eventually(lambda: bool(clock._timers))
        with no_waiting():
            assert policy.call(Flaky(OSError(), "here")) == "here"
        assert ended == []
        clock.advance(5)
    assert len(ended) == 1


def test_it_ends_with_its_block() -> None:
    """Outside of the block, and after an inner one, all is as before."""
    clock = ManualClock()
    policy = retry(OSError, attempts=2, wait_initial=1, jitter="none", clock=clock)

    def waits() -> bool:
        done: list[int] = []

        def call() -> None:
            with pytest.raises(OSError):
                policy.call(Flaky(OSError()))
            done.append(1)

        context = copy_context()
        with threads(lambda: context.run(call)):
            eventually(lambda: bool(clock._timers) or bool(done))
            waited = not done
            clock.advance(1)
        return waited

    assert waits()
    with no_waiting():
        assert not waits()
        with no_waiting():
            assert not waits()
        assert not waits()
    assert waits()


@pytest.mark.anyio
async def test_tasks_that_are_started_inside() -> None:
    """Tasks started in the block wait for nothing; others do."""
    clock, ended = ManualClock(), []
    policy = retry(OSError, wait_initial=5, jitter="none", clock=clock)

    async def call(name: str) -> None:
        step = Flaky(OSError(), name)

        async def later() -> None:
            ended.append(step())

        await policy.acall(later)

    async with anyio.create_task_group() as group:
        group.start_soon(call, "before")
        await anyio.wait_all_tasks_blocked()
        with no_waiting():
            group.start_soon(call, "inside")
            await call("here")
        await anyio.wait_all_tasks_blocked()
        assert sorted(ended) == ["here", "inside"]
        clock.advance(5)
    assert sorted(ended) == ["before", "here", "inside"]


@pytest.mark.anyio
async def test_others_run_between_attempts_all_the_same() -> None:
    """A call that is tried for ever can be cancelled, and starves nobody."""
    policy = retry(OSError, attempts=None, timeout=None)
    turns: list[int] = []

    async def later() -> None:
        raise OSError

    async def other() -> None:
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
            turns.append(1)
        group.cancel_scope.cancel()

    with no_waiting():
        async with anyio.create_task_group() as group:
            group.start_soon(policy.acall, later)
            group.start_soon(other)
    assert len(turns) == 3


@pytest.mark.anyio
async def test_calls_share_a_policy() -> None:
    """A hundred calls at once of one policy each have their own attempts."""
    policy = retry(OSError, attempts=5)
    results: list[tuple[int, int]] = []

    async def call(number: int) -> None:
        step = Flaky(*[OSError()] * (number % 5), number)

        async def later() -> int:
            await anyio.lowlevel.checkpoint()
            return int(step())

        results.append((await policy.acall(later), step.calls))

    with no_waiting():
        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(call, number)
    assert sorted(results) == [(number, number % 5 + 1) for number in range(100)]


def test_threads_share_a_policy() -> None:
    """So have calls of many threads, however often these take turns."""
    policy = retry(OSError, attempts=5)
    wrong: list[int] = []
    interval = sys.getswitchinterval()

    def calls() -> None:
        with no_waiting():
            for number in range(100):
                step = Flaky(*[OSError()] * (number % 5), number)
                if policy.call(step) != number or step.calls != number % 5 + 1:
                    wrong.append(number)

    sys.setswitchinterval(1e-6)
    try:
        with threads(*[calls] * 4):
            pass
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
