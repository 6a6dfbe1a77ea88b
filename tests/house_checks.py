"""House checks: what CONTRIBUTING.md asks for and no off-the-shelf linter sees.

    python tests/house_checks.py src tests

HC1   await-under-lock    a thread lock is held across an await
HC2   colour-twins        a def and an async def that say the same thing twice
HC3   hollow-docstring    a public docstring that only repeats the name
HC4   junk-drawer         a module whose name says nothing (utils, helpers, common, …)
HC5   silent-literal      a constant of time or size without a unit in its name
HC6   bound-early         from threading or time import …: instruments can't replace it
HC7   early-lock          a lock made at import, in a class body or as a default
HC8   mute-ignore         an ignore without its code or its reason
HC9   unfinished          TODO, FIXME, XXX, HACK, NotImplementedError
HC10  swallowed           except BaseException that doesn't end in a bare raise
HC11  background          a daemon thread, or clean-up in __del__
HC12  too-long            a module over 350 lines, a function body over 25
HC13  no-sentence         a test whose docstring isn't the sentence that it proves
HC14  real-sleep          a test that sleeps

HC8 and HC9 look at every file, HC13 and HC14 at tests, the others at the package. A
finding that has to stay says why on its line: ``# noqa: HC7 - reason``.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

from house_syntax import (
    Function,
    Module,
    body_of,
    definitions,
    functions,
    last_name,
    own_nodes,
)

Spot = tuple[int, str]  # a line and what is wrong there
Check = Callable[[Module], Iterator[Spot]]

MODULE_LINES = 350
BODY_LINES = 25  # a screen
TWIN_LINES = 6  # shorter functions are alike by chance
TWIN_RATIO = 0.80

LOCKISH = re.compile(r"(^|_)(lock|mutex|cond|condition)s?$", re.IGNORECASE)
EARLY = re.compile(
    r"threading\.(R?Lock|Condition|Event|(Bounded)?Semaphore)|_thread\.\w+"
)
JUNK = re.compile(r"_*(base|common|helpers?|misc|stuff|tools|utils?)")
FILLERS = {"a", "an", "do", "it", "of", "run", "the", "this", "to"}
MEASURE = re.compile(r"TIME|WAIT|DELAY|INTERVAL|IDLE|SIZE|LIMIT")
UNIT = re.compile(r"_(S|MS|NS|SECONDS|BYTES|ITEMS|COUNT|CALLS|LINES|CHARACTERS)$")
IGNORE = re.compile(r"#\s*(type: ignore|pyright: ignore|noqa|pragma: no \w+)(.*)")
REASONED = re.compile(r"(\[[\w, -]+\]|: [A-Z]+\d+(, ?[A-Z]+\d+)*)?(\s+[-#:]+ \S+)")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
COLOUR_PREFIX = re.compile(r"\b(_*)(?:async_|a(?=[a-z]{3}))")
COLOUR_WORDS = re.compile(
    r"\b(?:await|async) |_?[Aa]sync(?:io)?_?|anyio|time|Task|Thread"
)
SLEEPERS = {"anyio", "asyncio", "time", "trio"}


class Finding(NamedTuple):
    """One thing to mend."""

    module: Module
    line: int
    code: str
    message: str

    def shown(self) -> str:
        """Return it as linters print it, so that editors find the place."""
        return f"{self.module.path}:{self.line}: {self.code} {self.message}"


# --- what the package may not do -------------------------------------------------


def await_under_lock(module: Module) -> Iterator[Spot]:
    """Find HC1: the loop stands still, or deadlocks, while the lock is held."""
    for name, function in functions(module.tree):
        for node in own_nodes(function):
            if not isinstance(node, ast.With):
                continue
            held = [last_name(item.context_expr) for item in node.items]
            waits = any(
                isinstance(inner, (ast.Await, ast.AsyncWith, ast.AsyncFor))
                for inner in own_nodes(node)
            )
            if waits and any(map(LOCKISH.search, held)):
                yield node.lineno, f"{name} awaits while it holds {held[0]}"


def hollow_docstring(module: Module) -> Iterator[Spot]:
    """Find HC3: it passes every linter and tells nothing."""
    for name, node in definitions(module.tree):
        doc = ast.get_docstring(node)
        if doc is None or any(part.startswith("_") for part in name.split(".")):
            continue
        known = set(re.findall(r"[a-z]+", name.lower())) | FILLERS
        if not set(re.findall(r"[a-z]+", doc.lower())) - known:
            yield node.lineno, f"the docstring of {name} adds nothing to its name"


def junk_drawer(module: Module) -> Iterator[Spot]:
    """Find HC4: everything fits in, so everything ends there."""
    if JUNK.fullmatch(module.path.stem):
        yield 1, f"{module.path.stem!r} doesn't say what lives there"


def silent_literal(module: Module) -> Iterator[Spot]:
    """Find HC5: nobody knows whether it's seconds or milliseconds."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            number = type(node.value.value) in {int, float}
            for name in map(last_name, node.targets):
                if number and MEASURE.search(name) and not UNIT.search(name):
                    yield node.lineno, f"{name} doesn't say its unit"


