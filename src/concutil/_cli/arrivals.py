"""What a list of arrival times says: how many per interval, how many at most, how fast.

All functions take times in seconds, in ascending order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise, repeat


def per_interval(
    times: Sequence[float], width: float, amounts: Iterable[int] = repeat(1)
) -> list[int]:
    """Return how many of *times* fall in each interval of *width* seconds.

    The first interval begins with the first time; the last one holds the last time.
    Each time counts as many as its place in *amounts* says.
    """
    if not times:
        return []
    places = [int((time - times[0]) / width) for time in times]
    counts = [0] * (places[-1] + 1)
    for place, amount in zip(places, amounts, strict=False):
        counts[place] += amount
    return counts


def busiest(times: Sequence[float], width: float) -> int:
    """Return the most of *times* that any window shorter than *width* seconds holds."""
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] >= width:
            first += 1
        most = max(most, last - first + 1)
    return most


def achieved_rate(times: Sequence[float]) -> float:
    """Return how many of *times* came per second, from the first to the last.

    Fewer than two times, or all at once, have no rate: that is 0.
    """
    span = times[-1] - times[0] if times else 0.0
    return (len(times) - 1) / span if span > 0 else 0.0


def longest_gap(times: Sequence[float]) -> float:
    """Return the most seconds between two neighbours of *times*; 0 without any."""
    return max((later - time for time, later in pairwise(times)), default=0.0)
