"""What people who know other limiters take for granted.

The cases are those that the public tests of Go's x/time/rate and Rust's governor state,
as far as this API has them, in its own terms.
"""

from __future__ import annotations

from collections import Counter

import anyio
import pytest

from concutil import KeyedRateLimiter, RateLimiter, RateLimitExceeded
from concutil.testing import ManualClock
from patience import threads

STEP_S = 0.125  # at 8 calls a second: exact as a float


@pytest.fixture
def clock() -> ManualClock:
    """A clock for the test alone."""
    return ManualClock()


@pytest.mark.parametrize(
    ("burst", "program"),
    [
        (1, [(0, 1, True), (0, 1, False), (1, 1, True), (1, 1, False), (2, 1, True)]),
        (3, [(0, 2, True), (0, 2, False), (0, 1, True), (0, 1, False)]),
        (3, [(0, 3, True), (2, 1, True), (3, 1, True), (4, 2, True), (4, 1, False)]),
        (3, [(0, 3, True), (9, 3, True), (9, 1, False), (10, 2, False), (11, 2, True)]),
    ],
)
def test_who_is_let_in_at_which_step(
    burst: float, program: list[tuple[int, float, bool]], clock: ManualClock
) -> None:
    """A burst is there at once, and then one more for each step of the rate."""
    limiter = RateLimiter("8/s", burst=burst, slack=0, clock=clock)
    for step, cost, admitted in program:
        clock.advance(step * STEP_S - clock.now())
        assert (limiter.try_permit(cost) is not None) == admitted, (step, cost)


@pytest.mark.parametrize("rate", [10 / 13, 1 / 3, 1e-9, 1e6])
def test_any_rate_lets_the_first_in(rate: float, clock: ManualClock) -> None:
    """No rounding keeps the first call of an odd, slow or fast rate out."""
    limiter = RateLimiter(calls_per_second=rate, slack=0, clock=clock)
    assert limiter.try_permit() is not None
    assert limiter.try_permit() is None
    clock.advance(1 / rate)

    assert limiter.try_permit() is not None


def test_a_long_idle_spell_gives_no_more_than_the_burst(clock: ManualClock) -> None:
    """After any time without a call exactly the burst is ready."""
    limiter = RateLimiter("5/s burst 5", slack=0, clock=clock)
    for idle in (0, 2, 3600, 1e6):
        clock.advance(idle)
        assert [limiter.try_permit() is not None for _ in range(6)] == [True] * 5 + [
            False
        ]


@pytest.mark.parametrize("keyed", [False, True])
def test_threads_at_once_get_the_burst_and_no_more(
    *, keyed: bool, clock: ManualClock
) -> None:
    """Of many who try in the same moment as many are let in as the burst allows."""
    options = {"calls_per_second": 1, "burst": 5, "slack": 0, "clock": clock}
    limiter = KeyedRateLimiter(**options)["a"] if keyed else RateLimiter(**options)
    outcomes: list[bool] = []
    with threads(*[lambda: outcomes.append(limiter.try_permit() is not None)] * 15):
        pass

    assert Counter(outcomes) == {True: 5, False: 10}
    assert limiter.stats().granted == 5


def test_in_the_long_run_the_rate_is_reached_and_kept(clock: ManualClock) -> None:
    """Asked five times as often, it gives all that it may, and not a call more."""
    limiter = RateLimiter("100/s burst 100", slack=0, clock=clock)
    granted = 0
    for _ in range(5 * 512):
        granted += limiter.try_permit() is not None
        clock.advance(1 / 512)

    assert granted == 100 + 500 - 1  # that of the last instant comes after the loop
    assert limiter.try_permit() is not None


def test_to_wait_as_long_as_was_told_is_enough(clock: ManualClock) -> None:
    """Whoever comes back after `retry_after` is let in, every time."""
    limiter = RateLimiter("5/s", burst=5, slack=0, clock=clock)
    refused = 0
    for _ in range(50):
        clock.advance(0.001)
        try:
            limiter.permit(timeout=0).wait()
        except RateLimitExceeded as error:
            refused += 1
            clock.advance(error.retry_after)
            limiter.permit(timeout=0).wait()

    assert refused == 45


def test_to_look_takes_nothing(clock: ManualClock) -> None:
    """Stats and reprs may be had any number of times, and change no decision."""
    limiters = KeyedRateLimiter("2/s burst 2", slack=0, clock=clock)
    for limiter in (RateLimiter("2/s burst 2", slack=0, clock=clock), limiters["a"]):
        for left in (2, 1, 0):
            for _ in range(10):
                assert (limiter.stats().next_in == 0) == (left > 0)
                assert "2/s burst 2: 0 waiting" in repr(limiter)
            assert (limiter.try_permit() is not None) == (left > 0)


