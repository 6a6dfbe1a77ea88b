"""What a cache tells about itself."""

from __future__ import annotations

from typing import final

from .._core.record import Record


@final
class CacheStats(Record):
    """What a cache has done so far, and what it holds.

    Attributes:
        hits: How often a value was there; a stale one counts as well.
        misses: How often there was none.
        computes: How many computations were begun.
        joins: How often somebody waited for a computation that had begun before.
        failures: How many computations have failed.
        evictions: How many entries had to go for others, or because they expired.
        size: How many entries are held, expired ones included, or what they weigh.
        maxsize: The limit of that; None for no limit.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"
    __slots__ = (
        "computes",
        "evictions",
        "failures",
        "hits",
        "joins",
        "maxsize",
        "misses",
        "size",
    )

    hits: int
    misses: int
    computes: int
    joins: int
    failures: int
    evictions: int
    size: int
    maxsize: int | None
