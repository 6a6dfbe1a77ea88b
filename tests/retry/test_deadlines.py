"""No call goes on beyond its deadline, nor beyond that of the call around it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from concutil import RateLimiter, Retry, retry
from concutil.events import Event, RetryGaveUp, RetryNested, subscribe
from concutil.testing import ManualClock, no_waiting
from virtual import Flaky, JumpingClock, in_block, moving

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup

EVEN = {"wait_initial": 1, "backoff_factor": 1, "jitter": "none"}


@pytest.fixture
def seen() -> Iterator[list[Event]]:
    """Collect all events of a test."""
    collected: list[Event] = []
    with subscribe(collected.append):
        yield collected


def reasons(seen: list[Event]) -> list[str]:
    """Return why calls were given up."""
    return [event.reason for event in seen if isinstance(event, RetryGaveUp)]


# --- waits ---------------------------------------------------------------------------


def test_waits_grow_by_the_clock() -> None:
    """Between attempts passes what the backoff says."""
    clock = JumpingClock()
    policy = retry(OSError, attempts=9, jitter="none", clock=clock)
    with pytest.raises(OSError):
        policy.call(Flaky(OSError()))

    assert clock.waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5])


def test_who_is_woken_early_waits_on() -> None:
    """A wait ends when the clock says so, and not by whatever wakes the thread."""

    class Hasty(JumpingClock):
        def call_at(self, when: float, wake: Callable[[], object]) -> Any:
            return super().call_at(min(when, self.time + 0.25), wake)

    clock = Hasty()
    times: list[float] = []

    @retry(OSError, attempts=3, clock=clock, **EVEN)
    def call() -> None:
        times.append(clock.now())
        raise OSError

    with pytest.raises(OSError):
        call()
    assert times == [0, 1, 2]


def test_full_jitter_spreads_waits_at_the_cap() -> None:
    """Callers that have failed for long don't come back in the same instant."""
    clock = JumpingClock()
    options = {"wait_initial": 5, "attempts": 200, "timeout": None}
    with pytest.raises(OSError):
        retry(OSError, clock=clock, **options).call(Flaky(OSError()))

    assert len({round(wait, 6) for wait in clock.waits}) > 190
    assert min(clock.waits) < 1
    assert 4 < max(clock.waits) < 5


def test_no_wait_begins_that_would_end_too_late(seen: list[Event]) -> None:
    """The last error is raised at once, and not after a wait in vain."""
    clock = JumpingClock()
    step = Flaky(OSError())
    policy = retry(OSError, attempts=None, timeout=3.5, clock=clock, **EVEN)
    with pytest.raises(OSError):
        policy.call(step)

    assert (clock.time, step.calls) == (3, 4)
    assert reasons(seen) == ["deadline"]


def test_a_wait_that_ends_at_the_deadline_is_too_late() -> None:
    """An attempt that could begin only then has no time left."""
    clock = JumpingClock()
    policy = retry(OSError, attempts=None, timeout=2, clock=clock, **EVEN)
    with pytest.raises(OSError):
        policy.call(Flaky(OSError()))

    assert clock.time == 1


def test_a_sync_attempt_is_not_cut(seen: list[Event]) -> None:
    """What runs at the deadline runs on; its result counts, its error is the last."""
    clock = JumpingClock()
    policy = retry(OSError, timeout=2, clock=clock)

    def slow(step: Flaky) -> object:
        clock.time += 10
        return step()

    assert policy.call(slow, Flaky("late")) == "late"
    failed = Flaky(OSError())
    with pytest.raises(OSError):
        policy.call(slow, failed)
    assert failed.calls == 1
    assert reasons(seen) == ["deadline"]


def test_what_a_server_asks_is_at_least_waited() -> None:
    """It is exceeded by up to a tenth, differently by each, and never undercut."""
    clock = JumpingClock()
    policy = retry(lambda _: 10, attempts=100, timeout=None, clock=clock)
    with pytest.raises(OSError):
        policy.call(Flaky(OSError()))

    assert all(10 <= wait <= 11 for wait in clock.waits)
    assert len(set(clock.waits)) > 90


