"""Concurrency utilities that work the same from threads, asyncio and trio.

Every name is loaded when it is first used; see `concutil.events` for what the objects
tell about themselves and `concutil.testing` for your own tests.
"""

TYPE_CHECKING = False  # every checker knows this name; importing typing costs 4 ms
if TYPE_CHECKING:
    from . import events as events
    from . import testing as testing
    from ._core.rates import Rate as Rate
    from ._errors import ConcutilError as ConcutilError
    from ._errors import RateLimitExceeded as RateLimitExceeded
    from ._limits.keyed import KeyedRateLimiter as KeyedRateLimiter
    from ._limits.limiter import LimiterStats as LimiterStats
    from ._limits.limiter import RateLimiter as RateLimiter
    from ._limits.permit import Permit as Permit

__version__ = "0.1.0"

__all__ = (
    "ConcutilError",
    "KeyedRateLimiter",
    "LimiterStats",
    "Permit",
    "Rate",
    "RateLimitExceeded",
    "RateLimiter",
    "__version__",
    "events",
    "testing",
)

# Where each name lives; a submodule lives in itself.
_HOMES = {
    "ConcutilError": "_errors",
    "KeyedRateLimiter": "_limits.keyed",
    "LimiterStats": "_limits.limiter",
    "Permit": "_limits.permit",
    "Rate": "_core.rates",
    "RateLimitExceeded": "_errors",
    "RateLimiter": "_limits.limiter",
    "events": "events",
    "testing": "testing",
}


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    module = __import__(f"{__name__}.{home}", fromlist=[name])
    value = module if home == name else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
