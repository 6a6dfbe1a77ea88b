"""What the cancellation sweep needs to know of a primitive: a few lines for each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, Protocol, TypeVar


class Scenario(Protocol):
    """An operation that waits, what lets it go on, and who queues behind it.

    One is made for every run, in the world that it runs in. Time is virtual there, so
    what happens when can be compared exactly.
    """

    async def setup(self) -> None:
        """Make the subject, and make it busy."""

    async def operation(self) -> None:
        """Do what is to be cancelled; when it wasn't, leave everything as it was."""

    async def help(self) -> None:
        """Let the operation go on."""

    async def behind(self) -> None:
        """Queue behind the operation; a newcomer does the same at the very end."""

    def state(self) -> object:
        """Return all that can be seen of the subject, to be compared."""


R = TypeVar("R", bound=AbstractAsyncContextManager[object])


class FullHouse(Generic[R]):
    """Enter a room that is full; whoever holds the last place leaves when helping.

    Args:
        make: Returns the room, with one place left.
        look: Returns all that can be seen of it.
    """

    def __init__(self, make: Callable[[], R], look: Callable[[R], object]) -> None:
        self.room = make()
        self.look = look

    async def setup(self) -> None:
        """Take the last place."""
        await self.room.__aenter__()

    async def operation(self) -> None:
        """Enter and leave."""
        async with self.room:
            pass

    behind = operation

    async def help(self) -> None:
        """Give the last place back."""
        await self.room.__aexit__(None, None, None)

    def state(self) -> object:
        """Return what can be seen of the room."""
        return self.look(self.room)
