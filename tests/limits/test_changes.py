"""Pausing and changing a limiter while others use it and wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from concutil import Rate, RateLimiter, RateLimitExceeded
from concutil.testing import ManualClock
from patience import eventually, threads

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    """A clock for the test alone."""
    return ManualClock(100)


def test_a_pause_ends_at_the_latest_of_all(clock: ManualClock) -> None:
    """Pauses are one deadline: a shorter one doesn't cut a longer one short."""
    limiter = RateLimiter("10/s burst 5", clock=clock)
    limiter.pause(30)
    limiter.pause(10)
    limiter.pause(-1)
    clock.advance(29.9)
    assert limiter.try_permit() is None
    assert limiter.stats().next_in == pytest.approx(0.1)
    clock.advance(0.1)

    assert limiter.try_permit(5) is not None


def test_a_pause_holds_places_too(clock: ManualClock) -> None:
    """A limiter without a rate is paused as well."""
    limiter = RateLimiter(max_concurrent=3, clock=clock)
    limiter.pause(1)
    assert limiter.try_permit() is None
    clock.advance(1)
    with limiter:
        assert limiter.stats().in_flight == 1


async def test_whoever_waits_is_paused(clock: ManualClock) -> None:
    """A pause that comes while others wait is kept by them, and then all go on."""
    limiter, entered = RateLimiter("1/s", slack=0, clock=clock), []

    async def enter() -> None:
        async with limiter:
            entered.append(clock.now())

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(enter)
        await anyio.wait_all_tasks_blocked()
        limiter.pause(10)
        for _ in range(12):
            clock.advance(1)
            await anyio.wait_all_tasks_blocked()

    assert entered == [100, 110, 111]


async def test_whoever_waits_is_timed_anew(clock: ManualClock) -> None:
    """A faster rate lets those who wait go on by it, at once."""
    limiter, entered = RateLimiter("1/h", slack=0, clock=clock), []

    async def enter() -> None:
        async with limiter:
            entered.append(clock.now())

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(enter)
        await anyio.wait_all_tasks_blocked()
        limiter.update("1/s")
        for _ in range(2):
            clock.advance(1)
            await anyio.wait_all_tasks_blocked()

    assert entered == [100, 101, 102]


async def test_more_places_let_more_in() -> None:
    """`update(max_concurrent=)` lets waiters in, or keeps newcomers out."""
    limiter = RateLimiter(max_concurrent=1)
    async with limiter, anyio.create_task_group() as group:
        permits = [limiter.permit() for _ in range(3)]
        for permit in permits:
            group.start_soon(permit.__aenter__)
        await anyio.wait_all_tasks_blocked()
        limiter.update(max_concurrent=3)
        await anyio.wait_all_tasks_blocked()
        assert (limiter.stats().in_flight, limiter.stats().waiting) == (3, 1)

        limiter.update(max_concurrent=None)
        await anyio.wait_all_tasks_blocked()
        assert (limiter.stats().in_flight, limiter.stats().waiting) == (4, 0)
        limiter.update(max_concurrent=1)
        for permit in permits:
            assert limiter.try_permit() is None
            permit.release()
    with limiter:
        assert limiter.stats().in_flight == 1


def test_an_update_keeps_the_debt(clock: ManualClock) -> None:
    """What is owed stays the same number of calls under another rate."""
    limiter = RateLimiter("10/s burst 10", slack=0, clock=clock)
    assert limiter.try_permit(10) is not None
    for _ in range(3):
        limiter.update("1/s burst 10")
        limiter.update("2/s burst 10")
    assert limiter.try_permit() is None
    clock.advance(0.5)

    assert limiter.try_permit() is not None
    assert limiter.try_permit() is None
    assert repr(limiter) == "<RateLimiter 2/s burst 10: 0 waiting>"


def test_a_new_text_names_its_own_burst() -> None:
    """What `burst=` said of the first rates isn't said of those of an update."""
    limiter = RateLimiter("1/s", burst=10)
    limiter.update("2/s")
    assert repr(limiter) == "<RateLimiter 2/s burst 1: 0 waiting>"


@pytest.mark.parametrize("places", [None, 3])
async def test_who_leaves_is_counted_where_there_are_places(places: int | None) -> None:
    """A limiter of rates alone keeps no count of who leaves."""
    limiter = RateLimiter("9/s burst 9", max_concurrent=places)
    with limiter:
        pass
    async with limiter:
        pass
    assert limiter._gate.admission.left == (0 if places is None else 2)


