"""Contestants side by side: measured in turn, in one process, each by its best round.

Other programs share the cores, and a round is disturbed or it is not. So the least of
many short rounds is what the code itself costs, and since all take turns, the ratios
within a table can be trusted where the figures can't.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module, metadata
from math import inf
from typing import Any

from concutil import __version__

# One round: whatever figures it takes, always as many, and the less the better.
Measure = Callable[[], tuple[float, ...]]
Cell = str | float


def wants_quick(what: str | None) -> bool:
    """Return whether the command line asks for a trial run, too short to measure."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument(
        "--quick", action="store_true", help="only show that it runs; measures nothing"
    )
    quick: bool = parser.parse_args().quick
    return quick


def peer(name: str) -> Any:
    """Return the module *name*, or None if it is not installed: checkers can't know."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return None


def print_head(what: str | None, *peers: str) -> None:
    """Print what is shown, on which Python, and beside which versions of *peers*."""
    gil = "on" if getattr(sys, "_is_gil_enabled", lambda: True)() else "off"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print((what or "").partition("\n")[0])
    print(f"{python} (GIL {gil}), {os.cpu_count()} cores, {platform.machine()}", end="")
    print("", f"concutil {__version__}", *map(_version, peers), sep="; ")


def _version(name: str) -> str:
    if peer(name) is None:
        return f"{name} is not installed: left out"
    distribution = metadata.packages_distributions()[name][0]
    return f"{distribution} {metadata.version(distribution)}"


def least(
    contestants: Mapping[str, Measure], *, rounds: int
) -> dict[str, tuple[float, ...]]:
    """Return the least of each figure of each contestant, over *rounds* in turn."""
    best: dict[str, tuple[float, ...]] = {}
    for _ in range(rounds):
        for name, measure in contestants.items():
            figures = measure()
            before = best.get(name, (inf,) * len(figures))
            best[name] = tuple(map(min, before, figures))
    return best


def with_ratios(
    best: Mapping[str, tuple[float, ...]], beside: Sequence[str]
) -> list[tuple[Cell, ...]]:
    """Return a row per contestant: its only figure, and that beside each peer's."""
    return [
        (name, f"{figure:,.0f}", *[figure / best[other][0] for other in beside])
        for name, (figure,) in best.items()
    ]


def print_table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[Cell]]
) -> None:
    """Print *rows*, the first column to the left; a float gets two places."""
    texts = [
        list(headings),
        *[[it if isinstance(it, str) else f"{it:.2f}" for it in row] for row in rows],
    ]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    print(f"\n{title}")
    for first, *others in texts:
        cells = [
            text.rjust(width) for text, width in zip(others, widths[1:], strict=True)
        ]
        print("  ", first.ljust(widths[0]), *cells, sep="  ", flush=True)
