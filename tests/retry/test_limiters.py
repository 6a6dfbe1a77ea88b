"""A policy with a limiter: a permit per attempt, and none while it waits."""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import ExitStack

import anyio
import pytest

from concutil import KeyedRateLimiter, Permit, RateLimiter, RateLimitExceeded, retry
from concutil.events import Event, RetryGaveUp, RetryScheduled, subscribe
from concutil.testing import ManualClock, no_waiting
from patience import eventually, threads
from virtual import Flaky, JumpingClock, moving

EVEN = {"wait_initial": 1, "backoff_factor": 1, "jitter": "none"}


def test_every_attempt_takes_a_permit() -> None:
    """Retries are calls as well, as far as the limiter is concerned."""
    clock = JumpingClock()
    limiter = RateLimiter("1/min", slack=0, clock=clock)
    times: list[float] = []

    @retry(OSError, attempts=3, timeout=None, limiter=limiter, clock=clock)
    def call() -> None:
        times.append(clock.now())
        raise OSError

    with pytest.raises(OSError):
        call()
    assert times == [0, 60, 120]
    assert limiter.stats().granted == 3


@pytest.mark.anyio
async def test_every_attempt_of_a_task_takes_a_permit() -> None:
    """The same in a task, and for every call of the policy."""
    clock = ManualClock()
    limiter = RateLimiter("1/min", slack=0, clock=clock)
    times: list[float] = []
    policy = retry(OSError, attempts=2, timeout=None, limiter=limiter, clock=clock)

    async def call() -> None:
        times.append(clock.now())
        raise OSError

    async with moving(clock):
        for _ in range(2):
            with pytest.raises(OSError):
                await policy.acall(call)
    assert times == [0, 60, 120, 180]


@pytest.mark.anyio
async def test_the_place_is_free_during_the_wait() -> None:
    """Who backs off lets others in meanwhile, and takes a place anew afterwards."""
    clock = ManualClock()
    limiter = RateLimiter(max_concurrent=1, clock=clock)
    story: list[tuple[float, str]] = []
    policy = retry(OSError, attempts=2, limiter=limiter, clock=clock, **EVEN)

    @policy
    async def call() -> None:
        story.append((clock.now(), "in"))
        assert limiter.stats().in_flight == 1
        raise OSError

    async def other() -> None:
        async with limiter:
            story.append((clock.now(), "other"))

    async def retrying() -> None:
        with pytest.raises(OSError):
            await call()

    async with anyio.create_task_group() as group:
        group.start_soon(retrying)
        await anyio.wait_all_tasks_blocked()
        assert limiter.stats().in_flight == 0
        await other()
        clock.advance(1)
    assert story == [(0, "in"), (0, "other"), (1, "in")]
    assert limiter.stats().in_flight == 0


def test_the_place_is_free_at_the_end() -> None:
    """However a call ends, and if a judge has failed as well, nobody is inside."""
    limiter = RateLimiter(max_concurrent=1)

    def judge(outcome: object) -> bool:
        if outcome == "broken" or isinstance(outcome, KeyError):
            raise ZeroDivisionError
        return outcome == "bad" or isinstance(outcome, OSError)

    policy = retry(judge, limiter=limiter, on_result=judge)
    with no_waiting():
        assert policy.call(Flaky("bad", OSError(), "good")) == "good"
        assert limiter.stats().in_flight == 0
        for error in (ValueError(), OSError(), KeyboardInterrupt()):
            with pytest.raises(type(error)):
                policy.call(Flaky(error))
            assert limiter.stats().in_flight == 0
        for outcome in ("broken", KeyError()):
            with pytest.raises(ZeroDivisionError):
                policy.call(Flaky(outcome))
            assert limiter.stats().in_flight == 0
    assert limiter.stats().granted == 3 + 1 + 5 + 1 + 2


def test_a_pause_comes_before_the_place_is_free() -> None:
    """Nobody slips in between an attempt that was told to wait and the others."""
    clock = ManualClock()
    limiter = RateLimiter(max_concurrent=1, clock=clock)
    order: list[str] = []
    policy = retry(lambda _: 30, attempts=1, limiter=limiter, clock=clock)

    def other() -> None:
        with limiter:
            order.append(f"other at {clock.now():g}")

    def call() -> None:
        stack.enter_context(threads(other))
        eventually(lambda: limiter.stats().waiting == 1)
        raise OSError

    with ExitStack() as stack:
        with pytest.raises(OSError):
            policy.call(call)
        eventually(lambda: limiter.stats().in_flight == 0 and bool(clock._timers))
        assert order == []
        clock.advance(30)
    assert order == ["other at 30"]


