"""A queue for one place, with bugs that the cancellation sweep must find."""

from __future__ import annotations

from collections import deque

import anyio
from anyio.lowlevel import checkpoint

_INTERVAL_S = 1.0


class Place:
    """One place, first come, first served; whoever leaves hands it over. No bug."""

    def __init__(self) -> None:
        self._taken = False
        self._queue: deque[anyio.Event] = deque()

    async def __aenter__(self) -> None:
        if not self._taken:
            self._taken = True
            return
        turn = anyio.Event()
        self._queue.append(turn)
        try:
            await turn.wait()
        except BaseException as exc:
            self._give_up(turn, exc)
            raise

    async def __aexit__(self, *exc: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        if self._queue:
            self._queue.popleft().set()
        else:
            self._taken = False

    def _give_up(self, turn: anyio.Event, exc: BaseException) -> None:
        if turn in self._queue:
            self._queue.remove(turn)
        else:
            self._pass_on()

    def look(self) -> object:
        """Return what can be seen: whether it is taken, and how many wait."""
        return self._taken, len(self._queue)


class LeaksAfterTaking(Place):
    """Planted: takes the place, then awaits unprotected."""

    async def __aenter__(self) -> None:
        await super().__aenter__()
        await checkpoint()


class GuardsAfterTaking(Place):
    """The same, corrected."""

    async def __aenter__(self) -> None:
        await super().__aenter__()
        try:
            await checkpoint()
        except BaseException:
            self._pass_on()
            raise


class KeepsWhatItWasHanded(Place):
    """Planted: a waiter cancelled after it was handed the place keeps it."""

    def _give_up(self, turn: anyio.Event, exc: BaseException) -> None:
        if turn in self._queue:
            self._queue.remove(turn)


class WakesTheDead(Place):
    """Planted: a cancelled waiter stays in the queue, and is handed the place."""

    def _give_up(self, turn: anyio.Event, exc: BaseException) -> None:
        pass


class MindsOnlyCancellation(Place):
    """Planted: the same, but only if what ended the wait was no cancellation."""

    def _give_up(self, turn: anyio.Event, exc: BaseException) -> None:
        if isinstance(exc, anyio.get_cancelled_exc_class()):
            super()._give_up(turn, exc)


class CountsTheDead(Place):
    """Planted: all get through, but the cancelled are counted as waiting for ever."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = 0

    async def __aenter__(self) -> None:
        self._waiting += 1
        await super().__aenter__()
        self._waiting -= 1

    def look(self) -> object:
        """Return whether it is taken, and how many are said to wait."""
        return self._taken, self._waiting


class KeepsBookedTime(Place):
    """Planted: one call a second; who is cancelled keeps the second it had booked."""

    def __init__(self) -> None:
        super().__init__()
        self._due = 0.0

    async def __aenter__(self) -> None:
        start = max(self._due, anyio.current_time())
        self._due = start + _INTERVAL_S
        await anyio.sleep_until(start)

    async def __aexit__(self, *exc: object) -> None:
        """Leave: nothing is given back."""


class BooksWhenDue(KeepsBookedTime):
    """The same, corrected: one after the other waits, and books when it is due."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = Place()

    async def __aenter__(self) -> None:
        async with self._turn:
            await anyio.sleep_until(self._due)
            self._due = max(self._due, anyio.current_time()) + _INTERVAL_S
