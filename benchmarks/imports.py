"""What importing costs a program, each time in a fresh process.

    python benchmarks/imports.py [--quick]

`import concutil` loads nothing until a name is used; a limiter in a program without an
event loop needs neither asyncio nor anyio. The least of many processes, in turn, each
of which tells what the statement took and how many modules it brought. Compiled files
are kept, as they are once a package is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import partial

from side_by_side import Cell, least, peer, print_head, print_table, wants_quick

STATEMENTS = {
    "import concutil": "concutil",
    "from concutil import RateLimiter": "concutil",
    "import threading": "threading",
    "import dataclasses": "dataclasses",
    "import logging": "logging",
    "import asyncio": "asyncio",
    "from aiolimiter import AsyncLimiter": "aiolimiter",
    "import anyio": "anyio",
    "import trio": "trio",
}
PROGRAM = """
import sys, time
before = len(sys.modules)
start = time.perf_counter()
{statement}
print((time.perf_counter() - start) * 1e3, len(sys.modules) - before)
"""


def measure(statement: str, environment: Mapping[str, str]) -> tuple[float, ...]:
    """Return the milliseconds that *statement* takes, and the modules it loads."""
    answer = subprocess.run(  # noqa: S603 - our own program in our own Python
        [sys.executable, "-c", PROGRAM.format(statement=statement)],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return tuple(map(float, answer.stdout.split()))


def compare(rounds: int, environment: Mapping[str, str]) -> None:
    contestants = {
        statement: partial(measure, statement, environment)
        for statement, module in STATEMENTS.items()
        if peer(module) is not None
    }
    best = least(contestants, rounds=rounds)
    beside = best["import asyncio"][0]
    rows: list[tuple[Cell, ...]] = [
        (statement, f"{took:.2f}", f"{took / beside:.3f}", f"{modules:.0f}")
        for statement, (took, modules) in best.items()
    ]
    headings = ("", "ms", "/ import asyncio", "modules")
    print_table(f"One statement, {rounds} processes each", headings, rows)


def main() -> None:
    rounds = 1 if wants_quick(__doc__) else 30
    print_head(__doc__, "aiolimiter", "anyio", "trio")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE"
    }
    with tempfile.TemporaryDirectory() as compiled:
        compare(rounds, {**environment, "PYTHONPYCACHEPREFIX": compiled})


if __name__ == "__main__":
    main()
