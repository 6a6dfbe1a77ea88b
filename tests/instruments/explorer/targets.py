"""What code is looked at, and which of its bytecodes others can see."""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MethodDescriptorType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any, Final, final

from .footprints import (
    ANYTHING,
    CLOCK_READ,
    CONTAINER_READ,
    CONTAINER_WRITE,
    NOTHING,
    Footprint,
    is_load,
    is_store,
    of_bytecode,
)
from .primitives import Lock
from .shadows import Shadows

# A module stands for all code in its file, a package for its modules, a class for its
# methods.
Target = ModuleType | type | Callable[..., Any]

_OF_SHADOWS: Final[dict[object, Footprint]] = {
    Shadows.monotonic: CLOCK_READ,
    Shadows.lock: NOTHING,
    Shadows.rlock: NOTHING,
}
_WRITTEN_IN_C: Final = (
    BuiltinFunctionType,
    MethodDescriptorType,
    MethodWrapperType,
    WrapperDescriptorType,
)


def codes_of(target: Target) -> Iterator[CodeType]:
    """Walk all code of *target*, also of functions inside of functions."""
    if isinstance(target, ModuleType):
        for path in _files_of(target):
            yield from _codes_in(path)
    elif isinstance(target, type):
        for base in target.__mro__[:-1]:
            for member in vars(base).values():
                for part in ("fget", "fset", "fdel", "__func__"):
                    yield from _nested(_code_of(getattr(member, part, None)))
                yield from _nested(_code_of(member))
    else:
        yield from _nested(_code_of(target))


def _files_of(module: ModuleType) -> list[str]:
    assert module.__file__ is not None, f"{module.__name__} has no source"
    if hasattr(module, "__path__"):
        return [str(path) for path in Path(module.__file__).parent.glob("*.py")]
    return [module.__file__]


@cache
def _codes_in(path: str) -> Sequence[CodeType]:
    source = Path(path).read_text(encoding="utf-8")
    return list(_nested(compile(source, path, "exec")))


def _code_of(thing: object) -> object:
    function = getattr(thing, "__wrapped__", thing)
    return getattr(function, "__code__", None)


def _nested(code: object) -> Iterator[CodeType]:
    if isinstance(code, CodeType):
        yield code
        for constant in code.co_consts:
            yield from _nested(constant)


@final
class Targets:
    """All code of some modules, classes and functions.

    Attributes:
        names: What must be reached, by target.
    """

    def __init__(self, targets: Iterable[Target]) -> None:
        self.names: dict[object, str] = {}
        self._files: dict[str, Target] = {}
        # By identity, since to hash code is to read all of it.
        self._ids: dict[int, Target] = {}
        self._codes: list[CodeType] = []
        for target in targets:
            codes = list(codes_of(target))
            self._codes += codes  # kept, so that no id is used again
            self.names[target] = getattr(target, "__qualname__", target.__name__)
            if isinstance(target, ModuleType):
                self._files.update(dict.fromkeys(_files_of(target), target))
            else:
                self._ids.update(dict.fromkeys(map(id, codes), target))
        self._stored = _names_stored(self._codes)

    def of(self, code: CodeType) -> Target | None:
        """Return the target that *code* belongs to, or None."""
        return self._ids.get(id(code)) or self._files.get(code.co_filename)

    def visible(self, code: CodeType) -> dict[int, Footprint]:
        """Return the bytecodes of *code* that others can see, by offset.

        Loads of what is never stored after construction aren't among them.
        """
        seen: dict[int, Footprint] = {}
        for op in dis.get_instructions(code):
            footprint = of_bytecode(op)
            if footprint is not NOTHING and not self._is_constant(op):
                seen[op.offset] = footprint
        return seen

    def of_call(self, called: object, first: object) -> Footprint:
        """Return what a call touches by itself; *first* is the first argument."""
        receiver = getattr(called, "__self__", first)
        if isinstance(receiver, Lock):
            return receiver.footprint
        function = getattr(called, "__func__", called)
        if isinstance(function, type):  # a new object is nobody else's
            function = vars(function).get("__init__", CONTAINER_READ)
        if isinstance(function, FunctionType):
            if self.of(function.__code__) is not None:
                return NOTHING
            return _OF_SHADOWS.get(function, ANYTHING)
        if isinstance(function, Footprint):
            return function
        return CONTAINER_WRITE if isinstance(function, _WRITTEN_IN_C) else ANYTHING

    def _is_constant(self, op: dis.Instruction) -> bool:
        stored = self._stored
        return stored is not None and is_load(op) and op.argval not in stored


def _names_stored(codes: Iterable[CodeType]) -> frozenset[str] | None:
    """Return the attributes and globals stored outside of `__init__`; None: any.

    `object.__setattr__` is how frozen objects are made: they are never stored to again.
    """
    stored: set[str] = set()
    for code in codes:
        if code.co_name != "__init__":
            if "setattr" in code.co_names:
                return None
            ops = dis.get_instructions(code)
            stored |= {op.argval for op in ops if is_store(op)}
    return frozenset(stored)
