"""Methods that remember what they returned, for each object by itself."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from functools import _CacheInfo as CacheInfo
from types import MethodType
from typing import Any, NamedTuple, cast, final
from weakref import ref

from .._runtime.calls import is_async
from .keys import of_method
from .memory import Memory, remembering


class _Kept(NamedTuple):
    """What there is for one object, while that lives, or for the plain function."""

    function: Callable[..., Any]
    memory: Memory
    subject: ref[Any] | None = None  # tells when it is gone


@final
class CachedMethod:
    """A function of a class body, with a cache for each object that it is called on.

    Objects are told apart by identity and not kept alive, and nothing is written into
    them. Below `staticmethod` or `classmethod` it is a plain function with one cache.

    Args:
        fn: The function.
        memory: That of the plain function, from which those of objects are made.
        of_class: Whether it is called on the class, as a class method is.
    """

    def __init__(
        self, fn: Callable[..., Any], memory: Memory, *, of_class: bool
    ) -> None:
        self._fn = fn
        self._of_class = of_class
        self._in_class = False
        self._plain = _Kept(remembering(fn, memory), memory)
        self._each: dict[int, _Kept] = {}  # by the id of the object
        functools.update_wrapper(self, fn)
        self._open = self._opened()  # what there is on the class
        _mark_as(self, fn)

    def __set_name__(self, owner: type, name: str) -> None:
        self._in_class = True

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        subject = owner if self._of_class else instance
        if subject is None:
            return self._open
        if not self._in_class:  # below `classmethod`, until 3.12
            return MethodType(self, subject)
        return MethodType(self._of(subject).function, subject)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        function = self._of(args[0]).function if args else self._fn
        return function(*args, **kwargs)

    def _opened(self) -> Callable[..., Any]:
        """Return a function of the same colour that takes the object first."""

        def call(*args: Any, **kwargs: Any) -> Any:
            return self(*args, **kwargs)

        async def acall(*args: Any, **kwargs: Any) -> Any:
            """Do the same in a task."""
            return await self(*args, **kwargs)

        opened: Any = functools.wraps(self._fn)(acall if is_async(self._fn) else call)
        opened.cache_info = self.cache_info
        opened.cache_clear = self.cache_clear
        opened.cache_parameters = self.cache_parameters
        opened.cache_invalidate = self.cache_invalidate
        return cast("Callable[..., Any]", opened)

    def _of(self, subject: Any) -> _Kept:
        """Return what there is for *subject*, or for a plain function's argument."""
        kept = self._each.get(id(subject))
        if kept is not None and kept.subject is not None and kept.subject() is subject:
            return kept
        if self._in_class or self._is_method_of(subject):
            return self._bind(subject)
        return self._plain

    def _is_method_of(self, subject: Any) -> bool:
        """Whether another decorator, such as `property`, calls it with its object."""
        from inspect import getattr_static

        held = getattr_static(type(subject), self._fn.__name__, None)
        return held is not None and not isinstance(held, (staticmethod, classmethod))

    def _bind(self, subject: Any) -> _Kept:
        me, each = id(subject), self._each
        try:
            reference = ref(subject, lambda _: each.pop(me, None))
        except TypeError:
            raise TypeError(
                f"{type(subject).__qualname__} objects can't be held weakly, which a"
                " cached method does: add '__weakref__' to its __slots__"
            ) from None
        memory = self._plain.memory.of_object()
        function = remembering(self._fn, memory, of_method(memory.key_of))
        kept = _Kept(function, memory, reference)
        if gc.is_finalized(subject):  # by now nobody would tell that it is gone
            return kept
        other = each.setdefault(me, kept)
        if other.subject is not None and other.subject() is subject:
            return other
        each[me] = kept  # that one was of an object which had this id before
        return kept

    def cache_info(self) -> CacheInfo:
        """Return the sums for all objects; the greatest size is that of each."""
        caches = {id(it.cache): it for it in self._memories()}  # some may be shared
        infos = [memory.info() for memory in caches.values()]
        hits, misses, maxsize, size = zip(*infos, strict=True)
        return CacheInfo(sum(hits), sum(misses), maxsize[0], sum(size))

    def cache_clear(self) -> None:
        """Forget all values, of all objects."""
        memories = self._memories()
        for memory in memories[:1] if memories[0].is_shared else memories:
            memory.clear()  # that of the plain function clears all that is shared

    def cache_parameters(self) -> dict[str, Any]:
        """Return the options that functools has as well."""
        return self._plain.memory.parameters()

    def cache_invalidate(self, /, *args: Any, **kwargs: Any) -> bool:
        """Forget the value of this call, the object being the first argument."""
        from inspect import signature

        signature(self._fn).bind(*args, **kwargs)  # its TypeError tells what lacks
        kept = self._of(args[0]) if args else self._plain
        given = args if kept is self._plain else args[1:]
        return kept.memory.invalidate(*given, **kwargs)

    @property
    def cache(self) -> Any:
        """Where the values of the plain function are."""
        return self._plain.memory.cache

    def _memories(self) -> list[Memory]:
        return [kept.memory for kept in (self._plain, *self._each.copy().values())]

    def __reduce__(self) -> str:
        return self._fn.__qualname__


def _mark_as(function: object, fn: Callable[..., Any]) -> None:
    """Have *function* taken for an async one if *fn* is, where Python knows of that."""
    import inspect

    mark = getattr(inspect, "markcoroutinefunction", None)  # since 3.12
    if mark is not None and is_async(fn):
        mark(function)
