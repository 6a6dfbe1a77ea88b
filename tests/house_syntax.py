"""A parsed file, and ways to walk through it: what the house checks are made of."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = Function | ast.ClassDef


class Module:
    """A file, parsed once for all checks."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.tree = ast.parse(text)
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        self.comments = {
            token.start[0]: token.string
            for token in tokens
            if token.type == tokenize.COMMENT
        }

    def excuses(self, line: int, code: str) -> bool:
        """Return whether *line* says that *code* has to stay."""
        comment = self.comments.get(line, "")
        return "noqa" in comment and re.search(rf"\b{code}\b", comment) is not None


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what *node* holds, without entering the functions that it defines."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (Function, ast.Lambda)):
            yield child
            yield from own_nodes(child)


def definitions(tree: ast.AST, owner: str = "") -> Iterator[tuple[str, Documented]]:
    """Yield every function and class below *tree* with its dotted name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Documented):
            yield owner + node.name, node
            yield from definitions(node, f"{owner}{node.name}.")
        else:
            yield from definitions(node, owner)


def functions(tree: ast.AST) -> Iterator[tuple[str, Function]]:
    """Yield every function below *tree* with its dotted name."""
    for name, node in definitions(tree):
        if isinstance(node, Function):
            yield name, node


def last_name(node: ast.expr | None) -> str:
    """Return the last word of a dotted name or of the call of one."""
    while isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def body_of(node: Documented) -> list[ast.stmt]:
    """Return the statements of *node* after its docstring."""
    return node.body if ast.get_docstring(node) is None else node.body[1:]