def test_what_a_server_asks_beyond_the_deadline(seen: list[Event]) -> None:
    """There is no use in waiting for it."""
    clock = JumpingClock()
    with pytest.raises(OSError):
        retry(lambda _: 60, clock=clock).call(Flaky(OSError()))

    assert clock.waits == []
    assert reasons(seen) == ["deadline"]


@pytest.mark.anyio
async def test_waits_of_a_task() -> None:
    """A task waits by the clock as well, and lets others run meanwhile."""
    clock = ManualClock()
    begun: list[float] = []
    policy = retry(OSError, attempts=4, wait_initial=1, jitter="none", clock=clock)

    @policy
    async def call() -> None:
        begun.append(clock.now())
        raise OSError

    async with moving(clock):
        with pytest.raises(OSError):
            await call()
    assert begun == [0, 1, 3, 7]
    assert clock._timers == []


@pytest.mark.anyio
async def test_real_waits_are_as_long_as_told(seen: list[Event]) -> None:
    """Without a clock of its own a policy waits in real time, in threads and tasks."""
    policy = retry(OSError, attempts=2, wait_initial=0.02, jitter="none")

    async def later() -> None:
        raise OSError

    with pytest.raises(OSError):
        await policy.acall(later)
    with pytest.raises(OSError):
        policy.call(Flaky(OSError()))
    took = [event.seconds for event in seen if isinstance(event, RetryGaveUp)]
    assert min(took) >= 0.02


# --- cuts ----------------------------------------------------------------------------


@pytest.mark.anyio
async def test_an_attempt_is_cut_at_the_deadline(seen: list[Event]) -> None:
    """What runs then is cancelled; the error before it is the cause."""
    clock = ManualClock()
    policy = retry(OSError, timeout=10, clock=clock, name="api", **EVEN)
    error, ended = OSError(), []

    @policy
    async def call() -> None:
        if clock.now() < 2:
            raise error
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(clock.now())

    async with moving(clock):
        with pytest.raises(TimeoutError, match="'api': attempt 3 met the dead") as info:
            await call()
    assert ended == [10]
    assert info.value.__cause__ is error
    assert reasons(seen) == ["deadline"]
    assert clock._timers == []


@pytest.mark.anyio
async def test_the_first_attempt_is_cut_as_well() -> None:
    """There is no cause then, and the deadline is told even if `on` says nothing."""
    policy = retry(ValueError, timeout=0.01)

    with pytest.raises(TimeoutError, match="retry: attempt 1 met the dead") as info:
        await policy(anyio.sleep_forever)()
    assert info.value.__cause__ is None
    (text,) = info.value.__notes__  # type: ignore[attr-defined]  # ours
    assert text.startswith("retry: gave up after 1 attempt in 0.0")


@pytest.mark.anyio
async def test_a_cut_at_the_deadline_is_not_retried() -> None:
    """Not even if `on` would have a TimeoutError retried, or asks to wait."""
    for on in (TimeoutError, lambda _: True, lambda _: 0):
        calls = []

        async def call(calls: list[int] = calls) -> None:
            calls.append(1)
            await anyio.sleep_forever()

        with pytest.raises(TimeoutError):
            await retry(on, timeout=0.01, wait_initial=0).acall(call)
        assert calls == [1]


@pytest.mark.anyio
async def test_a_cut_before_its_time_is_not_retried_either() -> None:
    """Timers may go off a little early; a call that was cut at its deadline is over."""

    class Early(JumpingClock):
        def call_at(self, when: float, wake: Callable[[], object]) -> Any:
            wake()
            return int

    calls: list[int] = []

    async def call() -> None:
        calls.append(1)
        await anyio.sleep_forever()

    with pytest.raises(TimeoutError, match="attempt 1 met the deadline"):
        await retry(lambda _: True, timeout=5, clock=Early()).acall(call)
    assert calls == [1]


@pytest.mark.anyio
async def test_the_deadline_comes_first() -> None:
    """An attempt whose own time ends with that of the call is not the last of many."""
    clock = ManualClock()
    policy = retry(TimeoutError, timeout=5, attempt_timeout=5, clock=clock)

    async with moving(clock):
        with pytest.raises(TimeoutError, match="attempt 1 met the deadline"):
            await policy(anyio.sleep_forever)()


