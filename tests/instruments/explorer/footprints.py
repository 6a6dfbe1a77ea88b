"""What a step touches: two steps that don't touch the same may be swapped."""

from __future__ import annotations

import dis
import sys
from functools import cache
from itertools import count
from typing import Final, NamedTuple


class Footprint(NamedTuple):
    """What a step touches, as bits.

    Attributes:
        own: What it does.
        hits: What must not be swapped with it.
    """

    own: int
    hits: int

    def meets(self, other: Footprint) -> bool:
        """Whether it matters which of both comes first."""
        return bool(self.hits & other.own)


_ANY: Final = 1
_places: Final = count(1, 2)

NOTHING: Final = Footprint(0, 0)
ANYTHING: Final = Footprint(_ANY, -1)


@cache
def _place(name: str) -> int:
    return next(_places)


@cache
def reads(name: str) -> Footprint:
    """Return the footprint of what looks at *name*."""
    return Footprint(1 << _place(name), (2 << _place(name)) | _ANY)


@cache
def writes(name: str) -> Footprint:
    """Return the footprint of what changes *name*, or takes it."""
    return Footprint(2 << _place(name), (3 << _place(name)) | _ANY)


CONTAINER_READ: Final = reads("any container")
CONTAINER_WRITE: Final = writes("any container")
CLOCK_READ: Final = reads("the clock")
CLOCK_MOVE: Final = writes("the clock")

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
_READS_NAME: Final = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_NAME")
_READS_CELL: Final = ("LOAD_DEREF", "LOAD_CLASSDEREF")
_WRITES_NAME: Final = ("STORE_ATTR", "DELETE_ATTR", "STORE_GLOBAL", "DELETE_GLOBAL")
_WRITES_CELL: Final = ("STORE_DEREF", "DELETE_DEREF")
_READS_CONTAINER: Final = (
    *("COMPARE_OP", "CONTAINS_OP", "BINARY_", "UNARY_", "TO_BOOL", "POP_JUMP_IF_"),
    *("FOR_ITER", "GET_ITER", "UNPACK_", "GET_LEN", "FORMAT_", "CONVERT_", "BUILD_"),
)
_WRITES_CONTAINER: Final = ("STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE")


def of_bytecode(op: dis.Instruction) -> Footprint:
    """Return what *op* touches; what isn't known touches anything."""
    name = op.opname
    if name.startswith(_LOCAL):
        return NOTHING
    if name in _READS_NAME or name in _READS_CELL:
        return reads(op.argval)
    if name in _WRITES_NAME or name in _WRITES_CELL:
        return writes(op.argval)
    if name in _WRITES_CONTAINER or (name == "BINARY_OP" and "=" in op.argrepr):
        return CONTAINER_WRITE
    if name.startswith(_READS_CONTAINER):
        return CONTAINER_READ
    return ANYTHING


def is_load(op: dis.Instruction) -> bool:
    """Whether *op* loads an attribute or a global."""
    return op.opname in _READS_NAME


def is_store(op: dis.Instruction) -> bool:
    """Whether *op* stores an attribute or a global."""
    return op.opname in _WRITES_NAME