def bound_early(module: Module) -> Iterator[Spot]:
    """Find HC6: instruments replace the attribute of the module, not our copy."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module in {"threading", "time"}:
            names = ", ".join(alias.name for alias in node.names)
            yield node.lineno, f"import {node.module}, and look {names} up at the call"


def early_lock(module: Module) -> Iterator[Spot]:
    """Find HC7: made before any instrument is there, and kept across a fork."""
    for node in run_at_import(module.tree):
        if isinstance(node, ast.Attribute) and EARLY.fullmatch(ast.unparse(node)):
            yield node.lineno, f"call {ast.unparse(node)} where the object is made"


def run_at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield what runs when the module is imported, defaults of functions included."""
    for node in own_nodes(tree):
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            yield from ast.walk(node.value)
        elif isinstance(node, (ast.Assign, ast.Expr)):
            yield node
            yield from own_nodes(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.arguments):
            for default in filter(None, [*node.defaults, *node.kw_defaults]):
                yield from ast.walk(default)


def swallowed(module: Module) -> Iterator[Spot]:
    """Find HC10: cancellation and Ctrl-C end here, and nobody hears of them."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        last = node.body[-1]
        raises = isinstance(last, ast.Raise) and last.exc is None
        if not raises and {last_name(kind) for kind in kinds} & {"", "BaseException"}:
            yield node.lineno, "except BaseException must end in a bare raise"


def background(module: Module) -> Iterator[Spot]:
    """Find HC11: nobody waits for the one, nobody knows when the other runs."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.keyword) and node.arg == "daemon":
            yield node.value.lineno, "a thread must end with the block that started it"
        if isinstance(node, ast.FunctionDef) and node.name == "__del__":
            yield node.lineno, "clean up in close() or __exit__, not in __del__"


def too_long(module: Module) -> Iterator[Spot]:
    """Find HC12: it doesn't fit a screen, or holds more than one idea."""
    lines = len(module.text.splitlines())
    if lines > MODULE_LINES:
        yield 1, f"{lines} lines, more than {MODULE_LINES}"
    for name, node in functions(module.tree):
        body = body_of(node)
        size = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
        if size > BODY_LINES:
            yield node.lineno, f"{name} has a body of {size} lines, over {BODY_LINES}"


# --- what no file may say ------------------------------------------------------------


def mute_ignore(module: Module) -> Iterator[Spot]:
    """Find HC8: nobody can tell whether it may go."""
    for line, comment in module.comments.items():
        ignore = IGNORE.search(comment)
        if ignore is None:
            continue
        kind, rest = ignore.groups()
        reasoned = REASONED.match(rest)
        coded = kind.startswith("pragma") or rest.startswith(("[", ": "))
        if not (reasoned and coded):
            yield line, f"write '# {kind}…' with its code and its reason"


def unfinished(module: Module) -> Iterator[Spot]:
    """Find HC9: what isn't finished isn't here."""
    for line, comment in module.comments.items():
        word = UNFINISHED.search(comment)
        if word is not None:
            yield line, f"{word[0]}: finish it, or tell it elsewhere"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Raise) and last_name(node.exc) == "NotImplementedError":
            yield node.lineno, "NotImplementedError: finish it, or leave it out"