@pytest.mark.anyio
async def test_attempts_that_take_too_long(seen: list[Event]) -> None:
    """Each is cancelled after its own time, and tried again if `on` says so."""
    clock = ManualClock()
    cuts: list[float] = []

    async def call() -> str:
        try:
            if clock.now() < 8:
                await anyio.sleep_forever()
        finally:
            cuts.append(clock.now())
        return "done"

    options = {"attempt_timeout": 3, "clock": clock, **EVEN}
    async with moving(clock):
        assert await retry(TimeoutError, **options).acall(call) == "done"
        assert cuts == [3, 7, 8]
        clock._now = 0.0
        message = r"^retry: attempt 1 took longer than 3 s$"
        with pytest.raises(TimeoutError, match=message) as info:
            await retry(ValueError, **options).acall(call)
    assert info.value.__cause__ is None
    assert reasons(seen) == ["not_retryable"]


@pytest.mark.anyio
async def test_attempts_are_cut_in_real_time() -> None:
    """Without a clock of its own a policy cuts by the loop's own time."""
    policy = retry(TimeoutError, attempts=2, attempt_timeout=0.01, wait_initial=0)
    begin = anyio.current_time()

    with pytest.raises(TimeoutError, match=r"attempt 2 took longer than 0\.01 s"):
        await policy(anyio.sleep_forever)()
    assert anyio.current_time() - begin >= 0.02 - 0.002


@pytest.mark.anyio
async def test_a_timeout_of_the_callers_own_is_an_error_like_others() -> None:
    """A TimeoutError that nobody of us has raised is judged by `on`."""
    step = Flaky(TimeoutError(), TimeoutError(), "done")

    async def call() -> object:
        return step()

    assert await retry(TimeoutError, wait_initial=0).acall(call) == "done"


@pytest.mark.parametrize("form", ["block", "generator"])
@pytest.mark.anyio
async def test_other_forms_are_cut(form: str, seen: list[Event]) -> None:
    """So are blocks, and async generators until their first item."""
    clock = ManualClock()
    policy = retry(TimeoutError, attempt_timeout=3, timeout=9, clock=clock, **EVEN)
    cuts: list[float] = []

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cuts.append(clock.now())

    @policy
    async def items() -> AsyncIterator[int]:
        await wait()
        yield 1

    async def block() -> None:
        async for attempt in policy:
            async with attempt:
                await wait()

    async with moving(clock):
        with pytest.raises(TimeoutError, match="attempt 3 met the deadline") as info:
            await (block() if form == "block" else anext(items()))
    assert cuts == [3, 7, 9]
    assert "attempt 2 took longer than 3 s" in str(info.value.__cause__)
    assert reasons(seen) == ["deadline"]


@pytest.mark.anyio
async def test_a_generator_that_has_begun_is_not_cut() -> None:
    """After its first item it is the caller who decides how long it takes."""
    clock = ManualClock()

    @retry(TimeoutError, timeout=5, attempt_timeout=2, clock=clock)
    async def items() -> AsyncIterator[float]:
        for _ in range(3):
            yield clock.now()
            clock.advance(10)
            await checkpoint()

    assert [item async for item in items()] == [0, 10, 20]


@pytest.mark.anyio
async def test_an_attempt_in_time_is_left_alone() -> None:
    """A timer that is not needed any more is called off, and cancels nobody later."""
    clock = ManualClock()
    policy = retry(OSError, timeout=5, attempt_timeout=3, clock=clock)

    async def call() -> int:
        await checkpoint()
        return 7

    assert await policy.acall(call) == 7
    assert clock._timers == []
    clock.advance(10)
    await checkpoint()


@pytest.mark.anyio
async def test_a_timer_that_goes_off_as_the_attempt_ends() -> None:
    """What has ended in time is not taken for late, and nobody else is cancelled."""
    clock = ManualClock()

    async def call() -> int:
        clock.advance(5)
        return 7

    assert await retry(OSError, timeout=5, clock=clock).acall(call) == 7
    for _ in range(3):
        await checkpoint()


@pytest.mark.anyio
async def test_shielded_code_is_not_cut() -> None:
    """What the function shields runs to its end; then it is cancelled."""
    clock = ManualClock()
    done: list[str] = []

    async def call() -> None:
        with anyio.CancelScope(shield=True):
            clock.advance(10)
            for _ in range(5):
                await checkpoint()
            done.append("shielded")
        await checkpoint()
        done.append("unshielded")

    with pytest.raises(TimeoutError, match="attempt 1 met the deadline"):
        await retry(OSError, timeout=5, clock=clock).acall(call)
    assert done == ["shielded"]


