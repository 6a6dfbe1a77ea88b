"""Where a test makes the time of a loop virtual, backoffs go by that."""

from __future__ import annotations

import asyncio

import pytest
import trio
import trio.testing

from concutil import Retry, retry
from virtual import Flaky, in_async_block

DAY_S = 86_400.0


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time is that of its next timer, as soon as nothing else is left."""

    passed = 0.0

    def time(self) -> float:
        return self.passed

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self.passed = max(self.passed, self._scheduled[0].when())
        super()._run_once()  # type: ignore[misc]  # it is there


def policy(timeout: float | None = None) -> Retry:
    """Return a policy that waits a day before each of its two retries."""
    return retry(
        OSError,
        attempts=3,
        timeout=timeout,
        wait_initial=DAY_S,
        wait_max=DAY_S,
        backoff_factor=1,
        jitter="none",
    )


async def act() -> int:
    """Fail twice, succeed, and do the same in a block."""
    step = Flaky(OSError(), OSError(), 5)

    async def call() -> int:
        return step()

    again = Flaky(OSError(), OSError(), 6)
    return await policy().acall(call) + await in_async_block(policy(), again)


def test_on_trio() -> None:
    """The clock of trio that jumps to the next deadline jumps over four days."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    assert trio.run(act, clock=clock) == 11
    assert clock.current_time() == pytest.approx(4 * DAY_S)


def test_on_asyncio() -> None:
    """So does a loop of asyncio with a time of its own."""
    loop = VirtualLoop()
    try:
        assert loop.run_until_complete(act()) == 11
    finally:
        loop.close()
    assert loop.passed == pytest.approx(4 * DAY_S)


def test_an_attempt_is_cut_by_the_time_of_its_loop() -> None:
    """However long it would take, and without waiting for that."""
    clock = trio.testing.MockClock(autojump_threshold=0)

    async def call() -> None:
        await policy(timeout=DAY_S).acall(trio.sleep, 2 * DAY_S)

    with pytest.raises(TimeoutError, match="met the deadline"):
        trio.run(call, clock=clock)
    assert clock.current_time() == pytest.approx(DAY_S)


def test_what_is_left_is_counted_in_real_seconds() -> None:
    """Two waits of a day fit into a day and a half, of which nothing has passed."""

    async def call() -> int:
        step = Flaky(OSError(), OSError(), 5)
        return await in_async_block(policy(timeout=1.5 * DAY_S), step)

    assert trio.run(call, clock=trio.testing.MockClock(autojump_threshold=0)) == 5
