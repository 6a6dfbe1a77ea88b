"""What kills the mutants of caches: see `limiter_mutants`, which runs them.

They are not recorded yet, so the gate does not ask for them: add these modules to
`limiter_mutants.FIRST` as soon as each is killed or explained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_SCHEDULES: Final = "instruments/test_cache_schedules.py"
_SWEEP: Final = "instruments/test_cache_sweep.py"
_TWO: Final = f"{_SCHEDULES}::test_all_orders_of_two"
_CIRCLES: Final = f"{_SCHEDULES}::test_all_orders_of_closing_a_circle"
_HISTORIES: Final = "instruments/test_cache_histories.py::test_results_have_an_order"

FIRST: Final[dict[str, Sequence[str]]] = {
    "_cache/flights.py": (_TWO, _SWEEP, _CIRCLES),
    "_cache/lead.py": (_TWO, _SWEEP),
    "_cache/store.py": (_TWO, _SWEEP),
    "_core/lru.py": (_TWO,),
    "_core/dates.py": (_TWO,),
    "_core/waits.py": (_CIRCLES,),
}
# What is run when these let a mutant live.
THEN: Final = (
    *(_SWEEP, _TWO, _CIRCLES, _HISTORIES),
    f"{_SCHEDULES}::test_random_schedules_of_random_programs",
)
