"""Methods that remember what they returned, for each object by itself."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import _CacheInfo as CacheInfo
from types import MethodType
from typing import Any, NamedTuple, cast, final
from weakref import ref

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
    them. Below `staticmethod` or `classmethod`, where nobody tells it of its class, it
    is a plain function with one cache.

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

    def __set_name__(self, owner: type, name: str) -> None:
        self._in_class = True

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        subject = owner if self._of_class else instance
        if subject is None:
            return self
        return MethodType(self._of(subject).function, subject)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self._of(args[0]).function if args else self._fn
        return function(*args, **kwargs)

    def _of(self, subject: Any) -> _Kept:
        """Return what there is for *subject*, or for a plain function's argument."""
        if not self._in_class:
            return self._plain
        try:
            return self._each[id(subject)]
        except KeyError:
            return self._bind(subject)

    def _bind(self, subject: Any) -> _Kept:
        me, each = id(subject), self._each
        try:
            # Before the id belongs to another object, this one is forgotten.
            reference = ref(subject, lambda _: each.pop(me, None))
        except TypeError:
            raise TypeError(
                f"{type(subject).__qualname__} objects can't be held weakly, which a"
                " cached method does: add '__weakref__' to its __slots__"
            ) from None
        memory = self._plain.memory.of_object()
        kept = _Kept(remembering(self._fn, memory), memory, reference)
        return each.setdefault(me, kept)

    def cache_info(self) -> CacheInfo:
        """Return the sums for all objects; the greatest size is that of each."""
        infos = [memory.info() for memory in self._memories()]
        hits, misses, maxsize, size = zip(*infos, strict=True)
        return CacheInfo(sum(hits), sum(misses), maxsize[0], sum(size))

    def cache_clear(self) -> None:
        """Forget all values, of all objects."""
        for memory in self._memories():
            memory.clear()

    def cache_parameters(self) -> dict[str, Any]:
        """Return the options that functools has as well."""
        return self._plain.memory.parameters()

    def cache_invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """Forget the value of this call, the object being the first argument."""
        return self._of(args[0]).memory.invalidate(*args, **kwargs)

    @property
    def cache(self) -> Any:
        """The cache of a plain function; each object has its own."""
        if self._in_class:
            raise AttributeError("each object has a cache of its own: obj.method.cache")
        return self._plain.memory.cache

    def _memories(self) -> list[Memory]:
        return [kept.memory for kept in (self._plain, *self._each.copy().values())]

    def __reduce__(self) -> str:
        return cast("str", self.__qualname__)  # type: ignore[attr-defined]  # it is fn's
