"""Functions that return what their cache holds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import _CacheInfo as CacheInfo  # what users of functools know
from typing import Any, cast, final

from .._runtime.calls import is_async
from .asking import afound, found
from .cache import Cache, store_of
from .keys import KeyOf, Owner, by_value, is_owned, owned
from .lead import Lead


@final
class Memory:
    """Where a function's values are, and which calls are the same.

    Args:
        new_cache: Returns the cache; one that others use as well if *shared*.
        key_of: Returns the key of a call, without the object of a method.
        shared: Whether keys must tell that they are of this memory.
        typed: Told by `parameters`.
        name: What such keys are shown as.
        whole: What this is a part of, as one object's calls are of a method.
    """

    __slots__ = (
        "_key_of",
        "_name",
        "_new_cache",
        "_owner",
        "_typed",
        "cache",
        "key_of",
    )

    def __init__(
        self,
        new_cache: Callable[[], Cache[Any, Any]],
        key_of: KeyOf,
        *,
        shared: bool,
        typed: bool,
        name: str,
        whole: Owner | None = None,
    ) -> None:
        self._new_cache = new_cache
        self._key_of = key_of
        self._owner = Owner(name, whole) if shared else None
        self._typed = typed
        self._name = name
        self.cache: Cache[Any, Any] = new_cache()
        self.key_of: KeyOf = owned(self._owner, key_of) if self._owner else key_of

    def of_object(self) -> Memory:
        """Return another memory, for one object of a method."""
        return Memory(
            self._new_cache,
            self._key_of,
            shared=self.is_shared,
            typed=self._typed,
            name=self._name,
            whole=self._owner,
        )

    @property
    def is_shared(self) -> bool:
        """Whether others use the cache as well."""
        return self._owner is not None

    def info(self) -> CacheInfo:
        """Return the numbers of the cache, by the names of functools."""
        stats = self.cache.stats()
        return CacheInfo(stats.hits, stats.misses, stats.maxsize, stats.size)

    def parameters(self) -> dict[str, Any]:
        """Return the options that functools has as well."""
        return {"maxsize": self.cache.stats().maxsize, "typed": self._typed}

    def clear(self) -> None:
        """Forget all values of the function; of its own cache, the numbers too."""
        store, owner = store_of(self.cache), self._owner
        if owner is None:
            store.clear()
            store.forget_numbers()
        else:
            store.remove([key for key in store.all_keys() if is_owned(owner, key)])

    def invalidate(self, /, *args: Any, **kwargs: Any) -> bool:
        """Forget the value of this call; whether there was one."""
        return bool(store_of(self.cache).remove([self.key_of(args, kwargs)]))


def remembering(
    fn: Callable[..., Any], memory: Memory, key_of: KeyOf | None = None
) -> Callable[..., Any]:
    """Return *fn* so that it looks into *memory* before it computes.

    Args:
        fn: The function.
        memory: Where to look.
        key_of: Returns the key of a call; None for what the memory has.
    """
    made_by = _async if is_async(fn) else _sync
    made: Any = functools.wraps(fn)(made_by(fn, memory, key_of or memory.key_of))
    made.cache = memory.cache
    made.cache_info = memory.info
    made.cache_clear = memory.clear
    made.cache_parameters = memory.parameters
    made.cache_invalidate = memory.invalidate
    return cast("Callable[..., Any]", made)


def _sync(fn: Callable[..., Any], memory: Memory, key_of: KeyOf) -> Callable[..., Any]:
    store = store_of(memory.cache)
    simple = key_of is by_value
    entries, tick, now = store.lru.entries, store.lru.tick, store.now

    # This is `Cache.get_or_compute` in one piece: a call less doubles the speed.
    def call(*args: Any, **kwargs: Any) -> Any:
        key = args if simple and not kwargs else key_of(args, kwargs)
        try:
            entry = entries[key]
            if entry.expires is None or now() < entry.expires:
                entry.tick = tick()
                return entry.value
        except KeyError:  # who looks again sees whether it comes from the key itself
            pass
        it = found(store, key)
        if isinstance(it, Lead):
            with it:
                it.keep(fn(*args, **kwargs))
        return it.value

    return call


def _async(fn: Callable[..., Any], memory: Memory, key_of: KeyOf) -> Callable[..., Any]:
    store = store_of(memory.cache)
    simple = key_of is by_value
    entries, tick, now = store.lru.entries, store.lru.tick, store.now

    async def call(*args: Any, **kwargs: Any) -> Any:  # noqa: HC2 - see above
        key = args if simple and not kwargs else key_of(args, kwargs)
        try:
            entry = entries[key]
            if entry.expires is None or now() < entry.expires:
                entry.tick = tick()
                return entry.value
        except KeyError:
            pass
        it = await afound(store, key)
        if isinstance(it, Lead):
            with it:
                it.keep(await fn(*args, **kwargs))
        return it.value

    return call
