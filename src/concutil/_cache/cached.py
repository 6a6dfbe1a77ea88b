"""Decorating functions and methods with a cache."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import timedelta
from functools import _CacheInfo as CacheInfo
from functools import partial
from types import FunctionType
from typing import (
    Any,
    Concatenate,
    ParamSpec,
    Protocol,
    TypeVar,
    cast,
    overload,
)

from .._core import options
from .._runtime.calls import is_generator
from .cache import Cache
from .keys import KeyOf, by_function, by_type, by_value
from .memory import Memory, remembering
from .methods import CachedMethod
from .terms import Lifetime

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
T = TypeVar("T")

_MAX_VALUES = 128


class CachedFunction(Protocol[P, R_co]):
    """What a decorated function is to a type checker: itself, and more."""

    @property
    def __wrapped__(self) -> Callable[P, R_co]:
        """The function as it was."""
        ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    @overload  # a class method
    def __get__(
        self: CachedFunction[Concatenate[type[S], Q], T],
        instance: object,
        owner: type | None = None,
        /,
    ) -> CachedFunction[Q, T]: ...

    @overload
    def __get__(
        self, instance: None, owner: type | None = None, /
    ) -> CachedFunction[P, R_co]: ...

    @overload
    def __get__(
        self: CachedFunction[Concatenate[Any, Q], T],
        instance: object,
        owner: type | None = None,
        /,
    ) -> CachedFunction[Q, T]: ...

    def cache_info(self) -> CacheInfo:
        """Return hits, misses, maxsize and currsize."""
        ...

    def cache_clear(self) -> None:
        """Forget all values, and the numbers."""
        ...

    def cache_parameters(self) -> dict[str, Any]:
        """Return maxsize and typed."""
        ...

    def cache_invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the value of this call; whether there was one."""
        ...

    @property
    def cache(self) -> Cache[Any, Any]:
        """Where the values are."""
        ...


class Decorator(Protocol):
    """What `cached` with options returns."""

    def __call__(self, fn: Callable[P, R], /) -> CachedFunction[P, R]: ...


@overload
def cached(fn: Callable[P, R], /) -> CachedFunction[P, R]: ...


@overload
def cached(
    *,
    maxsize: int | None = _MAX_VALUES,
    ttl: Lifetime | Callable[[Any, Any], Lifetime] = None,
    stale: float | timedelta | None = None,
    key: Callable[..., Hashable] | None = None,
    typed: bool = False,
) -> Decorator: ...


@overload
def cached(
    *,
    key: Callable[..., Hashable] | None = None,
    typed: bool = False,
    cache: Cache[Any, Any],
) -> Decorator: ...


def cached(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    maxsize: int | None = _MAX_VALUES,
    ttl: Lifetime | Callable[[Any, Any], Lifetime] = None,
    stale: float | timedelta | None = None,
    key: Callable[..., Hashable] | None = None,
    typed: bool = False,
    cache: Cache[Any, Any] | None = None,
) -> Any:
    """Remember what a function returns, and compute it once for all who ask at once.

    It stays a function of the same colour and signature. Calls are the same if their
    arguments are equal, and passed alike by place or by name, as for
    `functools.lru_cache`. The values are in a `Cache`, which tells what happens when
    many ask at once, when somebody is cancelled, and when something fails.

    It has `cache_info()`, `cache_clear()`, `cache_parameters()` and `__wrapped__`, as
    `functools.lru_cache` gives them, `cache_invalidate()`, which takes the arguments of
    a call and tells whether its value was there, and `cache`.

    A method, which is a function that is decorated in the body of a class, has a cache
    for each object: `obj.method.cache`. Objects are told apart by identity and held
    weakly, and nothing is written into them. On the class, `cache_info` and
    `cache_clear` are about all objects together, and `cache_invalidate` takes the
    object first. For class methods and static methods, put this above their decorator.

    Args:
        fn: A function, async function or method; no generator function.
        maxsize: How many values are held at most, for each object if it is a method;
            None for no limit, 0 for none.
        ttl: Seconds for which a value is fresh, or a function of its key and it that
            returns this; None for no limit.
        stale: Seconds after that in which the old value is returned at once, while the
            first who asks computes it anew.
        key: A function that is called with the arguments, without the object of a
            method, and returns what they are known by.
        typed: Whether arguments of different types, as 3 and 3.0, are different.
        cache: Where to put the values, in place of a cache of its own. Several
            functions can share it: their keys are tuples that begin with something of
            each, `cache_clear` removes those of one function, and `cache_info` tells of
            all that is in there.

    Raises:
        TypeError: If an argument is of the wrong kind; if there is *maxsize*, *ttl* or
            *stale* beside *cache*, or *typed* beside *key*; or when a method is called
            on an object that can't be held weakly.
        ValueError: If one is out of its range, or *stale* has no *ttl* to follow.

    Threads:
        Safe from any number of threads and event loops at once. A hit takes no lock.

    .. versionadded:: 0.1
    """
    key_of = _key_of(key, typed=typed)
    new_cache: Callable[[], Cache[Any, Any]]
    if cache is None:
        new_cache = partial(Cache, maxsize, ttl=ttl, stale=stale)
        new_cache()  # what is wrong is told now
    else:
        new_cache = partial(_shared, cache)
        new_cache()
        if (maxsize, ttl, stale) != (_MAX_VALUES, None, None):
            raise TypeError(
                "maxsize=, ttl= and stale= can't stand beside cache=, which has its own"
            )

    def decorate(fn: Callable[..., Any]) -> Any:
        name = getattr(fn, "__qualname__", None) or repr(fn)
        memory = Memory(
            new_cache, key_of, shared=cache is not None, typed=typed, name=name
        )
        return _decorated(fn, memory)

    return decorate if fn is None else decorate(fn)


cached.__module__ = "concutil"


def _shared(cache: object) -> Cache[Any, Any]:
    if not isinstance(cache, Cache):
        raise TypeError(f"cache must be a Cache, or None, not {options.shown(cache)}")
    return cache


def _key_of(key: Callable[..., Hashable] | None, *, typed: bool) -> KeyOf:
    if options.flag("typed", typed):
        if key is not None:
            raise TypeError("typed= is about the arguments, which key= stands for")
        return by_type
    made = options.function("key", key)
    return by_value if made is None else by_function(made)


def _decorated(fn: Any, memory: Memory) -> Any:
    if isinstance(fn, staticmethod):
        return staticmethod(remembering(_computes(fn.__func__), memory))
    if isinstance(fn, classmethod):
        return CachedMethod(_computes(fn.__func__), memory, of_class=True)
    if _is_of_class(fn):
        return CachedMethod(_computes(fn), memory, of_class=False)
    return remembering(_computes(fn), memory)


def _is_of_class(fn: Any) -> bool:
    """Whether *fn* is defined in the body of a class: its name tells."""
    if not isinstance(fn, FunctionType):  # but a class in a class, a bound method
        return False
    _, _, here = fn.__qualname__.rpartition("<locals>.")
    return "." in here


def _computes(fn: Any) -> Callable[..., Any]:
    """Return *fn* if it can be called, and returns a value each time."""
    if not callable(fn):
        raise TypeError(f"only a function can be decorated, not {options.shown(fn)}")
    if is_generator(fn):
        raise TypeError(
            f"{options.shown(fn)} makes a generator, which can be used up only once:"
            " return a list or tuple"
        )
    return cast("Callable[..., Any]", fn)
