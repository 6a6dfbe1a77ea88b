"""Waits that take no time: clocks that move on by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from concutil import Attempt
from concutil.testing import ManualClock

T = TypeVar("T")


class JumpingClock:
    """A clock that moves on to whatever time anybody waits for.

    For one thread or task at a time, and nothing that is cut at a deadline.
    """

    def __init__(self) -> None:
        self.time = 0.0
        self.waits: list[float] = []

    def now(self) -> float:
        """Return the time."""
        return self.time

    def call_at(self, when: float, wake: Callable[[], object]) -> Callable[[], object]:
        """Move on to *when*, and call *wake*."""
        self.waits.append(when - self.time)
        self.time = max(self.time, when)
        wake()
        return int


@asynccontextmanager
async def moving(clock: ManualClock) -> AsyncIterator[None]:
    """Move *clock* on to its next timer, once all others have had turns enough."""

    async def move() -> None:
        while True:
            for _ in range(20):  # whoever was woken gets where it waits again
                await checkpoint()
            if clock._timers:
                clock.advance(max(0.0, clock._timers[0][0] - clock.now()))

    async with anyio.create_task_group() as group:
        group.start_soon(move)
        try:
            yield
        finally:
            group.cancel_scope.cancel()


def in_block(rounds: Iterable[Attempt], step: Callable[[], T]) -> T:
    """Return what *step* gives in the block form."""
    for attempt in rounds:
        with attempt:
            return step()
    raise AssertionError("a loop ended without a success")


async def in_async_block(rounds: AsyncIterable[Attempt], step: Callable[[], T]) -> T:
    """Return what *step* gives in the async block form."""
    async for attempt in rounds:
        async with attempt:
            return step()
    raise AssertionError("a loop ended without a success")


class Flaky:
    """Fails as told, and then succeeds; counts its calls.

    Each of *outcomes* is raised if it is an exception, or else returned; the last one
    is repeated for ever.
    """

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = outcomes
        self.calls = 0

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """Have the next outcome."""
        outcome = self.outcomes[min(self.calls, len(self.outcomes) - 1)]
        self.calls += 1
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome
