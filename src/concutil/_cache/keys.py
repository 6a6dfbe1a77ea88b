"""Keys of calls: which arguments make the same call."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, final

# From the arguments of a call, as they came, to its key.
KeyOf = Callable[[tuple[Any, ...], dict[str, Any]], Hashable]


@final
class _Mark:
    """Parts what is passed by place from what is passed by name, and from types."""

    def __repr__(self) -> str:
        return "|"


_MARK: Final = _Mark()


@final
class Owner:
    """Tells apart the keys of those who share a cache.

    Args:
        name: What it is shown as.
        whole: What it is a part of, as one object's calls are of a method.
    """

    __slots__ = ("_name", "whole")

    def __init__(self, name: str, whole: Owner | None = None) -> None:
        self._name = name
        self.whole: Owner | None = whole

    def __repr__(self) -> str:
        return self._name


def by_value(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
    """Return the key of a call whose arguments count by their value alone."""
    return (*args, _MARK, *kwargs.items()) if kwargs else args


def by_value_in_functools(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
    """Return a key that is equal to others just where those of functools are.

    There a single argument of these types is its own key, so that 3 is not 3.0.
    """
    if len(args) == 1 and not kwargs and type(args[0]) in {int, str}:
        return args[0]  # type: ignore[no-any-return]  # it is hashable
    return by_value(args, kwargs)


def by_type(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
    """Return the key of a call in which 3 and 3.0 are not the same."""
    types = (type(value) for value in (*args, *kwargs.values()))
    return (*args, _MARK, *kwargs.items(), _MARK, *types)


def by_function(key: Callable[..., Hashable]) -> KeyOf:
    """Return what takes the key from a function of the arguments."""
    return lambda args, kwargs: key(*args, **kwargs)


def of_method(key_of: KeyOf) -> KeyOf:
    """Return what leaves out the first argument, the object of a method."""
    return lambda args, kwargs: key_of(args[1:], kwargs)


def owned(owner: Owner, key_of: KeyOf) -> KeyOf:
    """Return what tells these keys apart from those of other owners."""
    return lambda args, kwargs: (owner, key_of(args, kwargs))


def is_owned(owner: Owner, key: Hashable) -> bool:
    """Whether *key* is one of *owner* or its parts, in a cache that others use too."""
    first = key[0] if isinstance(key, tuple) and key else None
    return isinstance(first, Owner) and owner in {first, first.whole}
