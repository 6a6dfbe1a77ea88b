"""A limiter for each of any number of keys, such as users or hosts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from datetime import timedelta
from math import inf
from typing import ParamSpec, TypeVar, final

from .._core import options
from .._core.cost import ONE, cost_of
from .._core.rates import Rate
from .._runtime.calls import guarded
from .._runtime.clock import Clock, check_clock
from .face import patience_of
from .gate import Setting
from .limiter import limits_of, shown_limits
from .shards import Shards
from .view import LimiterView

P = ParamSpec("P")
R = TypeVar("R")


@final
class KeyedRateLimiter:
    """Keep the same limits for each key by itself: for each user, host or tenant.

    `limiters[key]`, a `LimiterView`, is used as a `RateLimiter` is: entered, asked for
    permits, put on a function. It is a view: the state is in here, a few numbers per
    key, and objects only for keys that somebody waits for or is inside of.

    A key is forgotten when its limits are as if it had never come: nothing is owed,
    nobody waits or is inside, no permit of it is alive that may still be adjusted,
    and it is not paused. No limit is ever reset to make room: while *max_keys* keys
    can't be forgotten, a new one is refused. Then `try_permit` gives None; `with`,
    `permit` and `pause` raise `RateLimitExceeded`, at once and whatever the timeout.
    Its `retry_after` is when the first of all keys may be forgotten.

    Args:
        *rates: `Rate` objects or their texts, such as `"500/min"`, for each key.
        calls_per_second: Short for `Rate(calls_per_second, burst=burst)`.
        burst: How many calls of a key may start at once after an idle spell: for
            `calls_per_second`, and for each text that names no burst of its own.
        max_concurrent: How many may be inside at once for each key.
        slack: Seconds of lateness that are made up for, as for `RateLimiter`.
        name: Shown in messages, events and the `repr`.
        clock: What tells the time instead of the system's monotonic clock.
        max_keys: How many keys are held at most.

    Raises:
        TypeError: If an argument is of the wrong kind, or *burst* has nothing to
            apply to.
        ValueError: If there is no limit at all, or an argument is out of its range.

    Threads:
        Safe from any number of threads and event loops at once, and in a child after
        a fork: nobody is inside or waits there. Keys don't hold each other up. The
        `__hash__` and `__eq__` of keys are called under a lock. It can't be pickled:
        a copy would be a second limit.

    Cost:
        About 100 bytes per key; an exact rate keeps its grants as objects, some 2 kB
        for each key. No call looks at more than a few hundred keys, of the first
        million.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"
    __slots__ = ("__weakref__", "_shards")

    # It has items, but is not a collection: a loop over it would have no end.
    __iter__ = None
    __contains__ = None

    def __init__(
        self,
        *rates: Rate | str,
        calls_per_second: float | None = None,
        burst: float = 1,
        max_concurrent: int | None = None,
        slack: float | timedelta = 0.01,
        name: str | None = None,
        clock: Clock | None = None,
        max_keys: int = 100_000,
    ) -> None:
        known, limit = limits_of(
            rates,
            calls_per_second=calls_per_second,
            burst=burst,
            max_concurrent=max_concurrent,
        )
        self._shards = Shards(
            known,
            limit,
            options.duration_or_zero("slack", slack),
            max_keys=options.size("max_keys", max_keys),
            setting=Setting(options.label("name", name), check_clock(clock)),
        )

    def __getitem__(self, key: Hashable) -> LimiterView:
        try:
            return LimiterView(self._shards, key)
        except TypeError as error:
            raise TypeError(
                f"keys must be hashable, and {options.shown(key)} is not"
            ) from error

    def __len__(self) -> int:
        return len(self._shards)

    def __bool__(self) -> bool:
        return True

    def by(
        self,
        key_function: Callable[P, Hashable],
        cost: float
        | Mapping[str, float]
        | Callable[P, float | Mapping[str, float]] = 1,
        *,
        timeout: float | timedelta | None = None,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a function with the limiter of the key that its arguments tell.

        Args:
            key_function: Called with the arguments of each call; returns the key.
            cost: As for `RateLimiter.permit`, or a function that is called with the
                arguments of each call and returns that.
            timeout: Seconds that each call may wait, as for `RateLimiter.permit`.

        Raises:
            TypeError: If an argument is of the wrong kind.
            ValueError: If no wait could ever admit *cost*.

        .. versionadded:: 0.1
        """
        if not callable(key_function):
            raise TypeError(
                "key_function must be a function that returns the key of a call, not"
                f" {options.shown(key_function)}"
            )
        patience = patience_of(timeout)
        if callable(cost):
            cost_of_call = cost
            return lambda fn: guarded(
                fn,
                lambda *a, **k: self[key_function(*a, **k)].permit(
                    cost_of_call(*a, **k), timeout=timeout
                ),
            )
        amounts = cost_of(cost, self._shards.rates)  # what is wrong is told now
        if amounts == ONE and patience == inf:  # what a block does, without a permit
            return lambda fn: guarded(fn, lambda *a, **k: self[key_function(*a, **k)])
        return lambda fn: guarded(
            fn,
            lambda *a, **k: self[key_function(*a, **k)].permit(cost, timeout=timeout),
        )

    def __repr__(self) -> str:
        shards = self._shards
        name = "" if shards.setting.name is None else f"{shards.setting.name!r} "
        limits = shown_limits(shards.rates, shards.limit)
        keys = f"{len(shards)} of {shards.max_keys} keys"
        return f"<KeyedRateLimiter {name}{limits}: {keys}>"

    def __reduce__(self) -> str:
        raise TypeError(
            "a KeyedRateLimiter can't be pickled or copied: the copy would be a second"
            " limit; make one in each process and share out the rate"
        )
