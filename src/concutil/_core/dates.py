"""When keys expire, soonest first."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any, NamedTuple, final


class Date(NamedTuple):
    """That *key* expires at *when*; no two have the same *number*."""

    when: float
    number: int
    key: Any


@final
class Dates:
    """A heap of dates, of which some no longer hold.

    A date is not looked for when its key goes or gets another one: `overgrown` tells
    when it is time to sort out those that no longer hold, and `tidying`, `tidied`
    take in what that comes to. So nothing is sorted while the owner's lock is held.
    """

    __slots__ = ("_since", "heap")

    def __init__(self) -> None:
        self.heap: list[Date] = []
        self._since: list[Date] | None = None  # what came while it is being tidied

    def add(self, date: Date) -> None:
        """Add *date*."""
        heappush(self.heap, date)
        if self._since is not None:
            self._since.append(date)

    def pop(self) -> Date:
        """Remove the soonest date, and return it."""
        return heappop(self.heap)

    def overgrown(self, held: int) -> bool:
        """Whether most dates hold no longer, if *held* keys are left."""
        return self._since is None and len(self.heap) > 2 * held + 64

    def tidying(self) -> list[Date]:
        """Return what will have come since then, for `tidied`, which should follow.

        Until it does, or `mend`, nothing is `overgrown`.
        """
        self._since = []
        return self._since

    def tidied(self, dates: list[Date], since: list[Date]) -> None:
        """Go on with the sorted *dates* and those that came *since*."""
        if since is not self._since:  # it was given up
            return
        for date in since:
            heappush(dates, date)
        self.heap = dates
        self._since = None

    def mend(self) -> None:
        """Give up tidying: whoever was at it may not come to its end."""
        self._since = None
