"""How anything waits: one text for threads, asyncio and trio.

What waits is written once, as an `async def` over its `World`. It awaits only
`park` and `World.checkpoint`. In a thread these never suspend, so `run` is a single
`send`; tasks of asyncio and trio await the text itself. Cancellation needs no
protocol of its own: `except BaseException: undo; raise` around an await is right for
a cancelled task, a closed coroutine and Ctrl-C alike.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from math import inf
from types import TracebackType
from typing import Any, Final, Protocol, TypeVar, cast

from .clock import Clock

T = TypeVar("T")

# A loop of operations that needn't wait lets other asyncio tasks run this often.
YIELD_EVERY_S: Final = 0.01


class Waiter(Protocol):
    """Somebody who may be parked, and can be woken from anywhere.

    A wake-up too many is harmless: whoever parks looks again in a loop.
    """

    def wake(self) -> bool:
        """End the parking, from any thread; False if it can never end.

        Somebody who has closed this and gone on in the meantime misses nothing: True.
        It takes no lock and never blocks. Decide first, under a lock; wake after it.
        """
        ...

    def is_leaving(self) -> bool:
        """Whether this was cancelled, and only hasn't run since.

        True is certain; False where it can't be told. It takes no lock and never
        blocks.
        """
        ...

    def close(self) -> None:
        """Let go of timers; nobody parks here any more."""
        ...


class Scope(Protocol):
    """What the cancel scopes of anyio and trio have in common."""

    @property
    def cancelled_caught(self) -> bool:
        """Whether the block was ended by this scope."""
        ...

    def cancel(self) -> object:
        """Cancel what runs inside, from a thread of this loop."""
        ...

    def __enter__(self) -> object: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None: ...


class World(Protocol):
    """Where a text runs: the threads, an asyncio loop or a trio run."""

    @property
    def line(self) -> Hashable:
        """What is shared by all that depend on the same timers."""
        ...

    def now(self) -> float:
        """Return the time that these timers go by, in seconds since any time."""
        ...

    def waiter(self) -> Waiter:
        """Return a waiter for the thread or task that runs now."""
        ...

    def park(self, waiter: Any, until: float) -> Awaitable[None]:
        """Stop here until *waiter* is woken, *until* is reached, or at whim before."""
        ...

    def sleep(self, seconds: float) -> Awaitable[object]:
        """Stop here until so much of the time of `now` has passed, or a bit less."""
        ...

    def checkpoint(self) -> Awaitable[None]:
        """Let others run, and be cancelled here, where that is the custom."""
        ...


class LoopWorld(World, Protocol):
    """A world of tasks, which can be cancelled."""

    def scope(self, delay: float | None) -> Scope:
        """Return a scope, to be entered, that is cancelled after *delay* seconds."""
        ...

    def soon(self, fn: Callable[[], object]) -> None:
        """Have *fn* called in this loop, from any thread; not if the loop is closed."""
        ...


# Each asyncio loop's world, put here by `on_asyncio`, which is imported once a loop
# runs: so that a task finds out cheaply that it may go on.
worlds: Final[dict[Any, Any]] = {}


def no_loop() -> None:
    """Stand in for asyncio's function of this kind until that is imported."""


running_loop: Callable[[], Any] = no_loop
current_task: Callable[[Any], Any] = no_loop  # type: ignore[assignment]  # never called


def running_world() -> LoopWorld:
    """Return the world of the task that runs now.

    Raises:
        RuntimeError: If neither asyncio nor trio runs one.
    """
    # Whoever runs in a loop has imported it: look, don't import.
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        from .on_trio import TrioWorld

        return TrioWorld()
    loop = _asyncio_loop()
    if loop in worlds:
        return cast("LoopWorld", worlds[loop])
    if loop is not None:
        from .on_asyncio import new_world

        return new_world(loop)
    raise RuntimeError("this must be awaited in a task of asyncio or trio")


def runs_a_loop() -> bool:
    """Whether an event loop runs in this thread, so that blocking it is a mistake."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return True
    return _asyncio_loop() is not None


def _asyncio_loop() -> Any:
    asyncio = sys.modules.get("asyncio")
    # The public function raises where there is no loop, which is no error here.
    return asyncio and asyncio._get_running_loop()  # noqa: SLF001  # as uvloop does


async def park(
    world: World, waiter: Waiter, until: float, *, clock: Clock | None
) -> None:
    """Park *waiter* until it is woken or *clock* says *until*, or at whim before."""
    if clock is None or until == inf:
        await world.park(waiter, until)
        return
    call_off = clock.call_at(until, waiter.wake)
    try:
        # If that was due already, it has woken nobody: this task isn't parked yet.
        if clock.now() < until:
            await world.park(waiter, inf)
    finally:
        call_off()


def run(text: Coroutine[Any, Any, T]) -> T:
    """Run *text*, made over the threads' world, to its end in this thread."""
    try:
        text.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    text.close()
    raise RuntimeError("a text over the threads' world was suspended: that is a bug")
