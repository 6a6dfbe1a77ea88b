"""How much each battery must do at least: the one place where that is said.

On one Python everything is done in full. On the others the instruments prove by their
canaries that they see there too, and then do less. `deep` goes on where these end.
"""

from __future__ import annotations

import sys
import sysconfig
from dataclasses import dataclass
from typing import Final

from .explorer import Grain
from .explorer.primitives import WITH_IS_A_CALL

_FREE_THREADED: Final = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
_IN_FULL: Final = sys.version_info[:2] == (3, 14)


@dataclass(frozen=True)
class Exhaustion:
    """Programs of which every schedule is run.

    Attributes:
        threads: How many threads they have.
        length: How many operations each thread does.
        bound: How often at most a thread is preempted.
        grain: What a step is.
        core: Whether only the core of the alphabet is used.
    """

    threads: int
    length: int
    bound: int
    grain: Grain
    core: bool = False

    def __str__(self) -> str:
        letters = "core" if self.core else "alphabet"
        return f"{self.threads}x{self.length}-{letters}-bound-{self.bound}-{self.grain}"


@dataclass(frozen=True)
class Budget:
    """What a battery that did less than this did not do.

    Attributes:
        soak_hours: Virtual hours of traffic in each world.
        soak_calls: Calls in each world.
        timelines: Programs of calls that are compared with a model, in each world.
        schedules: Random and PCT schedules of each subject.
        cache_schedules: The same of each kind of cache, of which there are many.
        bound: How often at most a thread is preempted in programs of which every
            schedule is run on each Python.
        interrupts: Whether each operation is interrupted everywhere.
        histories: Histories of each subject whose order is looked for.
        cache_histories: The same of caches.
        mutants: Whether the mutants of modules that changed are run.
        exhausted: Programs of a subject of which every schedule is run, with holders
            that leave at once and with holders that wait first.
    """

    soak_hours: float
    soak_calls: int
    timelines: int
    schedules: int
    histories: int
    mutants: bool
    interrupts: bool
    cache_schedules: int
    cache_histories: int
    bound: int
    exhausted: tuple[Exhaustion, ...] = ()


_GATE: Final = Budget(
    soak_hours=100,
    soak_calls=180_000,
    timelines=1_000,
    schedules=20_000,
    histories=10_000,
    mutants=True,
    interrupts=True,
    cache_schedules=800,
    cache_histories=2_000,
    bound=2,
    exhausted=(
        Exhaustion(threads=2, length=2, bound=1, grain="line"),
        Exhaustion(threads=2, length=1, bound=2, grain="line", core=True),
        Exhaustion(threads=2, length=2, bound=2, grain="lock", core=True),
        Exhaustion(threads=3, length=1, bound=2, grain="lock"),
    ),
)
_ELSEWHERE: Final = Budget(
    soak_hours=5,
    soak_calls=8_000,
    timelines=100,
    schedules=500,
    histories=1_000,
    mutants=False,
    # Without the GIL they are delivered in the same places, and take ten times as long.
    interrupts=not _FREE_THREADED,
    cache_schedules=200,
    cache_histories=200,
    bound=1,
)
BUDGET: Final = _GATE if _IN_FULL else _ELSEWHERE

# Interrupts of a running thread that leave something behind, by subject. Each is looked
# at when it is new; the numbers may only fall. On 3.14 more are left: see `primitives`.
LEFT_BEHIND: Final = (
    {"Rated": 96, "Placed": 272, "RatedAndPlaced": 280}
    if WITH_IS_A_CALL
    else {"Rated": 24, "Placed": 176, "RatedAndPlaced": 184}
)
