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
    """Tells apart the keys of those who share a cache."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


def by_value(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
    """Return the key of a call whose arguments count by their value alone."""
    return (*args, _MARK, *kwargs.items()) if kwargs else args


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
    """Whether *key* is one of *owner*, among those of a cache that others use too."""
    return isinstance(key, tuple) and bool(key) and key[0] is owner
