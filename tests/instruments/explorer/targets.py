"""What code is looked at, and which of its bytecodes others can see."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, final

# A module stands for all code in its file, a package for its modules, a class for its
# methods.
Target = ModuleType | type | Callable[..., Any]

# Beginnings of the names of bytecodes that touch nothing that another thread can see.
# Truth tests may read a container: they stand beside the jump before 3.13.
_LOCAL: Final = (
    *("LOAD_FAST", "STORE_FAST", "DELETE_FAST", "LOAD_CONST", "LOAD_SMALL"),
    *("LOAD_COMMON", "LOAD_ASSERTION", "LOAD_SPECIAL", "RETURN", "PUSH_", "POP_TOP"),
    *("POP_EXCEPT", "POP_ITER", "POP_BLOCK", "POP_JUMP_IF_NO", "JUMP_FORWARD"),
    *("JUMP_BACKWARD", "JUMP_ABSOLUTE", "NOP", "NOT_TAKEN", "CACHE", "RESUME", "COPY"),
    *("SWAP", "ROT_", "DUP_", "EXTENDED", "KW_NAMES", "PRECALL", "IS_OP", "MAKE_"),
    *("BUILD_TUPLE", "BUILD_LIST", "BUILD_MAP", "LIST_APPEND", "CHECK_EXC", "RERAISE"),
    *("SETUP_FINALLY", "SETUP_CLEANUP", "GEN_START", "GET_AWAITABLE", "SEND", "END_"),
    "SET_FUNCTION_ATTRIBUTE",
    *(("POP_JUMP_IF_",) if sys.version_info >= (3, 13) else ()),
)
_LOADS: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_NAME"})
_STORES: Final = ("STORE_ATTR", "DELETE_ATTR", "STORE_GLOBAL", "DELETE_GLOBAL")


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

    def visible(self, code: CodeType) -> frozenset[int]:
        """Return the offsets of the bytecodes in *code* that others can see.

        Loads of what is never stored after construction aren't among them.
        """
        return frozenset(
            op.offset
            for op in dis.get_instructions(code)
            if not op.opname.startswith(_LOCAL) and not self._is_constant(op)
        )

    def _is_constant(self, op: dis.Instruction) -> bool:
        stored = self._stored
        return stored is not None and op.opname in _LOADS and op.argval not in stored


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
            stored |= {op.argval for op in ops if op.opname in _STORES}
    return frozenset(stored)
