"""Computations and those who wait for them, as the cancellation sweep sees them."""

from __future__ import annotations

import contextvars
from collections.abc import Generator
from typing import final

import anyio
import anyio.lowlevel

from concutil import Cache
from concutil._cache import flights
from concutil.testing import ManualClock
from insides import waiters_of

from .ways import Interrupt

KEY = "key"


@final
class Suspended:
    """Awaited once, it suspends whoever is driven by hand."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Led:
    """Whoever computes is cut short while it does; another one waits behind.

    Nothing takes any time, so that who takes over is through in that instant.

    Attributes:
        hurries: Whether those behind don't wait for what is computed.
    """

    hurries = False

    def __init__(self) -> None:
        self.cache = self.make()
        self.go = anyio.Event()
        self.computed = 0

    def make(self) -> Cache[str, str]:
        return Cache()

    async def setup(self) -> None:
        """Nobody computes yet."""

    async def compute(self) -> str:
        """Suspend several times, the last time until somebody helps."""
        await anyio.lowlevel.checkpoint()
        await self.go.wait()
        await anyio.lowlevel.checkpoint()
        self.computed += 1
        return "value"

    async def operation(self) -> None:
        """Get it or compute it."""
        assert await self.cache.aget_or_compute(KEY, self.compute) == "value"

    async def behind(self) -> None:
        """Do the same, in a task that nobody waits for inside of the operation."""
        flights.innermost.set(None)
        await Led.operation(self)

    async def help(self) -> None:
        """Let who computes come to its end."""
        self.go.set()

    def state(self) -> object:
        """Return what is held, what is under way, and who seems to wait."""
        keeper = self.cache._store
        running = [it for it in keeper.flights.values() if it.state == "running"]
        waiting = sum(len(waiters_of(it)) for it in running)
        stats = self.cache.stats()
        return (
            *(self.cache.snapshot(), self.computed, waiting),
            self.hurries or len(running),
            *(stats.failures, stats.size, dict(flights._threads.blocked)),
        )


class Nested(Led):
    """What is computed needs another key, which somebody else may want as well."""

    async def outer(self) -> str:
        return await self.cache.aget_or_compute(KEY, self.compute)

    async def operation(self) -> None:
        """Get what needs the key that the others wait for."""
        got = await self.cache.aget_or_compute("outer", self.outer)
        assert got == "value"
        self.cache.invalidate("outer")  # who was cancelled has not stored it


class Refreshed(Led):
    """Whoever refreshes a stale value is cut short; the others have the old one."""

    hurries = True

    def make(self) -> Cache[str, str]:
        self.clock = ManualClock()
        return Cache(ttl=1, stale=100, clock=self.clock)

    async def setup(self) -> None:
        """Let an old value become stale."""
        self.cache[KEY] = "value"
        self.clock.advance(1)

    async def behind(self) -> None:
        """Get what there is, old or new, and let it be refreshed."""
        flights.innermost.set(None)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.operation)
            tasks.start_soon(self.operation)


class Waiting(Led):
    """Somebody computes in a loop of its own; whoever waits for it is cut short."""

    async def setup(self) -> None:
        """Begin to compute, in a task that is driven by hand."""
        self.context = contextvars.Context()
        self.leader = self.cache.aget_or_compute(KEY, self.lead)
        self.context.run(self.leader.send, None)

    async def lead(self) -> str:
        await Suspended()
        self.computed += 1
        return "value"

    async def help(self) -> None:
        """Let it end."""
        await super().help()
        self.end()

    def end(self) -> None:
        try:
            self.context.run(self.leader.send, None)
        except StopIteration:
            return


class Promoted(Waiting):
    """Who computes is cancelled; whoever waited first takes over, and may be cut."""

    def end(self) -> None:
        """Cancel it."""
        try:
            self.context.run(self.leader.throw, Interrupt())
        except Interrupt:
            return


class Failed(Waiting):
    """What is waited for fails."""

    async def lead(self) -> str:
        await Suspended()
        raise LookupError

    def end(self) -> None:
        try:
            self.context.run(self.leader.send, None)
        except LookupError:
            return

    async def operation(self) -> None:
        """See it fail, or, if that is over, compute."""
        try:
            await super().operation()
        except LookupError:
            return

    behind = operation
