"""Frozen records: values with named fields, cheaper to import than dataclasses."""

from __future__ import annotations

import sys
from typing import Any, ClassVar, Final

if sys.version_info >= (3, 11):
    from typing import Never, dataclass_transform
else:
    from typing_extensions import Never, dataclass_transform

_set: Final = object.__setattr__


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Record:
    """A value that can't change: compared, hashed, shown and pickled by its fields.

    The fields of a subclass are its `__slots__`; annotate each in the class body.
    """

    __slots__: tuple[str, ...] = ()
    _wanted: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        cls._wanted = frozenset(cls.__slots__)

    def __init__(self, **fields: Any) -> None:
        if fields.keys() != self._wanted:
            wanted = ", ".join(self.__slots__)
            raise TypeError(
                f"{type(self).__name__} takes exactly the fields {wanted},"
                f" not {', '.join(fields)}"
            )
        for name, value in fields.items():
            _set(self, name, value)

    def asdict(self) -> dict[str, Any]:
        """Return the fields by name, in the order of their declaration."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __setattr__(self, name: str, value: object) -> Never:
        raise AttributeError(f"{type(self).__name__} is frozen: can't set {name!r}")

    def __delattr__(self, name: str) -> Never:
        raise AttributeError(f"{type(self).__name__} is frozen: can't delete {name!r}")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.asdict() == other.asdict()

    def __hash__(self) -> int:
        return hash((type(self), *self.asdict().values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.asdict().items())
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[object, ...]:
        return _revive, (type(self), self.asdict())


def _revive(kind: type[Record], fields: dict[str, Any]) -> Record:
    record = kind.__new__(kind)
    for name, value in fields.items():
        _set(record, name, value)
    return record
