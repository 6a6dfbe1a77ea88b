"""`functools.lru_cache` itself, where each key is computed once.

A hit is one of functools, in C. What it doesn't know calls `_Once._miss`, which leads
or joins a flight; and whoever leads asks functools *again*. That second call finds what
another leader has put in meanwhile, or misses as well: then it is `_miss` once more, in
the leader's turn, which calls the function. What it returns is in the dict before the
flight is over: so whoever comes too late for the flight finds it there.

functools puts in whatever `_miss` returns, and can't be told not to. So a call that has
seen `cache_clear` while it was under way begins anew.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Hashable
from functools import _CacheInfo as CacheInfo
from typing import (
    Any,
    Concatenate,
    NamedTuple,
    ParamSpec,
    Protocol,
    TypeVar,
    final,
    overload,
)

from .._core import options
from .._runtime.calls import is_async, is_generator
from .asking import found
from .keys import KeyOf, by_type, by_value_in_functools
from .lead import Lead, finished
from .store import Store
from .terms import Terms

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


class MemoizedFunction(Protocol[P, R_co]):
    """What a decorated function is to a type checker: itself, and more."""

    @property
    def __wrapped__(self) -> Callable[P, R_co]:
        """The function as it was."""
        ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    @overload  # a class method
    def __get__(
        self: MemoizedFunction[Concatenate[type[S], Q], T],
        instance: object,
        owner: type | None = None,
        /,
    ) -> MemoizedFunction[Q, T]: ...

    @overload
    def __get__(
        self, instance: None, owner: type | None = None, /
    ) -> MemoizedFunction[P, R_co]: ...

    @overload
    def __get__(
        self: MemoizedFunction[Concatenate[Any, Q], T],
        instance: object,
        owner: type | None = None,
        /,
    ) -> MemoizedFunction[Q, T]: ...

    def cache_info(self) -> CacheInfo:
        """Return hits, misses, maxsize and currsize."""
        ...

    def cache_clear(self) -> None:
        """Forget all values, and the numbers."""
        ...

    def cache_parameters(self) -> dict[str, Any]:
        """Return maxsize and typed."""
        ...


class _Cleared(BaseException):
    """Ends a turn whose value must not be put in any more."""


class _Turn(NamedTuple):
    """The right to call the function at the next miss of *key* in this thread."""

    key: Hashable
    epoch: object


@final
class _Once:
    """What is behind a memoized function.

    Args:
        fn: The function.
        maxsize: How many values are held.
        typed: Whether arguments of different types are different.
    """

    __slots__ = (
        "_clear",
        "_epoch",
        "_flights",
        "_fn",
        "_info",
        "_key_of",
        "_turns",
        "function",
    )

    def __init__(
        self, fn: Callable[..., Any], maxsize: int | None, *, typed: bool
    ) -> None:
        self._fn = fn
        self._key_of: KeyOf = by_type if typed else by_value_in_functools
        self._flights = Store(Terms(0))  # which holds nothing
        self._turns: dict[int, _Turn] = {}  # by thread
        self._epoch = object()  # another one after each clear
        function: Any = functools.lru_cache(maxsize, typed)(self._miss)
        self._info: Callable[[], CacheInfo] = function.cache_info
        self._clear: Callable[[], None] = function.cache_clear
        functools.update_wrapper(function, fn)
        function.cache_info = self.info
        function.cache_clear = self.clear
        self.function: Callable[..., Any] = function

    def _miss(self, /, *args: Any, **kwargs: Any) -> Any:
        """Return what functools doesn't know, in one frame: recursion may be deep."""
        key, me = self._key_of(args, kwargs), threading.get_ident()
        turn = self._turns.get(me)
        if turn is not None and turn.key == key:
            del self._turns[me]
            value = finished(self._fn(*args, **kwargs))
            if self._epoch is not turn.epoch:
                raise _Cleared
            return value
        while True:
            it = found(self._flights, key)
            try:
                if isinstance(it, Lead):
                    with it:
                        self._turns[me] = _Turn(key, epoch := self._epoch)
                        it.keep((epoch, self.function(*args, **kwargs)))
                        self._end_turn(me, epoch)
            except _Cleared:
                continue
            finally:
                self._turns.pop(me, None)
                if turn is not None:  # a key that calls this came between
                    self._turns[me] = turn
            epoch, value = it.value
            if self._epoch is epoch:
                return value

    def _end_turn(self, me: int, epoch: object) -> None:
        """Count it if nobody took the turn; raise if there was a clear meanwhile."""
        if me in self._turns:  # the leader has found what another had put in
            self._flights.lru.tick()  # a hit, which is not the caller's
        if self._epoch is not epoch:
            self._clear()  # after it something may have been put in
            raise _Cleared

    def info(self) -> CacheInfo:
        """Return the numbers of functools, without the calls that were leaders' own."""
        hits, _, maxsize, size = self._info()
        own = self._flights.stats()
        return CacheInfo(max(0, hits - own.hits), own.misses, maxsize, size)

    def clear(self) -> None:
        """Forget all values and numbers; what is being computed begins anew."""
        self._epoch = object()
        self._flights.clear()
        self._flights.forget_numbers()
        self._clear()


class Decorator(Protocol):
    """What `memoize` with options returns."""

    def __call__(self, fn: Callable[P, R], /) -> MemoizedFunction[P, R]: ...


@overload
def memoize(maxsize: Callable[P, R], /) -> MemoizedFunction[P, R]: ...


@overload
def memoize(
    maxsize: int | None = 128,
    typed: bool = False,  # noqa: FBT001, FBT002 - as functools has it
) -> Decorator: ...


def memoize(
    maxsize: Any = 128,
    typed: bool = False,  # noqa: FBT001, FBT002 - as functools has it
) -> Any:
    """Remember what a function returns: `functools.lru_cache`, but computed once.

    It has the surface of `functools.lru_cache` and its speed: a hit *is* one of
    functools. Threads that ask for the same key while it is being computed wait for
    that one computation. `cached` does this for async functions as well, and has times
    to live, invalidation by key, and methods that don't keep their objects alive.

    Args:
        maxsize: How many values are held at most; None for no limit, 0 for none. Or the
            function, as in ``@memoize`` without parentheses.
        typed: Whether arguments of different types, as 3 and 3.0, are different.

    Raises:
        TypeError: If an argument is of the wrong kind, or the function is async or a
            generator function.
        ValueError: If *maxsize* is negative.

    Threads:
        Safe from any number of threads at once.

    Cost:
        A hit costs what one of `functools.lru_cache` costs. A miss calls functools
        twice, and takes two more frames of Python for each level of a recursion.

    Source:
        The same engine asked twice is this library's own; what it is proved by stands
        at the head of the module.

    .. versionadded:: 0.1
    """
    if callable(maxsize):
        return _memoized(maxsize, 128, typed=typed)
    size = None if maxsize is None else options.count_or_zero("maxsize", maxsize)
    options.flag("typed", typed)
    return lambda fn: _memoized(fn, size, typed=typed)


memoize.__module__ = "concutil"


def _memoized(fn: Any, maxsize: int | None, *, typed: bool) -> Callable[..., Any]:
    if not callable(fn):
        raise TypeError(f"only a function can be decorated, not {options.shown(fn)}")
    if is_async(fn) or is_generator(fn):
        raise TypeError(
            f"{options.shown(fn)} returns what can be used up only once: use cached for"
            " an async function, and return a list or tuple instead of a generator"
        )
    return _Once(fn, maxsize, typed=typed).function
