"""A schedule explorer for threads: one runs at a time, and a search says which.

`explore(program, search)` runs a program under one schedule after the other; a failure
comes with a schedule that `replay(program, schedule)` runs again.

What it can't see: weak memory (all threads agree on one order), races inside of C
functions (a `dict` operation is one step), threads that the program starts by itself,
real input and output.
"""

from .explore import (
    Explorer,
    NotDeterministic,
    NothingExplored,
    Program,
    explore,
    replay,
)
from .interrupts import InterruptReport, sweep_interrupts
from .points import Grain
from .report import Failure, Report
from .scheduler import BlockedOutside
from .strategies import Exhaustive, Pct, Random, Search

__all__ = (
    "BlockedOutside",
    "Exhaustive",
    "Explorer",
    "Failure",
    "Grain",
    "InterruptReport",
    "NotDeterministic",
    "NothingExplored",
    "Pct",
    "Program",
    "Random",
    "Report",
    "Search",
    "explore",
    "replay",
    "sweep_interrupts",
)
