"""What caches tell of."""

from __future__ import annotations

from typing import final

from .._runtime.events import WARNING, Event


@final
class CacheRefreshFailed(Event):
    """A stale value could not be computed anew, and is served for a while longer.

    Attributes:
        cache: The cache's name, or None.
        key: Whose value it is.
        error: What the computation raised.

    .. versionadded:: 0.1
    """

    __module__ = "concutil.events"
    __slots__ = ("cache", "error", "key")
    name = "concutil.cache_refresh_failed"
    level = WARNING

    cache: str | None
    key: object
    error: Exception
