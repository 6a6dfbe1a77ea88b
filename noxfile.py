"""The gate: what must hold before a change lands.

``nox`` runs all of it, ``nox -s quick`` the part for daily work. A Python that isn't
on this machine is left out and named; with ``CI`` set it is a failure.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import nox

PYPROJECT = nox.project.load_toml("pyproject.toml")
SOURCES = ("src", "tests", "noxfile.py", "docs", "examples", "benchmarks")

# The Python that runs nox always takes the whole suite, so that a machine with only
# one has a gate too.
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}" + (
    "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
)
WHOLE = list(dict.fromkeys(["3.11", "3.14", "3.13t", HERE]))
# nox adds free-threaded builds of its own accord; ours is 3.13t.
SUPPORTED = [v for v in nox.project.python_versions(PYPROJECT) if v[-1] != "t"]
PART = [v for v in SUPPORTED if v not in WHOLE]
LEGS = [*(f"tests-{v}" for v in WHOLE), "lowest", *(f"canaries-{v}" for v in PART)]

# A folder of data per leg, replaced when the leg runs again.
COVERAGE = Path(".nox", "coverage-data").absolute()

# The last ones with wheels for 3.13t. Later ones would have to be compiled there, or
# would trace in pure Python.
FREE_THREADED = ("coverage<7.14", "hypothesis<6.156", "pydantic<2.12.4")

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = "CI" in os.environ
nox.options.stop_on_first_error = False

# Two workers; one that has nothing left takes over what the other hasn't begun.
PYTEST = ("pytest", "-n", "2", "--dist", "worksteal")


def measured(session: nox.Session, *args: str) -> None:
    """Run pytest on two workers and keep which lines and branches it reached."""
    data = COVERAGE / session.name
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    session.run(
        *("coverage", "run", f"--data-file={data / 'data'}", "-m"),
        *(*PYTEST, *args, *session.posargs),
        # An extension that isn't ready for free threading must not bring the GIL back.
        env={"PYTHON_GIL": "0"} if str(session.python).endswith("t") else None,
    )


def run_each(session: nox.Session, *commands: tuple[str, ...]) -> None:
    """Run all *commands*, so that one run tells everything, and then fail."""
    failed = []
    for command in commands:
        try:
            session.run(*command)
        except nox.command.CommandFailed:
            failed.append(command[0])
    if failed:
        session.error(f"failed: {', '.join(failed)}")


# What takes a second.
STYLE = (
    ("ruff", "format", "--check", "--diff", "--quiet", "."),
    ("ruff", "check", "--output-format=concise", "."),
    ("python", "tests/house_checks.py", "src", "tests"),
    ("lint-imports",),
)


@nox.session
def lint(session: nox.Session) -> None:
    """Check how the code looks, and that imports only go down."""
    session.install("-e", ".", "--group", "lint")
    tests = Path("tests").rglob("*.py")
    async_tests = [test for test in tests if "async " in test.read_text("utf-8")]
    run_each(
        session,
        *STYLE,
        # All at once: to read a file takes most of the time. 910 and 911 want a
        # checkpoint in every call; ours needn't yield when nothing has to be waited
        # for. pydoclint for the arguments in src: what is returned stands in the first
        # line, and what is raised is looked at by ruff.
        (
            *("flake8", "--select=ASYNC,DOC1", "--disable=ASYNC910,ASYNC911"),
            *("--anyio", "--style=google", "--arg-type-hints-in-docstring=False"),
            # In tests a function is async, or a generator, because that is the case.
            "--per-file-ignores=tests/*:ASYNC124,ASYNC900,DOC1",
            *(source for source in SOURCES if source != "tests"),
            *map(str, async_tests),
        ),
        ("interrogate", "--quiet", "src"),
        ("codespell", *SOURCES, "README.md", "CHANGELOG.md", "CONTRIBUTING.md"),
    )


@nox.session
def types(session: nox.Session) -> None:
    """Check the types, inside and as users see them."""
    session.install("-e", ".[all]", "--group", "types")
    run_each(
        session,
        ("mypy",),
        ("mypy", f"--python-version={SUPPORTED[0]}"),
        ("pyright",),
        ("pyright", "--verifytypes", "concutil", "--ignoreexternal"),
    )


@nox.session(python=WHOLE)
def tests(session: nox.Session) -> None:
    """Run the whole suite."""
    free_threaded = FREE_THREADED if str(session.python).endswith("t") else ()
    session.install("-e", ".[all]", "--group", "tests", *free_threaded)
    measured(session)


@nox.session(python=SUPPORTED[0])
def lowest(session: nox.Session) -> None:
    """Run the suite, slow tests aside, over the oldest dependencies that we allow."""
    session.install("--resolution", "lowest-direct", "-e", ".[all]")
    session.install("--group", "tests")
    session.run("uv", "pip", "list")
    measured(session, "-m", "not slow")


@nox.session(python=PART)
def canaries(session: nox.Session) -> None:
    """Run what differs between Pythons, and prove that the instruments see there."""
    session.install("-e", ".[all]", "--group", "tests")
    measured(session, "-m", "canary or smoke")


@nox.session
def coverage(session: nox.Session) -> None:
    """Hold line and branch coverage of all legs together at 100 %."""
    session.install("coverage")
    ran = [str(COVERAGE / leg) for leg in LEGS if (COVERAGE / leg).exists()]
    data = f"--data-file={COVERAGE / 'data'}"
    session.run("coverage", "combine", "--keep", "--quiet", data, *ran)
    # Some lines are for one Python alone: only the whole matrix reaches them all.
    whole = len(ran) == len(LEGS) or "CI" in os.environ
    session.run("coverage", "report", data, f"--fail-under={100 if whole else 0}")
    if not whole:
        session.warn(f"{len(LEGS) - len(ran)} legs are missing: 100 % is not held")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, warnings being errors, and run all its examples."""
    session.install("-e", ".[all]", "--group", "docs")
    target = session.create_tmp()
    session.run("sphinx-build", "-W", "-n", "-q", "-b", "html", "docs", target)
    session.run("pytest", "tests/test_docs.py")


@nox.session
@nox.parametrize("kind", ["sdist", "wheel"])
def packaging(session: nox.Session, kind: str) -> None:
    """Build a distribution, install it into a clean environment and use it there."""
    target = Path(session.create_tmp()).absolute()
    shutil.rmtree(target)
    session.run("uv", "build", f"--{kind}", "--quiet", "--out-dir", str(target))
    session.install(*map(str, target.glob("concutil-*")))
    session.run("python", "-I", "tests/smoke.py")
    session.install("--group", "tests")
    session.run("pytest", "tests/test_packaging.py", "-p", "no:cacheprovider")


@nox.session(default=False)
def deep(session: nox.Session) -> None:
    """Search on for failures, `-- 60m` long, and note in the ledger what was done."""
    session.install("-e", ".[all]", "--group", "tests")
    session.chdir("tests")
    session.run("python", "-m", "instruments.deep", *session.posargs)


@nox.session(default=False)
def quick(session: nox.Session) -> None:
    """Lint, and run the fast tests on the Python that runs nox."""
    session.install("-e", ".[all]", "--group", "lint", "--group", "tests")
    fast = (*PYTEST, "-m", "not slow", *session.posargs)
    run_each(session, *STYLE, fast)
