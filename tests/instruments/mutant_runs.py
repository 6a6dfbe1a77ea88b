"""Runs mutants against the tests that should kill them.

Each runs in a process of its own, on a copy of the package in which one module is
replaced, with a time limit. `python -m instruments.mutant_runs [MODULE ...]`, called
in `tests`, runs those of the limiter and writes down the results.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final, Literal, final

from .mutants import Mutant, mutants_of

Verdict = Literal["killed", "killed by time", "survived", "explained"]

TESTS: Final = Path(__file__).resolve().parent.parent
WORKERS_COUNT: Final = 2
# Processes of our own get none of what pytest and coverage tell their own.
_PRIVATE: Final = ("COVERAGE", "COV_CORE", "PYTEST")
# What a test says that waited in vain.
_ABOUT_TIME: Final = ("Timeout", "BlockedOutside", "waited in vain", "never came back")


class BatteryBroken(AssertionError):  # noqa: N818  # says what happened
    """The tests fail, or don't run, without any mutant."""


@final
@dataclass(frozen=True)
class Subject:
    """A module, and what should kill its mutants.

    Attributes:
        package: The folder of the package that it is in.
        module: Its path in there.
        command: The arguments of Python that run the tests, the module's own and the
            quick ones first; they end with 1 at the first failure, else with 0.
        limit_s: How long they may take.
    """

    package: Path
    module: str
    command: Sequence[str]
    limit_s: float

    def mutants(self) -> list[Mutant]:
        """Return all mutants of the module."""
        return mutants_of((self.package / self.module).read_text(encoding="utf-8"))


@final
@dataclass(frozen=True)
class Result:
    """What became of a mutant.

    Attributes:
        why: The test that killed it, or why it needn't be killed.
    """

    name: str
    verdict: Verdict
    seconds: float
    why: str

    def __str__(self) -> str:
        told = f"{self.verdict:14} {self.seconds:5.1f} s  {self.name}"
        return f"{told}\n{' ' * 24}{self.why}"


@final
@dataclass
class Report:
    """What became of the mutants of a module."""

    module: str
    results: list[Result] = field(default_factory=list)
    seconds: float = 0.0

    def names(self, *verdicts: Verdict) -> list[str]:
        """Return which mutants came to one of *verdicts*."""
        return [it.name for it in self.results if it.verdict in verdicts]

    def __str__(self) -> str:
        parts = [
            f"{len(self.names(verdict))} {verdict}"
            for verdict in ("killed", "killed by time", "explained", "survived")
            if self.names(verdict)
        ]
        return (
            f"{self.module}: {len(self.results)} mutants, {', '.join(parts)},"
            f" in {self.seconds:.0f} s"
        )


def run(
    subject: Subject,
    explained: Mapping[str, str],
    *,
    again: bool = False,
    mutants: Iterable[Mutant] | None = None,
    hear: Callable[[Result], object] = lambda _: None,
) -> Report:
    """Run the mutants of *subject*.

    Args:
        subject: What is mutated, and tested.
        explained: Why a mutant is no fault, by its name: nothing runs it.
        again: Whether to run these as well, and call them killed if they are.
        mutants: Which; None means all.
        hear: Is told each result as it comes.

    Raises:
        BatteryBroken: If the tests don't pass without a mutant, or an explanation
            explains no mutant.
    """
    known = subject.mutants()
    stale = explained.keys() - {mutant.name for mutant in known}
    if stale:
        raise BatteryBroken(f"there are no such mutants of {subject.module}: {stale}")
    _require_passing(subject)
    report = Report(subject.module)
    begun = perf_counter()

    def run_one(mutant: Mutant) -> Result:
        if mutant.name in explained and not again:
            return Result(mutant.name, "explained", 0.0, explained[mutant.name])
        result = _run_one(subject, mutant)
        if result.verdict == "survived" and mutant.name in explained:
            return Result(
                mutant.name, "explained", result.seconds, explained[mutant.name]
            )
        return result

    with ThreadPoolExecutor(WORKERS_COUNT) as pool:
        for result in pool.map(run_one, known if mutants is None else mutants):
            report.results.append(result)
            hear(result)
    report.seconds = perf_counter() - begun
    return report


def _require_passing(subject: Subject) -> None:
    source = (subject.package / subject.module).read_text(encoding="utf-8")
    with _copy_of(subject, source) as root:
        code, output = _python(subject, root)
    if code != 0:
        raise BatteryBroken(f"without a mutant, the tests end with {code}:\n{output}")


def _run_one(subject: Subject, mutant: Mutant) -> Result:
    begun = perf_counter()
    with _copy_of(subject, mutant.source) as root:
        code, output = _python(subject, root)
        if code is None or any(word in output for word in _ABOUT_TIME):
            # A busy machine looks the same: once may be by chance.
            code, output = _python(subject, root)
    seconds = perf_counter() - begun
    if code is None:
        return Result(mutant.name, "killed by time", seconds, "it takes too long")
    return Result(mutant.name, "killed" if code else "survived", seconds, _why(output))


def _why(output: str) -> str:
    """Return the name of the test that failed, or the last words."""
    lines = output.strip().splitlines() or [""]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return (failed or lines[-1:])[0][:150]


@contextmanager
def _copy_of(subject: Subject, source: str) -> Iterator[Path]:
    """Make a copy of the package with *source* as the module; return where it is."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / subject.package.name
        ignore = shutil.ignore_patterns(f"{Path(subject.module).stem}.*.pyc")
        shutil.copytree(subject.package, copy, ignore=ignore)
        (copy / subject.module).write_text(source, encoding="utf-8")
        yield Path(folder)


def _python(subject: Subject, root: Path) -> tuple[int | None, str]:
    """Run the tests; return how they ended, None being too late, and what they say."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(_PRIVATE)}
    env["PYTHONPATH"] = os.pathsep.join([str(root), str(TESTS)])
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    process = subprocess.Popen(
        [sys.executable, *subject.command],
        cwd=TESTS.parent,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=subject.limit_s)
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        _end(process)
    return process.returncode, output


def _end(process: subprocess.Popen[str]) -> None:
    """Kill *process* and what it has started, if anything is left."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
