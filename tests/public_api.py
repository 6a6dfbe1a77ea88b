"""The public names, and what they looked like when that was last decided.

    python tests/public_api.py      # write tests/api/public.txt anew

tests/test_public_api.py compares the file with the package.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from inspect import get_annotations
from pathlib import Path
from typing import Any

MODULES = ("concutil", "concutil.events", "concutil.testing")
RECORDED = Path(__file__).parent / "api" / "public.txt"

# Special methods that a caller uses without naming them.
FACES = ("__enter__", "__aenter__", "__await__", "__call__", "__iter__", "__aiter__")


def public_objects() -> dict[str, Any]:
    """Return every public class and function by its full name."""
    return {
        f"{module}.{name}": value
        for module in MODULES
        for name in import_module(module).__all__
        if callable(value := getattr(import_module(module), name))
    }


def members(kind: type) -> dict[str, Any]:
    """Return the public members of a class and of those bases that are ours."""
    ours = [base for base in kind.__mro__ if base.__module__.startswith("concutil")]
    found = {
        name: value for base in reversed(ours) for name, value in body(base).items()
    }
    return {
        name: found[name]
        for name in sorted(found)
        if not name.startswith("_") or name in FACES
    }


def body(kind: type) -> dict[str, Any]:
    """Return what the body of one class makes: slots, annotations and values."""
    slots = dict.fromkeys(vars(kind).get("__slots__", ()), Bare("?"))
    notes = {name: bare(note) for name, note in get_annotations(kind).items()}
    values = {
        name: value
        for name, value in vars(kind).items()
        if not inspect.ismemberdescriptor(value)  # what a slot turns into
    }
    return slots | notes | values


def described() -> Iterator[str]:
    """Yield a line for each public name: a signature, or what an attribute holds."""
    for name, value in public_objects().items():
        yield f"{name}{signature(value)}"
        if isinstance(value, type):
            for member, content in members(value).items():
                yield f"{name}.{member}{shape(content)}"


def shape(content: Any) -> str:
    """Return how a member is used: called, or read as what."""
    if inspect.isfunction(content):
        return signature(content)
    if isinstance(content, (staticmethod, classmethod)):
        return f"{signature(content.__func__)} {type(content).__name__}"
    if isinstance(content, property):
        return f": {inspect.signature(content.fget).return_annotation}"
    return f": {content}" if isinstance(content, Bare) else f" = {content!r}"


class Bare:
    """An annotation that shows itself without quotes, on every Python alike."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def bare(annotation: object) -> object:
    """Return *annotation* so that it shows without quotes; elsewhere it is missing."""
    return Bare(annotation) if isinstance(annotation, str) else annotation


def signature(value: Any) -> str:
    """Return the signature of *value* as its author wrote it."""
    if getattr(value, "_is_protocol", False) or value.__init__ is Exception.__init__:
        return ""  # not ours to say, and not the same on every Python
    found = inspect.signature(value)
    return str(
        found.replace(
            parameters=[
                parameter.replace(annotation=bare(parameter.annotation))
                for parameter in found.parameters.values()
            ],
            return_annotation=bare(found.return_annotation),
        )
    )


if __name__ == "__main__":
    RECORDED.write_text("".join(f"{line}\n" for line in described()), "utf-8")