@pytest.mark.anyio
async def test_blocks_hold_a_place() -> None:
    """Inside of an attempt's block, and nowhere else in the loop."""
    limiter = RateLimiter(max_concurrent=1)
    policy = retry(OSError, attempts=3, limiter=limiter)
    inside: list[int] = []

    def note() -> None:
        inside.append(limiter.stats().in_flight)

    with no_waiting():
        for attempt in policy:
            note()
            with attempt:
                note()
                if attempt.number == 1:
                    raise OSError
            note()
        assert inside == [0, 1, 0] * 2
        async for attempt in policy:
            note()
            async with attempt:
                note()
                if attempt.number == 1:
                    raise OSError
            note()
    assert inside == [0, 1, 0] * 4


def test_generators_keep_their_place() -> None:
    """From the first item on until it ends, is closed or dropped, one is inside."""
    limiter = RateLimiter(max_concurrent=1)
    step = Flaky(OSError(), 1)

    @retry(OSError, limiter=limiter)
    def items() -> Generator[int, None, None]:
        yield step()
        yield 2

    with no_waiting():
        some = items()
        assert limiter.stats().in_flight == 0
        assert (next(some), limiter.stats().in_flight) == (1, 1)
        assert (list(some), limiter.stats().in_flight) == ([2], 0)
        some = items()
        next(some)
        some.close()
        assert limiter.stats().in_flight == 0
        some = items()
        next(some)
        del some
        gc.collect()
    assert limiter.stats().in_flight == 0


@pytest.mark.anyio
async def test_async_generators_keep_their_place() -> None:
    """So do async ones."""
    limiter = RateLimiter(max_concurrent=1)
    step = Flaky(OSError(), 1)

    @retry(OSError, limiter=limiter)
    async def items() -> AsyncGenerator[int, None]:
        yield step()
        yield 2

    with no_waiting():
        some = items()
        assert limiter.stats().in_flight == 0
        assert (await anext(some), limiter.stats().in_flight) == (1, 1)
        assert [item async for item in some] == [2]
        assert limiter.stats().in_flight == 0
        some = items()
        await anext(some)
        await some.aclose()
    assert limiter.stats().in_flight == 0


def test_what_a_server_asks_holds_for_all() -> None:
    """It pauses the limiter, so that nobody runs into the same refusal."""
    clock = JumpingClock()
    limiter = RateLimiter("1000/s", burst=9, clock=clock)
    policy = retry(lambda _: 30, attempts=1, limiter=limiter, clock=clock)
    with pytest.raises(OSError):
        policy.call(Flaky(OSError()))

    assert limiter.try_permit() is None
    clock.time = 29.0
    assert limiter.try_permit() is None
    clock.time = 30.0
    permit = limiter.try_permit()
    assert permit is not None
    permit.release()


def test_what_a_server_asks_by_a_result_holds_for_all() -> None:
    """A result may tell as well; an own backoff, or a wait of 0, pauses nobody."""
    clock = JumpingClock()
    limiter = RateLimiter("1000/s", burst=9, clock=clock)

    def paused_by(answer: object) -> bool:
        policy = retry(OSError, attempts=1, limiter=limiter, on_result=lambda it: it)
        policy.call(Flaky(answer))
        return limiter.try_permit() is None

    assert not paused_by(True)
    assert not paused_by(0)
    assert not paused_by(False)
    assert paused_by(5)


def test_retries_after_a_pause_are_admitted() -> None:
    """Who has paused the limiter waits no longer than everybody else."""
    clock = JumpingClock()
    limiter = RateLimiter("1000/s", burst=9, slack=0, clock=clock)
    policy = retry(lambda _: 30, limiter=limiter, jitter="none", clock=clock)

    assert policy.call(Flaky(OSError(), "done")) == "done"
    assert clock.time == 30


def test_a_limiter_that_is_too_late() -> None:
    """If it lets nobody start before the deadline, the last error is raised at once.

    It is untouched but for the note, and the limiter's refusal is not its context.
    """
    clock = JumpingClock()
    heard: list[Event] = []
    limiter = RateLimiter("1/min", slack=0, max_concurrent=1, clock=clock)
    policy = retry(OSError, limiter=limiter, clock=clock, name="api", **EVEN)
    error = OSError()
    error.__context__ = context = KeyError()
    with subscribe(heard.append), pytest.raises(OSError) as info:
        policy.call(Flaky(error))

    assert info.value is error
    assert error.__context__ is context
    (text,) = error.__notes__  # type: ignore[attr-defined]  # ours
    assert text == (
        "retry 'api': gave up after 2 attempts in 1 s, since no other attempt could"
        " begin before the deadline"
    )
    assert clock.time == 1
    assert limiter.stats().in_flight == 0
    (told,) = [event for event in heard if isinstance(event, RetryGaveUp)]
    assert told.reason == "deadline"


