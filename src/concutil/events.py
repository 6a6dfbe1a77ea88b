"""What concutil's objects tell about themselves, as frozen records.

By default events go to structlog if the program has configured it, else to the
standard library's logger `concutil`, with the fields as
attributes ``concutil.<field>`` of the record.
"""

# For the annotations of these classes: they resolve where a class says that it is.
from collections.abc import Mapping  # noqa: F401 - see above
from typing import ClassVar, Literal  # noqa: F401 - see above

from ._cache.events import CacheRefreshFailed
from ._runtime.events import (
    Event,
    LimiterPaused,
    LimiterRefused,
    LimiterWaited,
    LoopBlocked,
    RetryGaveUp,
    RetryNested,
    RetryScheduled,
    RetrySucceeded,
    Subscription,
    subscribe,
)

__all__ = (
    "CacheRefreshFailed",
    "Event",
    "LimiterPaused",
    "LimiterRefused",
    "LimiterWaited",
    "LoopBlocked",
    "RetryGaveUp",
    "RetryNested",
    "RetryScheduled",
    "RetrySucceeded",
    "Subscription",
    "subscribe",
)