def test_a_change_counts_from_the_time_of_its_caller(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who applies a change for another may have read the clock long before."""
    limiter = RateLimiter("1/s", burst=10, slack=0, clock=clock)
    assert limiter.try_permit(10) is not None
    gate = limiter._gate

    gate.lock.acquire()
    began: list[float] = []
    monkeypatch.setattr(gate, "now", lambda: began.append(1.0) or clock.now())
    with threads(gate.settle):
        eventually(lambda: bool(began))  # it has read the clock, and wants the lock
        clock.advance(5)
        changer = threading.Thread(target=limiter.update, args=("2/s burst 10",))
        changer.start()
        eventually(lambda: len(gate.inbox) == 1)
        gate.lock.release()
    changer.join(10)

    assert limiter.try_permit(5) is not None
    assert limiter.try_permit(0.1) is None


async def test_a_cost_that_became_impossible_is_told(clock: ManualClock) -> None:
    """Whoever waits for more than the new burst gets a ValueError; others go on."""
    limiter, told = RateLimiter("1/h burst 5", slack=0, clock=clock), []

    async def wait(cost: float) -> None:
        try:
            async with limiter.permit(cost):
                told.append(cost)
        except ValueError as error:
            told.append(str(error))

    await limiter.permit(5)
    async with anyio.create_task_group() as group:
        for cost in (4, 1):
            group.start_soon(wait, cost)
            await anyio.wait_all_tasks_blocked()
        limiter.update("1/s burst 2")
        for _ in range(4):
            await anyio.wait_all_tasks_blocked()
            clock.advance(1)

    assert told == [
        (
            "the limiter was changed, and no wait admits a cost of 4 now: give its"
            " rates a greater burst="
        ),
        1,
    ]


@pytest.mark.parametrize(
    ("args", "options", "kind", "message"),
    [
        ((), {}, TypeError, "needs rates, max_concurrent=, or both"),
        ((3,), {}, TypeError, "rates must be Rate objects or texts"),
        (("x",), {}, ValueError, "can't read 'x' as a rate"),
        ((), {"max_concurrent": 0}, ValueError, "max_concurrent must be"),
        ((), {"max_concurrent": 2.0}, TypeError, "max_concurrent must be"),
    ],
)
def test_bad_changes_are_refused(
    args: Any, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    """A change that is refused changes nothing."""
    limiter = RateLimiter("1/s", max_concurrent=1)
    with pytest.raises(kind, match=message):
        limiter.update(*args, **options)

    assert repr(limiter) == "<RateLimiter 1/s burst 1, 1 at once: 0 waiting, 0 inside>"


@pytest.mark.parametrize("limit", [5, None])
def test_who_was_never_counted_is_not_limited_later(limit: int | None) -> None:
    """Places can't be limited where nobody has told who left."""
    limiter = RateLimiter("1/s")
    with pytest.raises(ValueError, match="has not counted who is inside"):
        limiter.update(Rate(5), max_concurrent=limit)

    assert repr(limiter) == "<RateLimiter 1/s burst 1: 0 waiting>"


@pytest.mark.parametrize("seconds", ["1", None, float("inf")])
def test_bad_pauses_are_refused(seconds: Any) -> None:
    """A pause is a finite number of seconds or a timedelta."""
    with pytest.raises((TypeError, ValueError), match="seconds must be a finite"):
        RateLimiter("1/s").pause(seconds)


@pytest.mark.parametrize("limits", [{"calls_per_second": 10}, {"max_concurrent": 1}])
def test_a_timeout_that_ends_before_a_pause_is_refused_at_once(
    clock: ManualClock, limits: dict[str, Any]
) -> None:
    """`retry_after` counts the pause, and the message names it."""
    limiter = RateLimiter(**limits, name="api", slack=0, clock=clock)
    limiter.pause(30)
    with pytest.raises(
        RateLimitExceeded,
        match="'api' could not meet the timeout: it is paused, and admits 1 in 30 s",
    ) as refused:
        limiter.permit(timeout=29).wait()
    assert refused.value.retry_after == 30
    assert limiter.stats().waiting == 0
    clock.advance(1)

    with threads(lambda: limiter.permit(timeout=29).wait().release()):
        eventually(lambda: limiter.stats().waiting == 1)
        clock.advance(29)


def test_what_is_admitted_as_the_timeout_ends_is_in_time() -> None:
    """Even if nobody ran between its coming and that instant."""

    class Leaping:
        """A clock that leaps on once somebody waits."""

        def now(self) -> float:
            return 30.0 if limiter._gate.admission.lines else 0.0

        def call_at(
            self, when: float, wake: Callable[[], object]
        ) -> Callable[[], object]:
            return lambda: None

    limiter = RateLimiter(calls_per_second=10)  # the clock is asked as it is made
    limiter = RateLimiter(calls_per_second=10, slack=0, clock=Leaping())
    limiter.pause(30)
    with limiter.permit(timeout=30) as permit:
        assert permit.waited == 30


def test_after_a_pause_the_rates_are_named_again(clock: ManualClock) -> None:
    """A pause that is over is not what refuses."""
    limiter = RateLimiter("1/min", slack=0, clock=clock)
    limiter.pause(1)
    clock.advance(1)
    limiter.permit().wait()
    with pytest.raises(RateLimitExceeded, match="its rates admit 1 in 60 s"):
        limiter.permit(timeout=1).wait()