@pytest.mark.anyio
async def test_a_limiter_that_is_too_late_for_other_forms() -> None:  # noqa: C901 - the forms
    """The same in tasks, blocks and generators."""
    clock = ManualClock()
    limiter = RateLimiter("1/min", slack=0, max_concurrent=1, clock=clock)
    policy = retry(OSError, limiter=limiter, clock=clock, **EVEN)
    error = OSError()

    async def later() -> None:
        raise error

    @policy
    async def later_items() -> AsyncGenerator[int, None]:
        raise error
        yield 1

    @policy
    def items() -> Iterator[int]:
        raise error
        yield 1

    async def block() -> None:
        async for attempt in policy:
            async with attempt:
                raise error

    def sync_block() -> None:
        for attempt in policy:
            with attempt:
                raise error

    async with moving(clock):
        for form in (policy(later), lambda: anext(later_items()), block):
            clock.advance(60)
            with pytest.raises(OSError) as info:
                await form()
            assert info.value is error
    with no_waiting():
        for sync_form in (lambda: next(items()), sync_block):
            clock.advance(60)
            with pytest.raises(OSError) as info:
                sync_form()
            assert info.value is error
    assert limiter.stats().in_flight == 0


@pytest.mark.anyio
async def test_a_limiter_that_is_too_late_for_the_first_attempt() -> None:
    """There is no last error then, and its own is raised, though not retried."""
    clock = JumpingClock()
    limiter = RateLimiter("1/min", slack=0, clock=clock)
    policy = retry(Exception, timeout=5, limiter=limiter, clock=clock)
    limiter.permit().wait()
    step = Flaky(1)

    async def later() -> object:
        return step()

    with pytest.raises(RateLimitExceeded) as info:
        policy.call(step)
    assert info.value.retry_after == 60
    with pytest.raises(RateLimitExceeded):
        await policy.acall(later)
    assert step.calls == 0


def test_a_limiter_without_a_deadline() -> None:
    """Without a timeout an attempt waits for its permit as long as that takes."""
    clock = JumpingClock()
    limiter = RateLimiter("1/day", slack=0, clock=clock)
    policy = retry(OSError, timeout=None, limiter=limiter, clock=clock)

    assert policy.call(Flaky(OSError(), 1)) == 1
    assert clock.time == 86_400


def test_a_view_of_one_key() -> None:
    """Any view of a limiter by key serves as a limiter."""
    clock = JumpingClock()
    limiters = KeyedRateLimiter("1/min", slack=0, clock=clock)
    heard: list[Event] = []
    policy = retry(OSError, limiter=limiters["Ada"], timeout=None, clock=clock)
    with subscribe(heard.append):
        assert policy.call(Flaky(OSError(), 1)) == 1

    assert clock.time == 60
    assert limiters["Ada"].try_permit() is None
    assert limiters["Bob"].try_permit() is not None
    assert sum(isinstance(event, RetryScheduled) for event in heard) == 1


@pytest.mark.anyio
async def test_the_last_result_is_returned_when_no_attempt_can_start() -> None:
    """A limiter that lets nobody start before the deadline doesn't hide it."""
    clock = ManualClock()
    limiter = RateLimiter("1/min", slack=0, clock=clock)
    policy = retry(
        *(OSError,),
        timeout=5,
        wait_initial=0,
        on_result=lambda _: True,
        limiter=limiter,
        clock=clock,
    )

    async def later() -> str:
        return "bad"

    assert policy.call(lambda: "bad") == "bad"
    clock.advance(60)
    assert await policy.acall(later) == "bad"
    assert limiter.stats().granted == 2


def test_a_full_table_of_keys_does_not_hide_the_last_error() -> None:
    """It refuses new keys, and the error that was there before is the one to see."""
    clock = ManualClock()
    limiters = KeyedRateLimiter("50/s", max_concurrent=1, max_keys=1, clock=clock)
    others: list[Permit | None] = []

    def fill(event: Event) -> None:
        if isinstance(event, RetryScheduled):
            clock.advance(0.5)  # ours owes nothing any more, and is forgotten
            others.append(limiters["other"].try_permit())

    policy = retry(OSError, limiter=limiters["mine"], clock=clock)
    with subscribe(fill), no_waiting(), pytest.raises(OSError, match="mine") as caught:
        policy.call(Flaky(OSError("mine")))
    (other,) = others
    assert other is not None
    other.release()
    assert caught.value.__context__ is None
