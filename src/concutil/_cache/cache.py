"""A bounded cache that computes each key once, for threads and tasks alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterator
from datetime import timedelta
from functools import partial
from operator import attrgetter
from types import EllipsisType
from typing import Any, Generic, TypeVar, cast, final, overload

from .._core.lru import Cause, Entry
from .._runtime.clock import Clock
from .asking import afound, found
from .lead import Lead
from .stats import CacheStats
from .store import Store
from .terms import Lifetime, Terms

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")


@final
class Cache(Generic[K, V]):
    """Keep what was used most recently, and compute each key once.

    `get_or_compute` and `aget_or_compute` return the value of a key, or compute and
    store it. Whoever asks meanwhile waits for that one computation, be it in a thread
    or in a task of asyncio or trio; other keys are held up by nothing. An error goes to
    all who waited, and is not stored. If whoever computes is cancelled, one of those
    who wait takes over.

    Entries go in the exact order of their last use. One that has expired doesn't count
    as present, and goes first.

    Args:
        maxsize: How many entries are held at most; None for no limit. With 0 nothing is
            held: then it only brings those together who ask at the same time.
        ttl: Seconds for which a value is fresh, counted from when it is stored; or a
            function of key and value that returns this. None for no limit.
        stale: Seconds after that for which `get_or_compute` still returns the value at
            once, while the first who asks computes it anew. If that fails, it returns
            the old value, and `concutil.events.CacheRefreshFailed` tells why.
        weigh: A function of key and value that returns how much an entry weighs, a
            whole number; then *maxsize* is the greatest total weight. A value that
            weighs more than that is returned but not stored, and evicts nothing.
            Entries that weigh 0 are not limited, and go with the others.
        on_evict: Called with key, value and cause when an entry is held no longer:
            "size" if others needed the room, "expired", "replaced" by another value of
            its key, or "removed" by whoever asked for that. It runs in the thread that
            removed it, when all is done. What it raises goes to `sys.unraisablehook`.
        name: Shown in events and the `repr`.
        clock: What tells the time instead of the system's monotonic clock.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If one is out of its range, or *stale* has no *ttl* to follow.

    Threads:
        Safe from any number of threads and event loops at once, and in a child after a
        fork: nothing is being computed there. A hit takes no lock. The methods of keys
        may be called under a lock, *ttl*, *weigh*, *on_evict* and what computes never
        are. Finalizers, signal handlers and keys can come upon the cache in the midst
        of its work: there they can read; what they remove goes when that work is done,
        what they compute is not kept, and `set` is a RuntimeError. Copies are empty.

    Cost:
        A hit is a look into a dict and a number written into the entry. When something
        has to go and all was used since the last time, all entries are sorted, outside
        of the lock: about 3 ms for 10,000 entries and 45 ms for 100,000, in that call.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"
    __slots__ = ("__weakref__", "_entries", "_now", "_store", "_terms", "_tick")

    def __init__(
        self,
        maxsize: int | None = 1024,
        *,
        ttl: Lifetime | Callable[[K, V], Lifetime] = None,
        stale: float | timedelta | None = None,
        weigh: Callable[[K, V], int] | None = None,
        on_evict: Callable[[K, V, Cause], object] | None = None,
        name: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._terms = partial(
            Terms,
            maxsize,
            ttl=ttl,
            stale=stale,
            weigh=weigh,
            on_evict=on_evict,
            name=name,
            clock=clock,
        )
        self._store = Store(self._terms())
        self._entries: dict[Any, Entry] = self._store.lru.entries
        self._tick: Callable[[], int] = self._store.lru.tick
        self._now: Callable[[], float] = self._store.now

    @overload
    def get(self, key: K) -> V | None: ...

    @overload
    def get(self, key: K, default: D) -> V | D: ...

    def get(self, key: K, default: D | None = None) -> V | D | None:
        """Return the value of *key* if it is fresh, else *default*.

        Args:
            key: What to look for.
            default: What to return if it is not there.

        Cost:
            No lock for a hit, one for a miss.

        .. versionadded:: 0.1
        """
        try:  # as `_hit`, in one piece
            entry = self._entries[key]
            if entry.expires is None or self._now() < entry.expires:
                entry.tick = self._tick()
                value: V = entry.value
                return value
        except KeyError:
            pass
        found = self._store.missed(key)
        return default if found is None else cast("V", found.value)

    def __getitem__(self, key: K) -> V:
        entry = self._hit(key) or self._store.missed(key)
        if entry is None:
            raise KeyError(key)
        value: V = entry.value
        return value

    def __setitem__(self, key: K, value: V) -> None:
        self.set(key, value)

    def __delitem__(self, key: K) -> None:
        if not self._store.remove([key]):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return self._store.peek(key) is not None

    def __len__(self) -> int:
        return len(self._entries)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[K]:
        return iter(self.snapshot())

    def _hit(self, key: K) -> Entry | None:
        """Return the entry of *key* if it is fresh, and count that, without a lock."""
        try:
            entry = self._entries[key]
        except KeyError:  # who looks again sees whether it comes from the key itself
            return None
        if entry.expires is None or self._now() < entry.expires:
            entry.tick = self._tick()
            return entry
        return None

    @overload
    def peek(self, key: K) -> V | None: ...

    @overload
    def peek(self, key: K, default: D) -> V | D: ...

    def peek(self, key: K, default: D | None = None) -> V | D | None:
        """Return what `get` would, but count it neither as a use nor as a hit or miss.

        Args:
            key: What to look for.
            default: What to return if it is not there.

        .. versionadded:: 0.1
        """
        entry = self._store.peek(key)
        return default if entry is None else cast("V", entry.value)

    def set(
        self,
        key: K,
        value: V,
        *,
        ttl: Lifetime | Callable[[K, V], Lifetime] | EllipsisType = ...,
    ) -> None:
        """Store *value* for *key*.

        If the key is being computed, that value goes to those who wait for it, but is
        not stored.

        Args:
            key: Its key.
            value: Anything, None included.
            ttl: Seconds for which it is fresh; None for no limit. Left out, it is the
                cache's.

        Raises:
            TypeError: If an argument is of the wrong kind, or *key* is not hashable.
            ValueError: If *ttl* is out of its range, or what *weigh* returns is.

        .. versionadded:: 0.1
        """
        hash(key)  # what can't be hashed has no part in the rest
        store = self._store
        store.terms.tell(store.hold(store.terms.entry(key, value, ttl)))

    def get_or_compute(
        self,
        key: K,
        fn: Callable[[], V],
        *,
        ttl: Lifetime | Callable[[K, V], Lifetime] | EllipsisType = ...,
    ) -> V:
        """Return the value of *key*; if there is none, compute and store it.

        If it is being computed already, in any thread or task, this waits for that.

        Args:
            key: What is asked for.
            fn: Computes the value, in this thread.
            ttl: Seconds for which it is fresh, if it is computed here; None for no
                limit. Left out, it is the cache's.

        Raises:
            Exception: What the computation raised, here or where it was waited for.
            RecursiveComputeError: If it would wait for itself, in any number of steps;
                or, in a thread that runs an event loop, for a task of that loop.
            TypeError: If *key* is not hashable, or *fn* is async.

        Cancellation:
            By Ctrl-C. If it computes, one of those who wait takes over.

        Cost:
            No lock for a hit.

        .. versionadded:: 0.1
        """
        it = self._hit(key) or found(self._store, key)
        if isinstance(it, Lead):
            with it:
                it.keep(fn(), ttl)
        value: V = it.value
        return value

    async def aget_or_compute(
        self,
        key: K,
        fn: Callable[[], Awaitable[V]],
        *,
        ttl: Lifetime | Callable[[K, V], Lifetime] | EllipsisType = ...,
    ) -> V:
        """Return the value of *key*; if there is none, compute and store it.

        If it is being computed already, in any thread or task, this waits for that.

        Args:
            key: What is asked for.
            fn: An async function that computes the value, in this task.
            ttl: Seconds for which it is fresh, if it is computed here; None for no
                limit. Left out, it is the cache's.

        Raises:
            Exception: What the computation raised, here or where it was waited for.
            RecursiveComputeError: If it would wait for itself, in any number of steps.
            TypeError: If *key* is not hashable.

        Cancellation:
            While it waits, and wherever *fn* can be cancelled. If it computes, one of
            those who wait takes over; they don't see the cancellation.

        Threads:
            Of any event loop of asyncio or trio, any number at once.

        Cost:
            No lock for a hit, which returns without yielding.

        .. versionadded:: 0.1
        """
        it = self._hit(key) or await afound(self._store, key)
        if isinstance(it, Lead):
            with it:
                it.keep(await fn(), ttl)
        value: V = it.value
        return value

    def invalidate(self, *keys: K) -> int:
        """Remove *keys*, and return how many of them were there.

        If one is being computed, that value goes to those who wait for it, but is not
        stored.

        Args:
            *keys: What to remove; unknown keys do no harm.

        .. versionadded:: 0.1
        """
        return self._store.remove(keys)

    def clear(self) -> None:
        """Remove all entries.

        What is being computed goes to those who wait for it, but is not stored. The
        numbers of `stats` go on.

        .. versionadded:: 0.1
        """
        self._store.clear()

    def snapshot(self) -> dict[K, V]:
        """Return a copy of what is fresh now, the least recently used first.

        .. versionadded:: 0.1
        """
        now = self._now()
        entries = sorted(self._store.entries(), key=attrgetter("tick"))
        return {entry.key: entry.value for entry in entries if entry.is_fresh(now)}

    def stats(self) -> CacheStats:
        """Return what the cache has done so far, and what it holds.

        .. versionadded:: 0.1
        """
        return self._store.stats()

    def __repr__(self) -> str:
        store = self._store
        name = "" if store.terms.name is None else f"{store.terms.name!r} "
        most = "" if store.lru.maxsize is None else f" of {store.lru.maxsize}"
        computing = [it.state for it in list(store.flights.values())].count("running")
        return f"<Cache {name}{store.lru.weight}{most}: {computing} being computed>"

    def __reduce__(self) -> tuple[object, ...]:
        terms = self._terms
        return partial(type(self), *terms.args, **terms.keywords), ()


def store_of(cache: Cache[Any, Any]) -> Store:
    """Return what is behind *cache*, for those who stand beside it."""
    return cache._store  # noqa: SLF001 - see above
