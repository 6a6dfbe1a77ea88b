"""Every example of the documentation runs, and says what it is said to say.

An example is a ``python`` or ``pycon`` block of a page, a ``>>>`` in a docstring, or a
file in ``examples``. Each runs in a process of its own, as a reader would run it, with
warnings as errors. What a ``python`` block prints must be what the ``output`` block
after it shows, where 0.2 stands for about 0.2; without one it must print nothing.
"""

from __future__ import annotations

import ast
import doctest
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = sorted((ROOT / "src").rglob("*.py"))
SCRIPTS = sorted((ROOT / "examples").rglob("*.py"))

FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,})(?P<language>.*)$")
RUN = {"python", "pycon"}
SHOWN = {"output", "sh", "text", "toml"}  # nothing to run: output, commands, layouts
DIRECTIVES = {"{eval-rst}", "{include}", "{literalinclude}", "{toctree}"}
REST_BLOCK = re.compile(r"\.\. (code|code-block|sourcecode|doctest)::|\w::\n")

DECIMAL = re.compile(r"(\d+\.\d+)")
NEAR = 0.5  # a busy machine is late

RUN_SESSION = """
import doctest, sys
failed, _ = doctest.testfile(
    sys.argv[1], module_relative=False, optionflags=doctest.ELLIPSIS
)
sys.exit(failed > 0)
"""


class Block(NamedTuple):
    """A fenced block of a page: where it begins, what it is, what it says."""

    page: Path
    line: int
    indent: str
    language: str
    text: str

    @property
    def name(self) -> str:
        """The place, as an editor finds it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


class Example(NamedTuple):
    """Something to run, and what it must print; None if that is left open."""

    name: str
    text: str
    output: str | None


def blocks(page: Path) -> Iterator[Block]:
    """Yield every fenced block of *page*."""
    begin: re.Match[str] | None = None
    first = 0
    inside: list[str] = []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if begin is None:
            if fence is not None:
                begin, first, inside = fence, number, []
        elif fence is not None and ends(begin, fence):
            text = "".join(f"{line}\n" for line in inside)
            language = begin["language"].strip()
            yield Block(page, first, begin["indent"], language, text)
            begin = None
        else:
            inside.append(line)
    assert begin is None, f"{page.name}:{first}: this block has no end"


def ends(begin: re.Match[str], fence: re.Match[str]) -> bool:
    """Return whether *fence* ends the block that *begin* has begun."""
    return not fence["language"] and fence["ticks"].startswith(begin["ticks"])


def code_in_prose(page: Path) -> Iterator[int]:
    """Yield the lines of *page* that are code, but in no block."""
    lines = dict(enumerate(page.read_text("utf-8").splitlines(), 1))
    for block in blocks(page):
        for number in range(block.line, block.line + block.text.count("\n") + 2):
            del lines[number]
    for number, line in lines.items():
        # Markdown takes an indented line for code only after an empty one.
        indented = line.startswith(("    ", "\t")) and not lines.get(number - 1, "")
        if indented or line.lstrip().startswith(">>>"):
            yield number


def docstrings(module: Path) -> Iterator[tuple[int, str]]:
    """Yield every docstring of *module* with the line of what it belongs to."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)) is not None:
            yield getattr(node, "lineno", 1), text


def scripts() -> Iterator[Example]:
    """Yield the ``python`` blocks of all pages, and the files in ``examples``."""
    for page in PAGES:
        found = list(blocks(page))
        for block, after in zip(found, [*found[1:], None], strict=True):
            if block.language == "python":
                shown = after if after and after.language == "output" else None
                yield Example(block.name, block.text, shown.text if shown else "")
    for script in SCRIPTS:
        name = str(script.relative_to(ROOT))
        yield Example(name, script.read_text("utf-8"), None)


def sessions() -> Iterator[Example]:
    """Yield the ``pycon`` blocks of all pages, and the docstrings with a ``>>>``."""
    for page in PAGES:
        for block in blocks(page):
            if block.language == "pycon":
                yield Example(block.name, block.text, None)
    for module in MODULES:
        for line, text in docstrings(module):
            if doctest.DocTestParser().get_examples(text):
                yield Example(f"{module.relative_to(ROOT)}:{line}", text, None)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with *arguments* in *folder*, warnings being errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=30,
    )


def alike(shown: str, printed: str) -> bool:
    """Return whether texts are the same, and the decimals in them about the same."""
    ours, theirs = DECIMAL.split(shown), DECIMAL.split(printed)
    decimals = zip(ours[1::2], theirs[1::2], strict=False)
    return ours[::2] == theirs[::2] and all(
        abs(float(one) - float(other)) <= NEAR for one, other in decimals
    )


def named(example: Example | Path) -> str:
    """Return what pytest calls *example*, a page or a module."""
    if isinstance(example, Path):
        return str(example.relative_to(ROOT))
    return example.name


@pytest.mark.parametrize("example", list(scripts()), ids=named)
def test_script(example: Example, tmp_path: Path) -> None:
    """An example ends well, complains of nothing, and prints what it is said to."""
    path = tmp_path / "example.py"
    path.write_text(example.text, "utf-8")

    done = run(tmp_path, str(path))

    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    if example.output is not None:
        assert alike(example.output, done.stdout), done.stdout


@pytest.mark.smoke
@pytest.mark.parametrize("example", list(sessions()), ids=named)
def test_session(example: Example, tmp_path: Path) -> None:
    """Every answer in an interactive session is the one that Python gives."""
    path = tmp_path / "session.txt"
    path.write_text(example.text, "utf-8")

    done = run(tmp_path, "-c", RUN_SESSION, str(path))

    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_page_shows_no_code_that_nobody_runs(page: Path) -> None:
    """A page holds blocks of known languages only, and no code outside of them."""
    before = ""
    for block in blocks(page):
        language = block.language.split(" ")[0]
        assert language in RUN | SHOWN | DIRECTIVES, f"{block.name}: {language!r}"
        assert not block.indent, f"{block.name}: begin the block at the margin"
        assert language != "output" or before == "python", block.name
        assert language in RUN or ">>>" not in block.text, block.name
        before = language
    assert list(code_in_prose(page)) == []


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_docstring_shows_no_code_that_nobody_runs(module: Path) -> None:
    """The only code in docstrings is what stands behind a ``>>>``."""
    for line, text in docstrings(module):
        if ">>>" not in text:
            assert "```" not in text, f"{module.name}:{line}: show it after >>>"
            assert not REST_BLOCK.search(text), f"{module.name}:{line}: use >>>"


def test_every_kind_of_example_is_found() -> None:
    """The tests above have something to run: nothing is missed because it moved."""
    places = [example.name.split("/")[0].split(":")[0] for example in scripts()]

    assert {"README.md", "docs", "examples"} <= set(places)
    assert any(example.name.startswith("docs") for example in sessions())


def test_readme_names_the_command_that_ci_runs() -> None:
    """The README has two commands: one for the demo, and the gate as CI runs it."""
    shell = [block.text.strip() for block in blocks(README) if block.language == "sh"]
    gate = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()[-1]
    demo = gate.replace('"nox[uv]"', '".[cli]"').replace("-m nox", "-m concutil demo")

    assert shell[-2:] == [demo, gate]


def test_readme_leads_somewhere() -> None:
    """Every relative link of the README leads to a file of the project."""
    targets = re.findall(r"\]\(([^):#]+)\)", README.read_text("utf-8"))

    assert targets
    assert [target for target in targets if not (ROOT / target).is_file()] == []
