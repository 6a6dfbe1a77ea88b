"""Resting until a time: what a backoff does, written once for all worlds."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from .clock import Clock, reader
from .waiters import World, park

# Whether rests are left out in this context: see `concutil.testing.no_waiting`.
skipped: Final[ContextVar[bool]] = ContextVar("concutil.no_waiting", default=False)


async def rest(world: World, until: float, clock: Clock | None) -> None:
    """Let others run until *clock* says *until*.

    Real time is that of the world: where a test makes the time of its loop virtual, as
    trio's `MockClock` does, a rest takes none.
    """
    await world.checkpoint()
    now = reader(clock)
    left = until - now()
    if left <= 0 or skipped.get():
        return
    if clock is None:
        end = world.now() + left
        while (left := end - world.now()) > 0:
            await world.sleep(left)
        return
    waiter = world.waiter()
    try:
        while now() < until:
            await park(world, waiter, until, clock=clock)
    finally:
        waiter.close()
