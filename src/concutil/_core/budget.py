"""How many retries there may be: a share of the requests, and a few a second."""

from __future__ import annotations

from typing import Final, final

_SLOTS_COUNT: Final = 10
_LONG_AGO: Final = -(1 << 80)


@final
class Budget:
    """Counts requests and retries of the last while, in ten slots of time.

    Nine slots are as long as the window. Retries are counted over all ten, and requests
    over the newest nine, one of which has just begun: so the window that ends now has
    at most the retries that are counted, and at least the requests.

    Args:
        ratio: Retries for each request.
        floor: Retries that there may be in each window beside that.
        window: Seconds.
    """

    __slots__ = ("_floor", "_latest", "_ratio", "_requests", "_retries", "_width")

    def __init__(self, ratio: float, floor: float, window: float) -> None:
        self._ratio = ratio
        self._floor = floor
        self._width = window / (_SLOTS_COUNT - 1)
        self._requests = [0] * _SLOTS_COUNT
        self._retries = [0] * _SLOTS_COUNT
        self._latest = _LONG_AGO  # the number of the newest slot

    @property
    def spent(self) -> int:
        """Retries that are counted."""
        return sum(self._retries)

    @property
    def allowed(self) -> float:
        """Retries that there may be."""
        oldest = self._requests[(self._latest + 1) % _SLOTS_COUNT]
        return self._floor + self._ratio * (sum(self._requests) - oldest)

    def request(self, now: float) -> None:
        """Count a request."""
        self._turn(now)
        self._requests[self._latest % _SLOTS_COUNT] += 1

    def take(self, now: float) -> int | None:
        """Count a retry and return the number of its slot; None if none is left."""
        self._turn(now)
        if self.spent + 1 > self.allowed:
            return None
        self._retries[self._latest % _SLOTS_COUNT] += 1
        return self._latest

    def give_back(self, slot: int) -> None:
        """Forget a retry of *slot* that was not made."""
        if self._latest - slot < _SLOTS_COUNT:
            self._retries[slot % _SLOTS_COUNT] -= 1

    def _turn(self, now: float) -> None:
        """Begin the slot of *now*; a time before the newest slot belongs there."""
        slot = int(now // self._width)
        for new in range(max(self._latest + 1, slot - _SLOTS_COUNT + 1), slot + 1):
            self._requests[new % _SLOTS_COUNT] = 0
            self._retries[new % _SLOTS_COUNT] = 0
        self._latest = max(self._latest, slot)
