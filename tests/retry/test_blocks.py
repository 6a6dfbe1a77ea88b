"""The block form: a loop that goes round while its block fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anyio.lowlevel import checkpoint

from concutil import Attempt, RateLimiter, RateLimitExceeded, retry
from concutil.events import Event, RetryScheduled, subscribe
from concutil.testing import no_waiting
from virtual import Flaky, JumpingClock, in_async_block, in_block

policy = retry(ConnectionError, attempts=3)


@pytest.fixture(autouse=True)
def no_waits() -> Iterator[None]:
    """No test here is about time."""
    with no_waiting():
        yield


def errors(count: int) -> list[ConnectionError]:
    """Return as many errors to be retried."""
    return [ConnectionError(n) for n in range(count)]


def test_a_block_is_run_again_until_it_succeeds() -> None:
    """Each round has the next attempt, and the one that succeeds is the last."""
    step, numbers = Flaky(*errors(2), "done"), []
    for attempt in policy:
        numbers.append(attempt.number)
        with attempt as same:
            assert same is attempt
            result = step()

    assert (result, numbers, attempt.number) == ("done", [1, 2, 3], 3)


@pytest.mark.anyio
async def test_an_async_block() -> None:
    """The same in a task, by `async for` and `async with`."""
    step, numbers = Flaky(*errors(2), "done"), []
    async for attempt in policy:
        numbers.append(attempt.number)
        async with attempt as same:
            assert same is attempt
            await checkpoint()
            result = step()

    assert (result, numbers) == ("done", [1, 2, 3])


@pytest.mark.anyio
async def test_a_sync_block_in_an_async_loop() -> None:
    """`with` under `async for` is for blocks that await nothing."""
    step = Flaky(*errors(2), "done")
    async for attempt in policy:
        with attempt:
            result = step()

    assert (result, step.calls) == ("done", 3)


@pytest.mark.anyio
async def test_the_last_error_leaves_the_loop() -> None:
    """It is raised itself, and so is any that isn't retried."""
    some = errors(3)
    step, other = Flaky(*some), Flaky(ValueError())

    with pytest.raises(ConnectionError) as info:
        in_block(policy, step)
    assert info.value is some[2]
    step = Flaky(*some)
    with pytest.raises(ConnectionError) as info:
        await in_async_block(policy, step)
    assert info.value is some[2]
    with pytest.raises(ValueError):
        in_block(policy, other)
    with pytest.raises(ValueError):
        await in_async_block(policy, other)
    assert (step.calls, other.calls) == (3, 2)


def test_a_block_that_is_left_ends_the_loop() -> None:
    """Whether it is left by `break`, `continue`, `return` or its end: it succeeded."""

    def returning() -> str:
        for attempt in policy:
            with attempt:
                return "returned"
        return "fell through"

    rounds = []
    for attempt in policy:
        with attempt:
            rounds.append("continue")
            continue
    for attempt in policy:
        with attempt:
            rounds.append("break")
            break
    assert rounds == ["continue", "break"]
    assert returning() == "returned"


def test_a_loop_can_be_left_after_a_failure() -> None:
    """Whoever has seen enough breaks off between two attempts."""
    step = Flaky(*errors(3))
    for attempt in policy:
        with attempt:
            step()
        if attempt.number == 2:
            break

    assert step.calls == 2


def test_what_an_attempt_tells() -> None:
    """Its number, the error before it, the next wait, and the time that is left."""
    clock = JumpingClock()
    told: list[tuple[int, str, float, float | None]] = []
    options = {"timeout": 60, "wait_initial": 1, "jitter": "none"}
    some = errors(2)
    for attempt in retry(ConnectionError, clock=clock, **options):
        with attempt:
            before, wait = repr(attempt.last_exception), attempt.next_wait
            told.append((attempt.number, before, wait, attempt.remaining))
            clock.time += 10
            if attempt.number < 3:
                raise some[attempt.number - 1]

    assert told == [
        (1, "None", 1, 60),
        (2, "ConnectionError(0)", 2, 50),
        (3, "ConnectionError(1)", 4, 40),
    ]
    clock.time += 60
    assert (attempt.last_exception, attempt.remaining) == (None, 0)
    for attempt in retry(OSError, timeout=None):
        with attempt:
            assert attempt.remaining is None


def test_the_next_wait_is_drawn_once() -> None:
    """What an attempt tells is what is waited then, even if it is left to chance."""
    heard: list[Event] = []
    waits = []
    with subscribe(heard.append):
        for attempt in retry(ConnectionError, attempts=9):
            with attempt:
                waits.append(attempt.next_wait)
                assert attempt.next_wait == waits[-1]
                if attempt.number < 9:
                    raise ConnectionError

    told = [event.wait for event in heard if isinstance(event, RetryScheduled)]
    assert told == waits[:-1]
    assert len(set(waits)) == 9


