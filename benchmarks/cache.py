"""What caches cost: hits, misses, threads, memory, and the longest call.

    python benchmarks/cache.py [--quick]

All hold what was used most recently, and what they compute is an int. Hits are of one
key, in CPU time. A miss is a key that has never come, of a cache of 1,000 entries that
is full. cachebox computes each key once unless it has `lock=False`; of cachetools that
is so only with `condition`; memoize and cached always do.

Threads that hit share one function; their figures are wall time, divided by all hits.
"bytes" are what 200,000 entries add to a fresh process, without keys and values.

Last the longest of 100 stores into a full cache of which every entry was used, in
random order, since the last store: ours sorts them then. It is CPU time, without what
Python's collector takes.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from side_by_side import (
    Cell,
    Measure,
    least,
    peer,
    print_head,
    print_table,
    wants_quick,
    with_ratios,
)

from concutil import Cache, cached, memoize

Function = Callable[..., Any]
Decorator = Callable[[Function], Function]
Get = Callable[[int], object]
Put = Callable[[int, int], object]

STATM = Path("/proc/self/statm")  # of Linux; elsewhere there is no table of bytes
STORES = 100

anyio_functools, async_lru, cachebox, cachetools = map(
    peer, ("anyio.functools", "async_lru", "cachebox", "cachetools")
)


def decorators(maxsize: int) -> dict[str, Decorator]:
    """Return who decorates a function, with room for so many values."""
    result: dict[str, Decorator] = {
        "functools": functools.lru_cache(maxsize),
        "memoize": memoize(maxsize),
        "cached": cached(maxsize=maxsize),
        "cached, ttl": cached(maxsize=maxsize, ttl=3600),
    }
    if cachebox is not None:
        lru = cachebox.LRUCache
        result["cachebox"] = cachebox.cached(lru(maxsize))
        result["cachebox, lock=False"] = cachebox.cached(lru(maxsize), lock=False)
    if cachetools is not None:
        lru = cachetools.LRUCache
        condition = threading.Condition()
        result["cachetools, condition"] = cachetools.cached(
            lru(maxsize), condition=condition
        )
        result["cachetools, no lock"] = cachetools.cached(lru(maxsize))
    return result


def async_decorators() -> dict[str, Decorator]:
    """Return who decorates an async function; the first only calls it."""
    result: dict[str, Decorator] = {"no cache": lambda fn: fn, "cached": cached}
    if async_lru is not None:
        result["async-lru"] = async_lru.alru_cache(maxsize=128)
    if anyio_functools is not None:
        result["anyio"] = anyio_functools.lru_cache(maxsize=128)
    if cachebox is not None:
        result["cachebox"] = cachebox.cached(cachebox.LRUCache(128))
    return result


def same(number: int) -> int:
    return number


async def asame(number: int) -> int:  # noqa: RUF029 - so are its callers
    return number


def hits(call: Get, times: int) -> Measure:
    """Return what measures a hit, in ns."""
    call(1)

    def measure() -> tuple[float]:
        start = time.thread_time()
        for _ in range(times // 10):
            call(1), call(1), call(1), call(1), call(1)
            call(1), call(1), call(1), call(1), call(1)
        return ((time.thread_time() - start) / times * 1e9,)

    return measure


def async_hits(
    loop: asyncio.AbstractEventLoop, call: Callable[[int], Any], times: int
) -> Measure:
    """Return what measures an awaited hit, in ns; async-lru wants always one loop."""

    async def call_and_call() -> tuple[float]:
        await call(1)
        start = time.thread_time()
        for _ in range(times // 5):
            await call(1)
            await call(1)
            await call(1)
            await call(1)
            await call(1)
        return ((time.thread_time() - start) / times * 1e9,)

    return lambda: loop.run_until_complete(call_and_call())


def misses(call: Get, times: int) -> Measure:
    """Return what measures a miss that evicts another entry, in ns."""
    keys = count()

    def measure() -> tuple[float]:
        new = [next(keys) for _ in range(times)]
        start = time.thread_time()
        for key in new:
            call(key)
        return ((time.thread_time() - start) / times * 1e9,)

    for _ in range(1 + 1_000 // times):
        measure()
    return measure


def compare(
    title: str, contestants: dict[str, Measure], beside: Iterable[str], *, rounds: int
) -> None:
    """Print what each takes, and how that compares with each of *beside*."""
    known = [name for name in beside if name in contestants]
    best = least(contestants, rounds=rounds)
    headings = ("", "ns", *[f"/ {name}" for name in known])
    print_table(title, headings, with_ratios(best, known))


def getters() -> dict[str, Get]:
    """Return who looks a key up; it is in there."""
    result: dict[str, Get] = {"dict": {1: 1}.get}
    caches: dict[str, Any] = {"Cache": Cache(128), "Cache, ttl": Cache(128, ttl=3600)}
    if cachebox is not None:
        caches["cachebox"] = cachebox.LRUCache(128)
        caches["cachebox, ttl"] = cachebox.TTLCache(128, 3600)
    if cachetools is not None:
        caches["cachetools"] = cachetools.LRUCache(128)
        caches["cachetools, ttl"] = cachetools.TTLCache(128, ttl=3600)
    for name, cache in caches.items():
        cache[1] = 1
        result[name] = cache.get
    computing: Cache[int, int] = caches["Cache"]
    result["get_or_compute, in a lambda"] = lambda key: computing.get_or_compute(
        key, int
    )
    return result


def crowd(call: Get, threads: int, times: int) -> float:
    """Return the wall time of one of all hits of so many threads, in ns."""
    ready, key = threading.Barrier(threads), 1
    clock, stamps = time.perf_counter, list[float]()

    def client() -> None:
        ready.wait()
        stamps.append(clock())
        for _ in range(times // 10):
            call(key), call(key), call(key), call(key), call(key)
            call(key), call(key), call(key), call(key), call(key)
        stamps.append(clock())

    clients = [threading.Thread(target=client) for _ in range(threads)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    return (max(stamps) - min(stamps)) / (threads * times) * 1e9


def compare_crowds(times: int, rounds: int) -> None:
    calls = {name: it(same) for name, it in decorators(128).items()}
    calls["Cache.get"] = getters()["Cache"]
    for call in calls.values():
        call(1)

    def of(call: Get) -> Measure:
        return lambda: tuple(crowd(call, threads, times) for threads in (1, 2, 4))

    best = least({name: of(call) for name, call in calls.items()}, rounds=rounds)
    rows: list[tuple[Cell, ...]] = [
        (name, *[f"{it:,.0f}" for it in (one, two, four)], two / one, four / one)
        for name, (one, two, four) in best.items()
    ]
    headings = ("threads:", "1", "2", "4", "2 / 1", "4 / 1")
    print_table("Threads that hit: ns of wall time for each hit", headings, rows)


def stores(maxsize: int) -> dict[str, tuple[Put, Get]]:
    """Return who stores a value for a key, and how it is looked up then."""
    ours: Cache[int, int] = Cache(maxsize)
    result: dict[str, tuple[Put, Get]] = {"Cache": (ours.set, ours.get)}
    for name, decorator in decorators(maxsize).items():
        if name in {"functools", "memoize"}:
            fn = decorator(same)
            result[name] = (partial(_by_call, fn), fn)
    for name, module in (("cachebox", cachebox), ("cachetools", cachetools)):
        if module is not None:
            cache = module.LRUCache(maxsize)
            result[name] = (cache.__setitem__, cache.get)
    return result


def _by_call(fn: Get, key: int, _value: int) -> None:
    fn(key)


def bytes_per_entry(name: str, entries: int) -> float:
    """Return what an entry takes; to be called in a fresh process."""
    keys = list(range(entries))
    value = 1
    put, _ = stores(entries)[name]
    gc.collect()
    before = resident_bytes()
    for key in keys:
        put(key, value)
    gc.collect()
    return (resident_bytes() - before) / entries


def resident_bytes() -> int:
    pages = int(STATM.read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def compare_bytes(entries: int) -> None:
    rows: list[tuple[Cell, ...]] = []
    for name in stores(1):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            taken = process.submit(bytes_per_entry, name, entries).result()
        rows.append((name, f"{taken:,.0f}"))
    print_table(f"{entries:,} entries", ("", "bytes each"), rows)


def longest_store_ms(name: str, entries: int) -> float:
    """Return the longest store after all entries were used in random order."""
    put, get = stores(entries)[name]
    keys = list(range(entries))
    for key in keys:
        put(key, key)
    random.shuffle(keys)
    for key in keys:
        get(key)
    clock, longest = time.thread_time, 0.0
    gc.disable()
    for key in range(entries, entries + STORES):
        start = clock()
        put(key, key)
        longest = max(longest, clock() - start)
    gc.enable()
    return longest * 1e3


def compare_longest(rounds: dict[int, int]) -> None:
    """Print the longest store for each number of entries, least of so many rounds."""
    rows: list[tuple[Cell, ...]] = []
    for name in stores(1):
        longest = [
            min(longest_store_ms(name, entries) for _ in range(times))
            for entries, times in rounds.items()
        ]
        rows.append((name, *[f"{it:.3f}" for it in longest]))
    headings = ("entries:", *[f"{entries:,}" for entries in rounds])
    print_table("The longest store, in ms of CPU", headings, rows)


def main() -> None:
    quick = wants_quick(__doc__)
    print_head(__doc__, "cachebox", "cachetools", "async_lru", "anyio")
    times, rounds = (20, 2) if quick else (2_000, 200)
    compare(
        "A hit of a decorated function",
        {name: hits(it(same), times) for name, it in decorators(128).items()},
        ("functools", "cachebox", "cachetools, condition"),
        rounds=rounds,
    )
    compare(
        "cache.get of a key that is there",
        {name: hits(call, times) for name, call in getters().items()},
        ("dict", "cachebox", "cachetools"),
        rounds=rounds,
    )
    loop = asyncio.new_event_loop()
    compare(
        "An awaited hit, on asyncio",
        {n: async_hits(loop, it(asame), times) for n, it in async_decorators().items()},
        ("async-lru", "anyio", "cachebox"),
        rounds=rounds // 2,
    )
    loop.close()
    compare(
        "A miss that evicts",
        {name: misses(it(same), times) for name, it in decorators(1_000).items()},
        ("functools", "cachebox", "cachetools, condition"),
        rounds=rounds // 2,
    )
    compare_crowds(times * 10, max(1, rounds // 4))
    if STATM.exists():
        compare_bytes(times * 100)
    compare_longest(
        {100: 1} if quick else {1_000: 20, 10_000: 10, 100_000: 5, 1_000_000: 1}
    )


if __name__ == "__main__":
    main()