# --- what tests must do --------------------------------------------------------------


def no_sentence(module: Module) -> Iterator[Spot]:
    """Find HC13: a test that doesn't say what it proves."""
    for name, node in functions(module.tree):
        doc = ast.get_docstring(node) or ""
        if name.split(".")[-1].startswith("test_") and not doc.endswith("."):
            yield node.lineno, f"the docstring of {name} must be a whole sentence"


def real_sleep(module: Module) -> Iterator[Spot]:
    """Find HC14: slow, and still too short on a busy machine."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            sleeps = node.func.attr == "sleep" and last_name(node.func.value)
            if sleeps in SLEEPERS and [ast.unparse(arg) for arg in node.args] != ["0"]:
                yield node.lineno, "wait for an event, or use virtual time"


# --- two texts for one thing ---------------------------------------------------------


def plain_lines(function: Function) -> list[str]:
    """Return the lines of *function* without docstring and without its colour."""
    text = ast.unparse(ast.Module(body=body_of(function), type_ignores=[]))
    return COLOUR_WORDS.sub("", COLOUR_PREFIX.sub(r"\1", text)).splitlines()


def colour_twins(modules: list[Module]) -> Iterator[Finding]:
    """Find HC2: mended in one, forgotten in the other."""
    known = [
        (module, name, node, lines)
        for module in modules
        for name, node in functions(module.tree)
        if len(lines := plain_lines(node)) >= TWIN_LINES
    ]
    for module, name, node, lines in known:
        for other_module, other_name, other, other_lines in known:
            if isinstance(node, ast.FunctionDef) or not isinstance(
                other, ast.FunctionDef
            ):
                continue
            nested = module is other_module and name.startswith(f"{other_name}.")
            same = SequenceMatcher(None, lines, other_lines).ratio()
            if same >= TWIN_RATIO and not nested:
                message = f"{name} says what {other_name} says ({same:.0%} the same)"
                yield Finding(module, node.lineno, "HC2", message)


# --- all together --------------------------------------------------------------------

EVERYWHERE: dict[str, Check] = {"HC8": mute_ignore, "HC9": unfinished}
IN_TESTS: dict[str, Check] = {"HC13": no_sentence, "HC14": real_sleep}
IN_PACKAGE: dict[str, Check] = {
    "HC1": await_under_lock,
    "HC3": hollow_docstring,
    "HC4": junk_drawer,
    "HC5": silent_literal,
    "HC6": bound_early,
    "HC7": early_lock,
    "HC10": swallowed,
    "HC11": background,
    "HC12": too_long,
}


def is_test(module: Module) -> bool:
    """Return whether *module* is part of the tests."""
    return "tests" in module.path.parts


def checks_for(module: Module) -> dict[str, Check]:
    """Return the checks that *module* has to pass, by code."""
    if not is_test(module):
        return EVERYWHERE | IN_PACKAGE
    if "instruments" in module.path.parts:  # there, sleeping takes virtual time
        return EVERYWHERE | {"HC13": no_sentence}
    return EVERYWHERE | IN_TESTS


def findings(modules: list[Module]) -> Iterator[Finding]:
    """Yield all that is to be mended in *modules*, excused or not."""
    for module in modules:
        for code, check in checks_for(module).items():
            for line, message in check(module):
                yield Finding(module, line, code, message)
    yield from colour_twins([module for module in modules if not is_test(module)])


def standing(modules: list[Module]) -> list[Finding]:
    """Return what is to be mended in *modules*, without what says why it must stay."""
    return [
        finding
        for finding in findings(modules)
        if not finding.module.excuses(finding.line, finding.code)
    ]


def main(roots: list[str]) -> int:
    """Print what is to be mended below *roots*; return 1 if there is anything."""
    files = sorted(path for root in roots for path in Path(root).rglob("*.py"))
    found = standing([Module(path, path.read_text("utf-8")) for path in files])
    for finding in found:
        sys.stdout.write(f"{finding.shown()}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
