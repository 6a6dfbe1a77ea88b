"""How much each battery must do at least: the one place where that is said.

On one Python everything is done in full. On the others the instruments prove by their
canaries that they see there too, and then do less.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

_IN_FULL: Final = sys.version_info[:2] == (3, 14)


@dataclass(frozen=True)
class Budget:
    """What a battery that did less than this did not do.

    Attributes:
        soak_hours: Virtual hours of traffic in each world.
        soak_calls: Calls in each world.
        timelines: Programs of calls that are compared with a model, in each world.
    """

    soak_hours: float
    soak_calls: int
    timelines: int


BUDGET: Final = (
    Budget(soak_hours=100, soak_calls=180_000, timelines=1_000)
    if _IN_FULL
    else Budget(soak_hours=5, soak_calls=8_000, timelines=100)
)
