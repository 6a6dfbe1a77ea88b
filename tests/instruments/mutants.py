"""Small faults of the kind that concurrent code has, put in one at a time.

Each operator breaks one thing that only tests of concurrency can miss: a lock, a
wake-up, a clean-up, a second look, an order. A mutant is named by what it does to
which statement of which function, not by its line, so that names outlive edits.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar, final

N = TypeVar("N", bound=ast.AST)

_LOCK_WORDS: Final = ("lock", "cond", "mutex", "guard")
_WAKES: Final = frozenset({
    *("wake", "notify", "notify_all", "set", "set_result", "set_exception"),
    *("call_soon_threadsafe", "run_sync_soon", "reschedule", "settle"),
    *("_come_back", "_pump", "release"),
})
_GIVES_BACK: Final = frozenset({
    *("give_back", "undo", "leave", "leave_block", "release", "_release", "close"),
    *("remove", "discard", "pop", "popleft", "clear", "cancel", "_unqueue", "expire"),
    *("append", "appendleft", "apply", "adjust", "awake"),
})
_BLOCKS: Final = ("body", "orelse", "finalbody")
_SIMPLE: Final = (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)


@final
@dataclass(frozen=True)
class Mutant:
    """A module with one fault.

    Attributes:
        name: Function, what was done, and to which statement.
        source: The whole module.
    """

    name: str
    source: str


class _Spot(NamedTuple):
    """A statement: where it stands, and what it is in."""

    block: list[ast.stmt]
    place: int
    function: str
    locked: bool

    @property
    def statement(self) -> ast.stmt:
        return self.block[self.place]


# What is done to a statement in a copy of the module, by its description.
_Edit = tuple[str, ast.AST, Callable[[_Spot], None]]
_Operator = Callable[[_Spot], Iterator[_Edit]]


def mutants_of(source: str) -> list[Mutant]:
    """Return every mutant of *source* that differs from it and from the others."""
    tree = ast.parse(source)
    found: list[Mutant] = []
    seen = {ast.unparse(tree)}
    names: dict[str, int] = {}
    count = sum(1 for _ in _spots(tree))
    for at in range(count):
        for operator in OPERATORS:
            for number, (what, about, _) in enumerate(operator(_spot(tree, at))):
                twin = copy.deepcopy(tree)
                spot = _spot(twin, at)
                edits = list(operator(spot))
                name = f"{spot.function}: {what}: `{_shown(about)}`"
                edits[number][2](spot)
                text = ast.unparse(ast.fix_missing_locations(twin))
                if text not in seen:
                    seen.add(text)
                    names[name] = names.get(name, 0) + 1
                    again = f" ({names[name]})" if names[name] > 1 else ""
                    found.append(Mutant(name + again, text))
    return found


def _spot(tree: ast.Module, at: int) -> _Spot:
    return next(spot for i, spot in enumerate(_spots(tree)) if i == at)


def _spots(
    node: ast.AST, function: str = "", *, locked: bool = False
) -> Iterator[_Spot]:
    """Yield every statement of every function below *node*, outermost first."""
    for field in (*_BLOCKS, "handlers", "cases"):
        block = getattr(node, field, None)
        if not isinstance(block, list):  # a lambda's body is none
            continue
        for place, child in enumerate(block):
            if isinstance(child, ast.stmt) and function:
                yield _Spot(block, place, function, locked)
            yield from _inside(child, function, locked=locked)


def _inside(child: ast.AST, function: str, *, locked: bool) -> Iterator[_Spot]:
    if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield from _spots(child, _dotted(function, child.name))
    elif isinstance(child, ast.ClassDef):
        # Its own statements run at import; those of its methods are looked at.
        for method in child.body:
            yield from _inside(method, _dotted(function, child.name), locked=False)
    else:
        yield from _spots(child, function, locked=locked or _takes_a_lock(child))


def _dotted(owner: str, name: str) -> str:
    return f"{owner}.{name}" if owner else name


def _takes_a_lock(node: ast.AST) -> bool:
    if not isinstance(node, ast.With):
        return False
    texts = [ast.unparse(item.context_expr).lower() for item in node.items]
    return any(word in text for text in texts for word in _LOCK_WORDS)


def _shown(node: ast.AST) -> str:
    """Return the first line of *node*: it may be shown in a list."""
    return ast.unparse(node).splitlines()[0]


def _called(node: ast.AST) -> str:
    """Return the last word of what *node*, a call, calls; "" if it is none."""
    if not isinstance(node, ast.Call):
        return ""
    called = node.func
    if isinstance(called, ast.Attribute):
        return called.attr
    return called.id if isinstance(called, ast.Name) else ""


def _own(statement: ast.stmt, kind: type[N]) -> Sequence[N]:
    """Return the expressions of *kind* in *statement*, not those of its blocks."""
    found: list[N] = []
    queue: list[ast.AST] = [statement]
    while queue:
        node = queue.pop(0)
        if isinstance(node, kind):
            found.append(node)
        queue += [
            child
            for child in ast.iter_child_nodes(node)
            if not isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case))
        ]
    return found


def _replace(spot: _Spot, *statements: ast.stmt) -> None:
    spot.block[spot.place : spot.place + 1] = statements or [ast.Pass()]


def lock_not_taken(spot: _Spot) -> Iterator[_Edit]:
    """Run what stands under a lock without it."""
    it = spot.statement
    if isinstance(it, ast.With) and _takes_a_lock(it):
        body = it.body
        yield "lock not taken", it, lambda s: _replace(s, *body)


def wake_up_not_given(spot: _Spot) -> Iterator[_Edit]:
    """Drop a call that wakes somebody, or take for granted that it did."""
    it = spot.statement
    if isinstance(it, ast.Expr) and _called(it.value) in _WAKES:
        yield "wake-up not given", it, _replace
        return
    for call in _own(it, ast.Call):
        if _called(call) == "wake":

            def edit(s: _Spot, call: ast.Call = call) -> None:
                _Swap(call, ast.Constant(value=True)).visit(s.statement)

            yield "wake-up not given", it, edit


@final
class _Swap(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old = old
        self._new = new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else self.generic_visit(node)


def finally_emptied(spot: _Spot) -> Iterator[_Edit]:
    """Clean up nothing at the end of a `try`."""
    it = spot.statement
    if isinstance(it, ast.Try) and it.finalbody:
        first = it.finalbody[0]
        yield "finally emptied", first, _setting(it, "finalbody", [ast.Pass()])


def handler_narrowed(spot: _Spot) -> Iterator[_Edit]:
    """Let cancellation and Ctrl-C pass by a handler, or have it only raise again."""
    it = spot.statement
    if not isinstance(it, ast.Try):
        return
    for handler in it.handlers:
        kind = handler.type
        if isinstance(kind, ast.Name) and kind.id == "BaseException":
            first = handler.body[0]
            yield "handler narrowed", first, _setting(kind, "id", "Exception")
            if len(handler.body) > 1:
                yield (
                    "handler only raises",
                    first,
                    _setting(handler, "body", handler.body[-1:]),
                )


def _setting(node: ast.AST, attribute: str, value: object) -> Callable[[_Spot], None]:
    return lambda _: setattr(node, attribute, value)


def re_check_dropped(spot: _Spot) -> Iterator[_Edit]:
    """Look once instead of again after each wait."""
    it = spot.statement
    if not isinstance(it, ast.While):
        return
    once = [*it.body, ast.Break()]
    if isinstance(it.test, ast.Constant):
        yield "goes round once", it, _setting(it, "body", once)
    else:
        # A `break` keeps `while` what `if` would be, with `break` and `continue` in it.
        yield "while -> if", it, _setting(it, "body", once)


def swapped(spot: _Spot) -> Iterator[_Edit]:
    """Swap two statements under a lock, or one with the end of a critical section."""
    block, i = spot.block, spot.place
    if i + 1 == len(block):
        return
    one, two = block[i], block[i + 1]
    locks = _takes_a_lock(one), _takes_a_lock(two)
    simple = isinstance(one, _SIMPLE), isinstance(two, _SIMPLE)
    if _is_docstring(one) or not (simple[0] or locks[0]) or not (simple[1] or locks[1]):
        return
    if spot.locked or any(locks):
        yield "swapped with the next", one, lambda _: _turn_round(block, i)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _turn_round(block: list[ast.stmt], i: int) -> None:
    block[i], block[i + 1] = block[i + 1], block[i]


def not_given_back(spot: _Spot) -> Iterator[_Edit]:
    """Count once less, or leave out a call that gives something back."""
    it = spot.statement
    if isinstance(it, ast.AugAssign) and isinstance(it.op, (ast.Add, ast.Sub)):
        yield "not counted", it, _replace
    elif isinstance(it, ast.Delete):
        yield "not removed", it, _replace
    elif isinstance(it, ast.Expr) and _called(it.value) in _GIVES_BACK - _WAKES:
        yield "not given back", it, _replace


def check_dropped(spot: _Spot) -> Iterator[_Edit]:
    """Skip a check that has somebody go a way of its own, or do it unasked."""
    it = spot.statement
    if isinstance(it, ast.If) and _acts(it.body):
        yield (
            "as if never",
            it,
            _setting(it, "test", ast.Constant(value=False)),
        )
        yield (
            "as if always",
            it,
            _setting(it, "test", ast.Constant(value=True)),
        )


def _acts(body: Sequence[ast.stmt]) -> bool:
    """Whether *body* wakes somebody or gives something back."""
    return any(
        isinstance(it, (ast.AugAssign, ast.Delete))
        or (isinstance(it, ast.Expr) and _called(it.value) in _WAKES | _GIVES_BACK)
        for it in body
    )


OPERATORS: Final[Sequence[_Operator]] = (
    lock_not_taken,
    wake_up_not_given,
    finally_emptied,
    handler_narrowed,
    re_check_dropped,
    swapped,
    not_given_back,
    check_dropped,
)
