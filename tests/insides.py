"""What tests look at inside of caches."""

from __future__ import annotations

from concutil._cache.flights import Flight
from concutil._runtime.waiters import Waiter


def waiters_of(flight: Flight) -> list[Waiter]:
    """Return all who wait for *flight* now."""
    return [it for line in list(flight.lines.values()) for it in list(line)]
