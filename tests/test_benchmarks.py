"""The benchmarks run, and the one that proves something can tell right from wrong."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from importlib import import_module
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TABLES = {
    "cache.py": "A miss that evicts",
    "imports.py": "One statement",
    "keyed.py": "a limit for each key",
    "mixed.py": "One loop stands still",
    "retry.py": "Tasks that fail once together",
    "throughput.py": "5,000/s configured",
    "uncontended.py": "with x: pass",
    "waiters.py": "One waiter among many",
}


@pytest.mark.slow
@pytest.mark.parametrize("script", TABLES)
def test_a_benchmark_prints_its_table(script: str) -> None:
    """Each benchmark runs to its end, whatever peers there are, and prints a table."""
    answer = subprocess.run(
        [sys.executable, BENCHMARKS / script, "--quick"],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert TABLES[script] in answer.stdout


def test_every_benchmark_is_described_and_tried() -> None:
    """Each script in the folder has its part of the README, and a test above."""
    scripts = {
        path.name
        for path in BENCHMARKS.glob("*.py")
        if "__main__" in path.read_text("utf-8")
    }
    described = (BENCHMARKS / "README.md").read_text("utf-8")
    assert scripts == set(TABLES)
    assert [name for name in scripts if f"## `{name}`" not in described] == []


@pytest.mark.parametrize("seed", range(5))
def test_the_fullest_window_is_found(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mixed benchmark's one pass finds what looking at every window finds."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    mixed = import_module("mixed")
    rate, allowed = mixed.RATE_PER_S, mixed.BURST_CALLS
    draw = random.Random(seed)
    grants = sorted(draw.uniform(0, 0.1) for _ in range(200))
    worst = max(
        j - i + 1 - allowed - rate * (grants[j] - grants[i] + mixed.SLACK_S)
        for i, j in combinations_with_replacement(range(len(grants)), 2)
    )
    assert mixed.excess(grants) == pytest.approx(worst)
