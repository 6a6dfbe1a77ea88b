"""Bars of text: counts over time, a table, a progress bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor
from typing import NamedTuple

# Floats of seconds and their quotients are this exact at the least.
_ROUNDING = 1e-6

# What stands to the left of bars: a number, a space and the axis.
LABEL_COLUMNS = 8
_NUMBER_COLUMNS = LABEL_COLUMNS - 2


class Glyphs(NamedTuple):
    """What to draw with."""

    levels: str  # from empty to full, for one character cell
    limit: str  # an empty cell at the height of the limit
    axis: str
    tick: str  # the axis at the height of the limit


BLOCKS = Glyphs(" ▁▂▃▄▅▆▇█", "┄", "│", "┼")
ASCII = Glyphs(" #", "-", "|", "+")


def glyphs_for(encoding: str | None) -> Glyphs:
    """Return block characters if *encoding* has them, else plain ASCII."""
    try:
        "".join(BLOCKS).encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return ASCII
    return BLOCKS


def interval_that_fits(span: float, *, columns: int) -> float:
    """Return the least multiple of 0.1 s that cuts *span* into so many *columns*."""
    # A column more for the end of the span, which may begin one.
    return (floor(span * 10 / columns + _ROUNDING) + 1) / 10


def bars(
    counts: Sequence[int], *, top: float, limit: float, height: int, glyphs: Glyphs
) -> list[str]:
    """Draw *counts* as columns, *height* lines high, the full height being *top*."""
    limit_row = min(height - 1, int(limit / top * height))
    lines: list[str] = []
    for row in reversed(range(height)):
        at_limit = row == limit_row
        empty = glyphs.limit if at_limit else " "
        cells = [_cell(count / top * height - row, glyphs.levels) for count in counts]
        label = f"{limit:g}" if at_limit else f"{top:g}" if row == height - 1 else ""
        axis = glyphs.tick if at_limit else glyphs.axis
        drawn = "".join(cells).replace(" ", empty)
        lines.append(f"{label:>{_NUMBER_COLUMNS}} {axis}{drawn}".rstrip())
    return lines


def _cell(fill: float, levels: str) -> str:
    """Return the character for a cell of which *fill* is full; above 1 is full."""
    steps = len(levels) - 1
    return levels[round(min(1.0, max(0.0, fill)) * steps)]


def ruler(columns: int, *, interval: float) -> str:
    """Return a line of seconds below *columns* of *interval* seconds each."""
    line = ""
    second = 0
    while (place := ceil(second / interval - _ROUNDING)) < columns:
        if place >= len(line):  # else the labels would touch
            line = f"{line:<{place}}{second} s "
        second += 1
    return f"{'':>{LABEL_COLUMNS}}{line}".rstrip()


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return *rows* as aligned lines: the first column left, all others right."""
    lines = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            f"{cell:<{width}}" if place == 0 else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def progress_bar(fraction: float, *, width: int, glyphs: Glyphs) -> str:
    """Return a bar *width* characters wide, of which *fraction* is full."""
    full = round(min(1.0, max(0.0, fraction)) * width)
    return f"{glyphs.levels[-1] * full}{glyphs.limit * (width - full)}"
