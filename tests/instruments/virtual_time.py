"""Run async code in virtual time, on asyncio and on trio, the same way every time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar
from unittest.mock import patch

import anyio
import trio.testing

from concutil._runtime import clock

from .virtual_loop import VirtualLoop

Backend = Literal["asyncio", "trio"]
BACKENDS: tuple[Backend, ...] = ("asyncio", "trio")
T = TypeVar("T")


def run(
    backend: Backend,
    main: Callable[[], Awaitable[T]],
    *,
    seed: int = 0,
    lateness: float = 0.0,
) -> T:
    """Run *main* to its end: no sleep takes real time, and the order is fixed.

    What concutil makes meanwhile reads the same time.

    Args:
        backend: Whose loop it runs on.
        main: The async function to run, without arguments.
        seed: Chooses among the orders that trio's scheduler may take.
        lateness: Seconds by which timers are late; asyncio only.
    """
    if backend == "asyncio":
        loop = VirtualLoop(lateness=lateness)
        with concutil_reads(loop.time):
            return anyio.run(main, backend_options={"loop_factory": lambda: loop})
    mock = trio.testing.MockClock(autojump_threshold=0)
    with concutil_reads(mock.current_time), _pinned(seed):
        return anyio.run(main, backend="trio", backend_options={"clock": mock})


@contextmanager
def concutil_reads(now: Callable[[], float]) -> Iterator[None]:
    """Let all that concutil makes in this block take its time from *now*."""
    with patch.object(clock, "monotonic", now):
        yield


@contextmanager
def _pinned(seed: int) -> Iterator[None]:
    # trio shuffles its runnable tasks on purpose. This is how its plugin for
    # Hypothesis makes that repeatable.
    scheduler = trio._core._run
    before = scheduler._r.getstate()
    scheduler._r.seed(seed)
    try:
        with patch.object(scheduler, "_ALLOW_DETERMINISTIC_SCHEDULING", new=True):
            yield
    finally:
        scheduler._r.setstate(before)


async def settle() -> None:
    """Wait until no other task can run, without letting time pass."""
    loop = asyncio._get_running_loop()
    if isinstance(loop, VirtualLoop):
        await loop.idle()
    else:
        await trio.testing.wait_all_tasks_blocked()
