"""Calls inside of calls, and what outlives them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator

import anyio.to_thread
import pytest

from concutil import RateLimiter, Retry, RetryBudget, retry
from concutil._retry.call import Call
from concutil._retry.policy import NOTHING, Use
from concutil.testing import ManualClock
from patience import LONG_S
from virtual import Flaky, moving

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


def use_of(policy: Retry) -> Use:
    return Use(policy._policy, None)


def test_a_call_that_never_began_binds_nobody() -> None:
    """Ctrl-C may come between the making of a call and its beginning."""
    clock = ManualClock()
    never = Call(use_of(retry(OSError, timeout=1, clock=clock)))  # not published
    clock.advance(5)
    after = Call(use_of(retry(OSError, timeout=9, clock=clock)))
    assert never.use is not NOTHING
    assert after.left() == 9


@pytest.mark.anyio
@on_asyncio
async def test_calls_that_are_over_are_forgotten() -> None:
    """Each task starts the next one inside of its attempt: no chain is kept."""
    policy = retry(OSError)
    depths: list[int] = []

    def depth(call: Call | None) -> int:
        return 0 if call is None else 1 + depth(call.outer)

    async def step(rest: int) -> None:
        depths.append(depth(Call(use_of(policy))))
        if rest:
            tasks.append(asyncio.ensure_future(policy.acall(step, rest - 1)))
            for _ in range(3):  # so that the next one begins inside of this one
                await asyncio.sleep(0)

    tasks = [asyncio.ensure_future(policy.acall(step, 50))]
    for task in tasks:
        await task
    assert len(depths) == 51
    assert 2 < max(depths) < 9


@pytest.mark.anyio
@on_asyncio
async def test_a_task_that_outlives_a_call_that_ended_well_is_not_cut() -> None:
    """Its own policy has no deadline, so its attempt may take as long as it likes."""
    clock = ManualClock()
    background: list[asyncio.Task[str]] = []
    go_on = asyncio.Event()

    @retry(OSError, timeout=None, clock=clock)
    async def listen() -> str:
        await go_on.wait()
        return "heard"

    @retry(OSError, timeout=5, clock=clock)
    async def connect() -> None:
        background.append(asyncio.ensure_future(listen()))
        await asyncio.sleep(0)

    await connect()
    clock.advance(60)
    await asyncio.sleep(0)
    go_on.set()
    assert await background[0] == "heard"


@pytest.mark.anyio
async def test_a_thread_that_outlives_a_cut_call_stops_at_its_deadline() -> None:
    """What had begun inside of a call does not go on after that was cut."""
    clock = ManualClock()
    begun, is_cut, ended = (threading.Event() for _ in range(3))
    attempts: list[float] = []

    def failing() -> None:
        attempts.append(clock.now())
        begun.set()
        is_cut.wait(LONG_S)
        raise OSError

    def inside() -> None:
        try:
            retry(OSError, attempts=None, timeout=60, clock=clock).call(failing)
        except OSError:
            ended.set()

    @retry(OSError, timeout=5, clock=clock)
    async def outer() -> None:
        await anyio.to_thread.run_sync(inside, abandon_on_cancel=True)

    async def run() -> None:
        with pytest.raises(TimeoutError):
            await outer()
        is_cut.set()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        assert await anyio.to_thread.run_sync(begun.wait, LONG_S)
        clock.advance(5)
    assert await anyio.to_thread.run_sync(lambda: ended.wait(LONG_S))
    assert attempts == [0]


@pytest.mark.parametrize("way", ["break", "error"])
def test_a_loop_that_is_left_after_a_failed_attempt(way: str) -> None:
    """The retry that it took is given back, and nothing is left for the collector."""
    budget = RetryBudget(1, min_per_second=0.5)
    policy = retry(OSError, budget=budget, wait_initial=0)
    errors: list[weakref.ref[OSError]] = []

    class SeenError(OSError):
        """Can be referred to weakly."""

    def loop() -> None:
        for attempt in policy:
            with attempt:
                error = SeenError()
                errors.append(weakref.ref(error))
                try:
                    raise error
                finally:
                    del error
            if way == "break":
                break
            raise LookupError

    gc.disable()
    try:
        if way == "break":
            loop()
        else:
            with pytest.raises(LookupError):
                loop()
        assert errors[0]() is None
    finally:
        gc.enable()
    assert repr(budget).endswith(": 0 of 6 spent>")


def test_generator_functions_are_decorated_not_called() -> None:
    """A call of one does nothing that could be tried again."""

    def items() -> object:
        yield 1

    with pytest.raises(TypeError, match="decorate it with the policy"):
        retry(OSError).call(items)


def test_an_async_call_inside_of_a_sync_one_is_cut_at_its_deadline() -> None:
    """The one around it can't cut, so this one does."""
    clock = ManualClock()
    inner = retry(OSError, timeout=None, clock=clock)

    @retry(OSError, timeout=5, clock=clock)
    def outer() -> None:
        asyncio.run(main())

    async def main() -> None:
        async with moving(clock):
            with pytest.raises(TimeoutError, match="met the deadline"):
                await inner.acall(anyio.sleep_forever)

    outer()
    assert clock.now() == 5


def test_an_inner_call_gives_up_with_the_outer_in_the_same_thread() -> None:
    """A sync call can't cut, but what is inside waits no longer than it may."""
    clock = ManualClock()
    inner = retry(OSError, timeout=60, wait_initial=30, jitter="none", clock=clock)
    outer = retry(ValueError, timeout=5, clock=clock)
    flaky = Flaky(OSError())
    with pytest.raises(OSError):
        outer.call(inner.call, flaky)
    assert flaky.calls == 1


def test_a_loop_that_is_dropped_waits_for_nothing() -> None:
    """The collector may drop it in a thread that holds the limiter's own lock."""
    limiter = RateLimiter(max_concurrent=1)
    rounds = iter(retry(OSError, limiter=limiter))
    next(rounds).__enter__()
    with limiter._gate.lock:
        del rounds
    assert limiter.stats().in_flight == 0


@pytest.mark.parametrize("form", ["sync", "async", "block", "items", "async items"])
def test_a_context_keeps_no_policy_alive(form: str) -> None:
    """Of a call that has ended only a stub is left, not what it was called with."""

    class Client:
        """What a predicate may hold."""

        def is_lost(self, error: Exception) -> bool:
            return isinstance(error, OSError)

    client = Client()
    policy = retry(client.is_lost, attempts=2, wait_initial=0)
    context = contextvars.copy_context()
    context.run(once[form], policy, Flaky(OSError(), 1))
    held = weakref.ref(client)
    del client, policy
    gc.collect()
    assert held() is None
    assert context  # which is still there


def block_once(policy: Retry, step: Flaky) -> None:
    for attempt in policy:
        with attempt:
            step()


def items_once(policy: Retry, step: Flaky) -> None:
    def items() -> Iterator[object]:
        yield step()

    assert list(policy(items)()) == [1]


async def later(step: Flaky) -> object:
    return step()


async def async_items_once(policy: Retry, step: Flaky) -> None:
    async def items() -> AsyncIterator[object]:
        yield step()

    assert [item async for item in policy(items)()] == [1]


once: dict[str, Callable[[Retry, Flaky], object]] = {
    "sync": lambda policy, step: policy.call(step),
    "async": lambda policy, step: asyncio.run(policy.acall(later, step)),
    "block": block_once,
    "items": items_once,
    "async items": lambda policy, step: asyncio.run(async_items_once(policy, step)),
}
