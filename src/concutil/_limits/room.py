"""How many keys there is room for, counted without a lock of its own."""

from __future__ import annotations

from collections import deque
from itertools import repeat
from math import inf
from typing import final


@final
class Room:
    """How many more keys may be added, and until when there can be no more.

    Each is an item that goes from here to a ledger and back in one step, so that none
    is on its way while somebody finds none.
    """

    __slots__ = ("_items", "full", "made", "state")

    def __init__(self) -> None:
        self._items: deque[None] = deque()  # its methods need no lock
        self.made: int = 0
        # Another object after each change by which more can be had than was known.
        self.state: object = object()
        self.full: tuple[object, float] = (
            self.state,
            -inf,
        )  # the state that was looked at, and the outcome

    @property
    def used(self) -> int:
        """How many keys there are."""
        return self.made - len(self._items)

    @property
    def full_until(self) -> float:
        """Until when there is no room, if that is still so."""
        state, until = self.full
        return until if state is self.state else -inf

    def make(self, more: int) -> None:
        """Have room for so many more."""
        self._items.extend(repeat(None, more))
        self.made += more  # last, or there were fewer used than none

    def restart(self, more: int) -> None:
        """Have room for so many."""
        self._items = deque(repeat(None, more))
        self.state = object()

    def take(self) -> bool:
        """Take room for one key, if there is some."""
        try:
            self._items.pop()
        except IndexError:
            return False
        return True

    def give_back(self, more: int) -> None:
        """Have room for so many more, which was taken."""
        if more:
            self._items.extend(repeat(None, more))
            self.state = object()