def test_what_was_borrowed_is_paid_off_first(clock: ManualClock) -> None:
    """A call that has cost more than there was keeps others out until it is paid."""
    limiter = RateLimiter("2/s", burst=2, slack=0, clock=clock)
    permit = limiter.try_permit(2)
    assert permit is not None
    permit.adjust(4)

    for next_in in (1.0, 0.5, 0.0):
        assert limiter.try_permit(2) is None
        clock.advance(0.5)
        assert limiter.stats().next_in == next_in
    assert limiter.try_permit(2) is None
    clock.advance(0.5)
    assert limiter.try_permit(2) is not None


def test_a_patience_is_enough_or_not(clock: ManualClock) -> None:
    """A timeout as long as the wait is enough; who comes behind needs a longer one."""
    limiter = RateLimiter("8/s", burst=2, slack=0, clock=clock)
    limiter.permit(2, timeout=0).wait()
    with pytest.raises(RateLimitExceeded) as refused:
        limiter.permit(2, timeout=STEP_S).wait()
    assert refused.value.retry_after == 2 * STEP_S
    with pytest.raises(ValueError, match="burst"):
        limiter.permit(3, timeout=99)
    clock.advance(2 * STEP_S)

    assert limiter.try_permit(2) is not None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("burst", "asked", "started"),
    [
        (2, [(0, 2), (0, 2), (3, 2)], [0, 2, 4]),
        (2, [(0, 2), (1, 2), (1, 1)], [0, 2, 3]),
        (4, [(0, 4), (0, 3), (0, 1), (0, 1)], [0, 3, 4, 5]),
    ],
)
async def test_who_waits_starts_when_the_rate_has_made_up_for_all_before(
    burst: float, asked: list[tuple[int, float]], started: list[int], clock: ManualClock
) -> None:
    """Each starts as early as the rate allows behind all who asked earlier."""
    limiter = RateLimiter("8/s", burst=burst, slack=0, clock=clock)
    seen: list[float] = []

    async def start(cost: float) -> None:
        await limiter.permit(cost)
        seen.append(clock.now() / STEP_S)

    async with anyio.create_task_group() as group:
        for step in range(6):
            for _, cost in filter(lambda ask: ask[0] == step, asked):
                group.start_soon(start, cost)
                await anyio.wait_all_tasks_blocked()
            clock.advance(STEP_S)
            await anyio.wait_all_tasks_blocked()

    assert seen == started


@pytest.mark.anyio
async def test_who_gives_up_waiting_takes_nothing(clock: ManualClock) -> None:
    """What a cancelled wait would have taken is there for the next, at once."""
    limiter = RateLimiter("8/s", burst=3, slack=0, clock=clock)
    await limiter.permit(2)

    async with anyio.create_task_group() as group:
        group.start_soon(limiter.permit(3).__aenter__)
        await anyio.wait_all_tasks_blocked()
        clock.advance(STEP_S)
        group.cancel_scope.cancel()

    assert limiter.try_permit(2) is not None
    assert limiter.try_permit() is None


@pytest.mark.anyio
async def test_a_faster_rate_brings_a_wait_forward(clock: ManualClock) -> None:
    """Half of the wait is over, and the other half takes half as long."""
    limiter = RateLimiter("4/s", burst=2, slack=0, clock=clock)
    await limiter.permit(2)
    seen: list[float] = []

    async def start() -> None:
        await limiter.permit(2)
        seen.append(clock.now() / STEP_S)

    async with anyio.create_task_group() as group:
        group.start_soon(start)
        for step in range(1, 5):
            await anyio.wait_all_tasks_blocked()
            clock.advance(STEP_S)
            if step == 2:
                limiter.update("8/s burst 2")

    assert seen == [3]


def test_keys_are_forgotten_when_they_owe_nothing(clock: ManualClock) -> None:
    """One after the other makes room, in the order in which they were done."""
    limiters = KeyedRateLimiter("1/s", slack=0, clock=clock, max_keys=3)
    for key, until_next in (("foo", 0.25), ("bar", 0.5), ("baz", 0)):
        with limiters[key]:
            pass
        clock.advance(until_next)
    assert len(limiters) == 3

    for new, wait in (("a", 0.25), ("b", 0.25), ("c", 0.5)):
        with pytest.raises(RateLimitExceeded) as refused:
            limiters[new].permit()
        assert refused.value.retry_after == wait
        clock.advance(wait)
        with limiters[new]:
            pass
        assert len(limiters) == 3
