"""Plain text on a terminal, a file or a pipe."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from typing import TextIO

from .plot import Glyphs, glyphs_for

# Often enough on a terminal to look alive, seldom enough in a log to be read.
_REWRITE_S, _REPEAT_S = 0.1, 1.0


class Screen:
    """Where the demo talks.

    On a terminal progress is one line that is written over and over; elsewhere it is a
    line per second.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._rewrites = out.isatty() and os.environ.get("TERM") != "dumb"
        self._due_at: float | None = None  # for the next progress; None after a pause
        self._shown_width = 0

    @property
    def glyphs(self) -> Glyphs:
        """What this screen can draw with."""
        return glyphs_for(self._out.encoding)

    @property
    def columns(self) -> int:
        """How wide it is, within reason."""
        return min(120, max(40, shutil.get_terminal_size().columns))

    def say(self, lines: Iterable[str]) -> None:
        """Write *lines* below what is there."""
        print(self._eraser(), end="", file=self._out)
        for line in lines:
            print(line, file=self._out)
        self._out.flush()
        self._due_at = None

    def progress(self, line: str, *, at: float) -> None:
        """Show *line* for now, unless another was shown a moment before *at*."""
        every = _REWRITE_S if self._rewrites else _REPEAT_S
        if self._due_at is None:
            self._due_at = at + every
        if at < self._due_at:
            return
        self._due_at += every
        if self._rewrites:
            shown = line[: self.columns - 1]
            print(f"{self._eraser()}{shown}", end="", file=self._out, flush=True)
            self._shown_width = len(shown)
        else:
            print(line, file=self._out, flush=True)

    def _eraser(self) -> str:
        """Return what wipes the line that stands there for now."""
        width, self._shown_width = self._shown_width, 0
        return f"\r{'':<{width}}\r" if width else ""
