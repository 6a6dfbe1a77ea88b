"""What a cache was made with: how long values last, what they weigh, who is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from types import EllipsisType
from typing import Any, final

from .._core import options
from .._core.lru import Cause, Entry, Gone, Measured
from .._runtime.clock import Clock, check_clock, reader
from .._runtime.events import unraisable

Lifetime = float | timedelta | None
Ttl = Lifetime | Callable[[Any, Any], Lifetime]


@final
class Terms:
    """The options of a `Cache`, checked.

    Attributes:
        maxsize: How much it holds; None for no limit.
        on_evict: Who wants to know what is held no longer, or None.
        stale: Seconds for which an expired value may stand in for a fresh one.
        name: Shown in events, or None.
        now: Reads the time.
    """

    __slots__ = ("_ttl", "_weigh", "maxsize", "name", "now", "on_evict", "stale")

    # The arguments are those of `Cache`, which tells of them.
    def __init__(  # noqa: DOC101, DOC103 - see above
        self,
        maxsize: int | None,
        *,
        ttl: Ttl = None,
        stale: float | timedelta | None = None,
        weigh: Callable[[Any, Any], int] | None = None,
        on_evict: Callable[[Any, Any, Cause], object] | None = None,
        name: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        if stale is not None and ttl is None:
            raise ValueError("stale= needs ttl=: it counts from when that is over")
        self.maxsize: int | None = (
            None if maxsize is None else options.count_or_zero("maxsize", maxsize)
        )
        self.stale: float = 0 if stale is None else options.duration("stale", stale)
        self._ttl: Ttl = (
            ttl if ttl is None or callable(ttl) else options.duration("ttl", ttl)
        )
        self._weigh = options.function("weigh", weigh)
        self.on_evict = options.function("on_evict", on_evict)
        self.name: str | None = options.label("name", name)
        self.now: Callable[[], float] = reader(check_clock(clock))

    def entry(self, key: Any, value: Any, ttl: Ttl | EllipsisType) -> Entry:
        """Return the complete entry of *value*; calls code of the user.

        Args:
            key: Its key.
            value: Its value.
            ttl: How long it is fresh; `...` for the cache's.
        """
        lasting = self._ttl if ttl is ... else ttl
        if lasting is None and self._weigh is None:
            return Entry(key, value)
        if callable(lasting):
            lasting = lasting(key, value)
            if lasting is not None:
                lasting = options.lifetime("ttl(key, value)", lasting)
        elif lasting is not None:
            lasting = options.duration("ttl", lasting)
        weight = 1
        if self._weigh is not None:
            weight = options.weight("weigh(key, value)", self._weigh(key, value))
        entry = Measured(key, value)
        entry.expires = None if lasting is None else self.now() + lasting
        entry.weight = weight
        return entry

    def tell(self, gone: Iterable[Gone]) -> None:
        """Tell what is held no longer to whoever asked for that."""
        on_evict = self.on_evict
        if on_evict is None:
            return
        for entry, cause in gone:
            try:
                on_evict(entry.key, entry.value, cause)
            except Exception as error:  # noqa: BLE001  # it does the cache no harm
                unraisable(error, "in on_evict of a cache", on_evict)
