"""The ways in which an awaiting operation is cut short."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NoReturn

import anyio
import trio

from .probe import Probe
from .virtual_time import Backend

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

# A way runs a probe to its end, and has it struck at its suspension.
Way = Callable[[Probe], Awaitable[None]]


class Interrupt(BaseException):
    """Stands for KeyboardInterrupt, of which the loops make something else."""


class Boom(Exception):  # noqa: N818  # it is no error of ours
    """What the failing sibling raises."""


async def by_scope(probe: Probe) -> None:
    """Cancel an anyio scope around the operation: it's told again at each await."""
    with anyio.CancelScope() as scope:
        probe.strike = lambda _: scope.cancel()
        await probe


async def by_deadline(probe: Probe) -> None:
    """Let the deadline of an anyio scope pass."""
    with anyio.CancelScope() as scope:

        def expire(_: object) -> None:
            scope.deadline = anyio.current_time()

        probe.strike = expire
        await probe


async def by_sibling(probe: Probe) -> None:
    """Let another task of the same group fail."""

    async def fail() -> NoReturn:
        raise Boom

    try:
        async with anyio.create_task_group() as tasks:
            probe.strike = lambda _: tasks.start_soon(fail)
            await probe
    except BaseExceptionGroup as group:
        if not all(type(error) is Boom for error in group.exceptions):
            raise


async def by_trio_scope(probe: Probe) -> None:
    """Cancel a scope of trio's own."""
    with trio.CancelScope() as scope:
        probe.strike = lambda _: scope.cancel()
        await probe


async def by_task_cancel(probe: Probe) -> None:
    """Cancel the bare asyncio task: it's told once, and no scope knows of it."""
    await _in_task(probe, lambda task, _: task.cancel())


async def late(probe: Probe) -> None:
    """Cancel the asyncio task after its wake-up, before it has run.

    Nothing else reaches the code that passes on what a waiter was handed.
    """

    def cancel_once_woken(task: asyncio.Task[None], yielded: object) -> None:
        if isinstance(yielded, asyncio.Future):
            # Runs before the task's own call-back, which is added only now.
            yielded.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()

    await _in_task(probe, cancel_once_woken)


async def thrown_on_asyncio(
    probe: Probe, *, error: type[BaseException] = Interrupt
) -> None:
    """Throw something that is no cancellation into the await."""

    def interrupt(task: asyncio.Task[None], _: object) -> None:
        probe.instead = error()
        task.cancel()  # only to wake it

    await _in_task(probe, interrupt)


async def _in_task(
    probe: Probe, strike: Callable[[asyncio.Task[None], object], object]
) -> None:
    async def body() -> None:
        try:
            await probe
        except (Interrupt, GeneratorExit):
            return

    task = asyncio.create_task(body())
    probe.strike = lambda yielded: strike(task, yielded)
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def thrown_on_trio(
    probe: Probe, *, error: type[BaseException] = Interrupt
) -> None:
    """Throw it in as trio does with Ctrl-C: through the abort function."""
    task = trio.lowlevel.current_task()
    token = trio.lowlevel.current_trio_token()

    def raise_error() -> NoReturn:
        raise error

    def abort() -> None:
        if task._abort_func is not None:
            task._attempt_abort(raise_error)

    def interrupt(yielded: object) -> None:
        if hasattr(yielded, "abort_func"):
            token.run_sync_soon(abort)
        else:  # a shielded checkpoint: it can't be aborted, and is over at once
            probe.instead = error()

    probe.strike = interrupt
    try:
        await probe
    except (Interrupt, GeneratorExit):
        return


WAYS: Final[dict[Backend, dict[str, Way]]] = {
    "asyncio": {
        "scope": by_scope,
        "native": by_task_cancel,
        "deadline": by_deadline,
        "sibling": by_sibling,
        "thrown": thrown_on_asyncio,
        "abandoned": partial(thrown_on_asyncio, error=GeneratorExit),
        "late": late,
    },
    # trio never cancels a task that was rescheduled already: there is no "late".
    "trio": {
        "scope": by_scope,
        "native": by_trio_scope,
        "deadline": by_deadline,
        "sibling": by_sibling,
        "thrown": thrown_on_trio,
        "abandoned": partial(thrown_on_trio, error=GeneratorExit),
    },
}