@pytest.mark.anyio
async def test_scopes_within_an_attempt_nest() -> None:
    """Timeouts of the function's own are its own, inside of ours and outside."""
    clock = ManualClock()
    policy = retry(OSError, timeout=5, clock=clock)

    async def inner() -> str:
        with anyio.move_on_after(0):
            await anyio.sleep_forever()
        return "moved on"

    assert await policy.acall(inner) == "moved on"
    with anyio.move_on_after(0) as scope:
        await policy(anyio.sleep_forever)()
    assert scope.cancelled_caught


@pytest.mark.anyio
async def test_a_task_group_within_an_attempt_is_cut() -> None:
    """All of its tasks are cancelled, and what comes out is one TimeoutError."""
    clock = ManualClock()
    ended: list[int] = []

    async def task(number: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(number)

    async def call() -> None:
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(task, number)

    async with moving(clock):
        with pytest.raises(TimeoutError):
            await retry(OSError, timeout=5, clock=clock).acall(call)
    assert sorted(ended) == [0, 1, 2]


class Halt(BaseException):
    """What ends more than the task."""


@pytest.mark.parametrize("error", [KeyError, Halt])
@pytest.mark.parametrize("form", ["function", "block"])
@pytest.mark.anyio
async def test_an_error_while_being_cut(form: str, error: type[BaseException]) -> None:
    """What a cancelled task group raises isn't lost, and the call is over then."""
    clock = ManualClock()
    limiter = RateLimiter(max_concurrent=1, clock=clock)
    policy = retry(ValueError, timeout=5, limiter=limiter, clock=clock)

    async def task() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise error

    async def call() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(task)
            await anyio.sleep_forever()

    async def block() -> None:
        async for attempt in policy:
            async with attempt:
                await call()

    async with moving(clock):
        # Trio lets go of the cancellation alone, anyio on asyncio of all.
        with pytest.raises((BaseExceptionGroup, TimeoutError)) as info:  # noqa: ASYNC401 - or not
            await (block() if form == "block" else policy.acall(call))
    assert limiter.stats().in_flight == 0
    leaves = [*leaves_of(info.value), *leaves_of(info.value.__context__)]
    assert any(isinstance(leaf, error) for leaf in leaves)


@pytest.mark.parametrize("form", ["function", "block"])
@pytest.mark.anyio
async def test_a_cut_attempt_is_judged_by_what_comes_out(form: str) -> None:
    """An attempt that took too long, and whose clean-up failed, may be tried again."""
    clock = ManualClock()
    on = (KeyError, TimeoutError)
    policy = retry(on, attempt_timeout=3, timeout=None, clock=clock, **EVEN)

    async def task() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise KeyError

    async def call() -> float:
        if clock.now() < 4:
            async with anyio.create_task_group() as group:  # noqa: ASYNC112 - the subject
                group.start_soon(task)
        return clock.now()

    async def block() -> float:
        async for attempt in policy:
            async with attempt:
                result = await call()
        return result

    async with moving(clock):
        assert await (block() if form == "block" else policy.acall(call)) == 4


def leaves_of(error: BaseException | None) -> list[BaseException]:
    """Return all errors of a group."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in leaves_of(part)]
    return [] if error is None else [error]


@pytest.mark.anyio
async def test_a_cancellation_from_outside_is_not_ours() -> None:
    """It goes through every form at once, whatever the time."""
    calls: list[int] = []
    policy = retry(lambda _: True, timeout=60, attempt_timeout=50)

    async def call() -> None:
        calls.append(1)
        await anyio.sleep_forever()

    async def block() -> None:
        async for attempt in policy:
            async with attempt:
                await call()

    for form in (policy(call), block):
        with anyio.move_on_after(0) as scope:
            await form()
        assert scope.cancelled_caught
    assert calls == [1, 1]


# --- calls within calls --------------------------------------------------------------


def test_an_inner_call_ends_with_the_outer(seen: list[Event]) -> None:
    """It never waits beyond the deadline of the call around it."""
    clock = JumpingClock()
    inner = retry(OSError, attempts=None, timeout=None, clock=clock, **EVEN)
    outer = retry(OSError, timeout=3.5, clock=clock, name="outer", **EVEN)
    step = Flaky(OSError())
    with pytest.raises(OSError):
        outer.call(inner.call, step)

    assert (clock.time, step.calls) == (3, 4)
    assert reasons(seen) == ["deadline", "deadline"]


def test_an_inner_deadline_that_is_earlier_holds() -> None:
    """An inner call has its own deadline as well."""
    clock = JumpingClock()
    inner = retry(OSError, attempts=None, timeout=1.5, clock=clock, **EVEN)
    outer = retry(ValueError, timeout=30, clock=clock)
    with pytest.raises(OSError):
        outer.call(inner.call, Flaky(OSError()))

    assert clock.time == 1


def test_the_call_after_an_outer_one_is_free() -> None:
    """What comes after it has all of its time, and so has what comes after an inner."""
    clock = JumpingClock()
    short = retry(ValueError, timeout=3.5, clock=clock)
    free = retry(OSError, attempts=6, timeout=None, clock=clock, **EVEN)

    def outer() -> None:
        short.call(Flaky(1))
        with pytest.raises(OSError):
            free.call(Flaky(OSError()))

    short.call(Flaky(1))
    with pytest.raises(OSError):
        free.call(Flaky(OSError()))
    assert clock.time == 5
    short.call(outer)
    assert clock.time == 8


def test_a_block_is_a_call_around_others() -> None:
    """What is called inside of an attempt's block ends with the block's deadline."""
    clock = JumpingClock()
    inner = retry(OSError, attempts=None, timeout=None, clock=clock, **EVEN)
    outer = retry(ValueError, timeout=3.5, clock=clock)
    with pytest.raises(OSError):
        in_block(outer, lambda: inner.call(Flaky(OSError())))
    assert clock.time == 3


def test_the_body_around_a_block_is_free() -> None:
    """Between two attempts, and after the last, nothing is bound by the loop."""
    clock = JumpingClock()
    free = retry(OSError, attempts=4, timeout=None, clock=clock, **EVEN)
    for attempt in retry(ValueError, timeout=2.5, wait_initial=0, clock=clock):
        if attempt.number == 1:
            with pytest.raises(OSError):
                free.call(Flaky(OSError()))
            assert clock.time == 3
            clock.time = 0
        with attempt:
            if attempt.number == 1:
                raise ValueError
        if attempt.number == 1:
            with pytest.raises(OSError):
                free.call(Flaky(OSError()))
    assert (attempt.number, clock.time) == (2, 3)
    with pytest.raises(OSError):
        free.call(Flaky(OSError()))
    assert clock.time == 6


def test_a_generator_that_has_begun_binds_nobody() -> None:
    """Between its items its caller isn't inside of it."""
    clock = JumpingClock()
    free = retry(OSError, attempts=6, timeout=None, clock=clock, **EVEN)

    @retry(ValueError, timeout=2.5, clock=clock)
    def items() -> Iterator[int]:
        yield 1
        yield 2

    for _ in items():
        with pytest.raises(OSError):
            free.call(Flaky(OSError()))
    assert clock.time == 10


@pytest.mark.parametrize("where", ["same task", "child task"])
@pytest.mark.anyio
async def test_an_inner_async_call_ends_with_the_outer(where: str) -> None:
    """So does one in a task, even in one that an attempt has started."""
    clock = ManualClock()
    step = Flaky(OSError())
    times: list[float] = []
    inner = retry(OSError, attempts=None, timeout=None, clock=clock, **EVEN)

    async def call() -> None:
        times.append(clock.now())
        step()

    async def outer() -> None:
        if where == "same task":
            await inner.acall(call)
        async with anyio.create_task_group() as group:  # noqa: ASYNC112 - another task
            group.start_soon(inner.acall, call)

    async with moving(clock):
        with pytest.raises((OSError, ExceptionGroup)) as info:  # noqa: ASYNC401 - or not
            await retry(ValueError, timeout=3.5, clock=clock).acall(outer)
    assert isinstance(leaves_of(info.value)[0], OSError)
    assert times == [0, 1, 2, 3]


@pytest.mark.anyio
async def test_an_inner_attempt_is_cut_at_the_outer_deadline() -> None:
    """Whichever of both notices first, the call ends then."""
    clock = ManualClock()
    inner = retry(OSError, timeout=None, clock=clock)

    async def call() -> None:
        await inner(anyio.sleep_forever)()

    async with moving(clock):
        with pytest.raises(TimeoutError, match="met the deadline"):
            await retry(OSError, timeout=5, clock=clock).acall(call)
    assert clock.now() == 5


@pytest.mark.anyio
async def test_a_task_that_outlives_the_call_is_free() -> None:
    """Once the call that has started it is over, its deadline binds it no more."""
    clock = ManualClock()
    free = retry(OSError, attempts=6, timeout=None, clock=clock, **EVEN)
    over = anyio.Event()
    times: list[float] = []

    async def call() -> None:
        times.append(clock.now())
        raise OSError

    async def outlive() -> None:
        await over.wait()
        with suppress(OSError):
            await free.acall(call)

    async with moving(clock), anyio.create_task_group() as group:

        async def start() -> None:
            group.start_soon(outlive)
            await checkpoint()

        await retry(ValueError, timeout=2.5, clock=clock).acall(start)
        over.set()
    assert times == [0, 1, 2, 3, 4, 5]


@pytest.mark.anyio
async def test_a_call_that_outlives_the_one_around_it_is_free() -> None:
    """So is a call that began while the outer one ran, as soon as that is over."""
    clock = ManualClock()
    free = retry(OSError, attempts=6, timeout=None, clock=clock, **EVEN)
    times: list[float] = []

    async def call() -> None:
        times.append(clock.now())
        raise OSError

    async def outlive() -> None:
        with suppress(OSError):
            await free.acall(call)

    async with moving(clock), anyio.create_task_group() as group:

        async def start() -> None:
            group.start_soon(outlive)
            while not times:  # noqa: ASYNC110 - until it has begun
                await checkpoint()

        await retry(ValueError, timeout=2.5, clock=clock).acall(start)
    assert times == [0, 1, 2, 3, 4, 5]


@pytest.mark.anyio
async def test_who_outlives_the_outer_call_is_not_nested(seen: list[Event]) -> None:
    """What fails after the call that has started it is over multiplies nothing."""
    inner, over = retry(OSError, attempts=2, timeout=None), anyio.Event()

    async def call() -> None:
        await over.wait()
        raise OSError

    async def outlive() -> None:
        with no_waiting(), suppress(OSError):
            await inner.acall(call)

    async with anyio.create_task_group() as group:

        async def start() -> None:
            group.start_soon(outlive)
            for _ in range(5):
                await checkpoint()

        await retry(ValueError).acall(start)
        over.set()
    assert reasons(seen) == ["attempts"]
    assert not any(isinstance(event, RetryNested) for event in seen)


def nested(inner: Retry, outer: Retry) -> int:
    """Return how often what always fails is called by both together."""
    calls: list[int] = []

    def step() -> None:
        calls.append(1)
        raise OSError

    with no_waiting(), suppress(OSError):
        outer.call(inner.call, step)
    return len(calls)


def test_nested_retries_are_told_of(seen: list[Event]) -> None:
    """A policy that retries within another one's attempt says so, once."""
    inner = retry(OSError, attempts=3, name="inner")
    outer = retry(OSError, attempts=2, name="outer")

    assert nested(inner, outer) == nested(inner, outer) == 6
    (told,) = [event for event in seen if isinstance(event, RetryNested)]
    assert told == RetryNested(
        policy="inner", function="nested.<locals>.step", outer="outer"
    )


def test_what_is_not_nested_is_not_told(seen: list[Event]) -> None:
    """One after the other, or an inner one that needs no retry, is no nesting."""
    one, other = retry(OSError, attempts=2), retry(OSError, attempts=2)
    with no_waiting():
        for policy in (one, other):
            with suppress(OSError):
                policy.call(Flaky(OSError()))
        one.call(other.call, Flaky(1))

    assert not any(isinstance(event, RetryNested) for event in seen)


def test_attempts_without_end() -> None:
    """Without limits a call is tried until it succeeds."""
    step = Flaky(*[OSError()] * 500, "done")
    with no_waiting():
        assert retry(OSError, attempts=None, timeout=None).call(step) == "done"

    assert step.calls == 501