def test_a_repr_tells_its_state() -> None:
    """It shows which attempt of what it is, and how it is getting on."""
    named = retry(ConnectionError, name="api")
    seen = []
    for attempt in named:
        seen.append(repr(attempt))
        with attempt:
            seen.append(repr(attempt))
            if attempt.number == 1:
                raise ConnectionError
        seen.append(repr(attempt))

    assert seen == [
        "<Attempt 1 of retry 'api': new>",
        "<Attempt 1 of retry 'api': inside>",
        "<Attempt 1 of retry 'api': failed>",
        "<Attempt 2 of retry 'api': new>",
        "<Attempt 2 of retry 'api': inside>",
        "<Attempt 2 of retry 'api': over>",
    ]
    for attempt in policy:
        with attempt:
            assert repr(attempt) == "<Attempt 1 of retry: inside>"


@pytest.mark.anyio
async def test_an_attempt_that_is_not_entered_is_an_error() -> None:
    """A loop whose body skips its block can't go round for ever."""
    rounds = 0

    def skip() -> None:
        nonlocal rounds
        for _attempt in policy:
            rounds += 1

    async def later_skip() -> None:
        nonlocal rounds
        async for _attempt in policy:
            rounds += 1

    with pytest.raises(RuntimeError, match="new> was not entered, or not left"):
        skip()
    with pytest.raises(RuntimeError, match="new> was not entered, or not left"):
        await later_skip()
    assert rounds == 2


def test_an_attempt_that_is_not_left_is_an_error() -> None:
    """The next attempt can't begin within this one."""
    rounds = iter(policy)
    attempt = next(rounds)
    with attempt, pytest.raises(RuntimeError, match="inside> was not entered, or not"):
        next(rounds)


@pytest.mark.anyio
async def test_an_attempt_is_entered_once() -> None:
    """Neither while it is open nor later it can be entered again."""
    for attempt in policy:
        with attempt, pytest.raises(RuntimeError, match=r"once, not again: .* inside>"):
            attempt.__enter__()
    with pytest.raises(RuntimeError, match=r"entered once, not again: .* over>"):
        attempt.__enter__()
    async for attempt in policy:
        async with attempt:
            with pytest.raises(RuntimeError, match="entered once, not again"):
                await attempt.__aenter__()


@pytest.mark.anyio
async def test_an_async_block_under_for_is_refused() -> None:
    """The wait after it would block the loop: `async with` needs `async for`."""
    for attempt in policy:
        with pytest.raises(TypeError, match="`async with attempt` needs `async for"):
            await attempt.__aenter__()
        with attempt:
            pass


@pytest.mark.anyio
async def test_a_sync_block_can_not_be_cut() -> None:
    """Under an *attempt_timeout* only `async with` is allowed."""
    cut = retry(ConnectionError, attempt_timeout=5, name="api")
    message = r"retry 'api' has attempt_timeout=5, and a block .* can't be cut"

    with pytest.raises(TypeError, match=message):
        iter(cut)
    async for attempt in cut:
        with pytest.raises(TypeError, match=message):
            attempt.__enter__()
        async with attempt:
            pass


@pytest.mark.anyio
async def test_a_block_has_no_result() -> None:
    """A policy that judges results is refused when the loop begins."""
    judging = retry(ConnectionError, on_result=bool)

    with pytest.raises(TypeError, match="has on_result=, and a block has no result"):
        iter(judging)
    with pytest.raises(TypeError, match="has on_result=, and a block has no result"):
        aiter(judging)


@pytest.mark.anyio
async def test_a_limiter_that_refuses_the_first_attempt() -> None:
    """Its own error is raised, since there is no other; nothing is inside then."""
    clock = JumpingClock()
    limiter = RateLimiter("1/h", slack=0, max_concurrent=1, clock=clock)
    limited = retry(Exception, timeout=60, limiter=limiter, clock=clock)
    limiter.permit().wait().release()

    with pytest.raises(RateLimitExceeded):
        in_block(limited, Flaky(1))
    with pytest.raises(RateLimitExceeded):
        await in_async_block(limited, Flaky(1))
    assert limiter.stats().in_flight == 0


@pytest.mark.anyio
async def test_a_loop_may_be_made_before_it_runs() -> None:
    """The attempts of a loop are an iterator, which is its own."""
    for rounds in (iter(policy), iter(iter(policy))):
        step = Flaky(*errors(2), "done")
        for attempt in rounds:
            with attempt:
                step()
        assert step.calls == 3
    later_rounds = aiter(aiter(policy))
    async for attempt in later_rounds:
        async with attempt:
            if attempt.number < 3:
                raise ConnectionError
    assert attempt.number == 3


def test_loops_of_one_policy_do_not_meddle() -> None:
    """A loop within a loop has its own attempts."""
    numbers: list[tuple[int, int]] = []
    for outer in policy:
        with outer:
            for inner in policy:
                with inner:
                    numbers.append((outer.number, inner.number))
                    if inner.number == 1:
                        raise ConnectionError
            if outer.number == 1:
                raise ConnectionError

    assert numbers == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert isinstance(outer, Attempt)
