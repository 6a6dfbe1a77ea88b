"""What a limit for each key costs: bytes per key, and nanoseconds per call.

    python benchmarks/keyed.py [--quick]

Every contestant allows 1,000 calls an hour and a burst of as many, by key, in memory.
"known" calls for one of 1,000 keys in turn, "new" for a key that has never come, both
without a wait. "bytes" is what 50,000 keys take after one call each, without the keys
themselves, divided by their number; ours has room for 100,000. `throttled-py` is given
that room too: by default it forgets all keys but 1,024, and their limits with them.
`pyrate-limiter` has a bucket per key, in a dict of the program's own.

The last line is the CPU time of the longest of many calls with a new key each, of a
limiter that holds at most a tenth of them, without what Python's collector takes.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from importlib import import_module
from itertools import count
from typing import Any

from side_by_side import Measure, least, peer, print_head, print_table, wants_quick

from concutil import KeyedRateLimiter, Rate

PER_HOUR = 1_000

limits, pyrate_limiter, throttled = map(peer, ("limits", "pyrate_limiter", "throttled"))

Call = Callable[[str], object]  # with a key


def of_blocks(*rates: Rate, **options: Any) -> Call:
    limiters = KeyedRateLimiter(*rates, **options)

    def call(key: str) -> None:
        with limiters[key]:
            pass

    return call


def of_permits() -> Call:
    limiters = KeyedRateLimiter(hourly())
    return lambda key: limiters[key].try_permit()


def of_limits(strategy: str) -> Call:
    storage, strategies = map(import_module, ("limits.storage", "limits.strategies"))
    item = limits.RateLimitItemPerHour(PER_HOUR)
    kind = getattr(strategies, strategy)
    return partial(kind(storage.MemoryStorage()).hit, item)


def of_throttled() -> Call:
    quota = throttled.rate_limiter.per_hour(PER_HOUR, burst=PER_HOUR)
    store = throttled.store.MemoryStore(options={"MAX_SIZE": 100_000})
    limiter = throttled.Throttled(using="gcra", quota=quota, store=store)
    return partial(limiter.limit)


def of_pyrate(make: Callable[[], Any]) -> Call:
    clock = pyrate_limiter.MonotonicClock()

    base: Any = pyrate_limiter.BucketFactory

    class Factory(base):  # type: ignore[misc, no-any-unimported]  # as of any peer
        def __init__(self) -> None:
            self.buckets: dict[str, Any] = {}

        def wrap_item(self, name: str, weight: int = 1) -> Any:
            return pyrate_limiter.RateItem(name, clock.now(), weight=weight)

        def get(self, item: Any) -> Any:
            bucket = self.buckets.get(item.name)
            if bucket is None:
                bucket = self.buckets[item.name] = make()
            return bucket

    limiter = pyrate_limiter.Limiter(Factory())
    return lambda key: limiter.try_acquire(key, blocking=False)


def hourly(*, exact: bool = False) -> Rate:
    return Rate(PER_HOUR, 3_600, burst=PER_HOUR, exact=exact)


def contestants() -> dict[str, Callable[[], Call]]:
    makers: dict[str, Callable[[], Call]] = {
        "KeyedRateLimiter": lambda: of_blocks(hourly()),
        "  two rates": lambda: of_blocks(hourly(), Rate(1e5, 86_400, burst=1e5)),
        "  with a place": lambda: of_blocks(hourly(), max_concurrent=1),
        "  try_permit()": of_permits,
        "  exact": lambda: of_blocks(hourly(exact=True)),
    }
    if limits is not None:
        makers["limits, fixed window"] = lambda: of_limits("FixedWindowRateLimiter")
        makers["limits, moving window"] = lambda: of_limits("MovingWindowRateLimiter")
    if throttled is not None:
        makers["throttled-py, GCRA"] = of_throttled
    if pyrate_limiter is not None:
        rates = [pyrate_limiter.Rate(PER_HOUR, 3_600_000)]
        makers["pyrate-limiter, GCRA"] = lambda: of_pyrate(
            partial(pyrate_limiter.StateBucket, rates, pyrate_limiter.GCRA())
        )
        makers["pyrate-limiter, log"] = lambda: of_pyrate(
            partial(pyrate_limiter.InMemoryBucket, rates)
        )
    return makers


def bytes_per_key(make: Callable[[], Call], keys: int) -> float:
    names = [f"user {number}" for number in range(keys)]
    tracemalloc.start()
    try:
        call = make()
        for name in names:
            call(name)
        return tracemalloc.get_traced_memory()[0] / keys
    finally:
        tracemalloc.stop()


def known_and_new(make: Callable[[], Call], keys: int) -> Measure:
    call, numbers = make(), count()
    known = [f"known {number}" for number in range(keys)]
    for name in known:
        call(name)

    def measure() -> tuple[float, float]:
        new = [f"new {next(numbers)}" for _ in range(keys)]
        return ns_per_call(call, known), ns_per_call(call, new)

    return measure


def ns_per_call(call: Call, names: list[str]) -> float:
    start = time.perf_counter()
    for name in names:
        call(name)
    return (time.perf_counter() - start) / len(names) * 1e9


def longest_call_ms(keys: int) -> float:
    limiters = KeyedRateLimiter(f"{keys}/s", slack=0, max_keys=keys // 10)
    clock, longest = time.thread_time, 0.0
    gc.disable()
    for number in range(keys):
        start = clock()
        with limiters[number]:
            pass
        longest = max(longest, clock() - start)
    gc.enable()
    return longest * 1e3


def main() -> None:
    quick = wants_quick(__doc__)
    keys, rounds = (20, 1) if quick else (1_000, 60)
    print_head(__doc__, "limits", "pyrate_limiter", "throttled")
    makers = contestants()
    best = least(
        {name: known_and_new(make, keys) for name, make in makers.items()},
        rounds=rounds,
    )
    rows = [
        (
            name,
            f"{bytes_per_key(make, keys * 50):,.0f}",
            *map("{:,.0f}".format, best[name]),
        )
        for name, make in makers.items()
    ]
    print_table("a limit for each key", ("", "bytes", "ns known", "ns new"), rows)
    many = keys * 1_000
    print(f"\n  longest of {many:,} calls: {longest_call_ms(many):.2f} ms of CPU time")


if __name__ == "__main__":
    main()
