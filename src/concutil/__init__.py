"""Concurrency utilities that work the same from threads, asyncio and trio.

Every name is loaded when it is first used; see `concutil.events` for what the objects
tell about themselves and `concutil.testing` for your own tests.
"""

TYPE_CHECKING = False  # every checker knows this name; importing typing costs 4 ms
if TYPE_CHECKING:
    from . import events as events
    from . import testing as testing
    from ._cache.cache import Cache as Cache
    from ._cache.cached import cached as cached
    from ._cache.memoize import memoize as memoize
    from ._cache.stats import CacheStats as CacheStats
    from ._core.rates import Rate as Rate
    from ._core.retry_after import parse_retry_after as parse_retry_after
    from ._errors import ConcutilError as ConcutilError
    from ._errors import RateLimitExceeded as RateLimitExceeded
    from ._errors import RecursiveComputeError as RecursiveComputeError
    from ._limits.keyed import KeyedRateLimiter as KeyedRateLimiter
    from ._limits.limiter import LimiterStats as LimiterStats
    from ._limits.limiter import RateLimiter as RateLimiter
    from ._limits.permit import Permit as Permit
    from ._limits.view import LimiterView as LimiterView
    from ._retry.attempts import Attempt as Attempt
    from ._retry.budget import RetryBudget as RetryBudget
    from ._retry.retry import Retry as Retry
    from ._retry.retry import retry as retry

__version__ = "0.1.0"

__all__ = (
    "Attempt",
    "Cache",
    "CacheStats",
    "ConcutilError",
    "KeyedRateLimiter",
    "LimiterStats",
    "LimiterView",
    "Permit",
    "Rate",
    "RateLimitExceeded",
    "RateLimiter",
    "RecursiveComputeError",
    "Retry",
    "RetryBudget",
    "__version__",
    "cached",
    "events",
    "memoize",
    "parse_retry_after",
    "retry",
    "testing",
)

# Where each name lives; a submodule lives in itself.
_HOMES = {
    "Attempt": "_retry.attempts",
    "Cache": "_cache.cache",
    "CacheStats": "_cache.stats",
    "ConcutilError": "_errors",
    "KeyedRateLimiter": "_limits.keyed",
    "LimiterStats": "_limits.limiter",
    "LimiterView": "_limits.view",
    "Permit": "_limits.permit",
    "Rate": "_core.rates",
    "RateLimitExceeded": "_errors",
    "RateLimiter": "_limits.limiter",
    "RecursiveComputeError": "_errors",
    "Retry": "_retry.retry",
    "RetryBudget": "_retry.budget",
    "cached": "_cache.cached",
    "events": "events",
    "memoize": "_cache.memoize",
    "parse_retry_after": "_core.retry_after",
    "retry": "_retry.retry",
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
