"""What kills the mutants of caches: see `limiter_mutants`, which runs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_SCHEDULES: Final = "instruments/test_cache_schedules.py"
_SWEEP: Final = "instruments/test_cache_sweep.py"
_TWO: Final = f"{_SCHEDULES}::test_all_orders_of_two"
_CIRCLES: Final = f"{_SCHEDULES}::test_all_orders_of_closing_a_circle"
_HISTORIES: Final = "instruments/test_cache_histories.py::test_results_have_an_order"

FIRST: Final[dict[str, Sequence[str]]] = {
    "_cache/asking.py": (
        *("cache/test_hand_over.py", "cache/test_cancellation.py"),
        *("cache/test_edges.py", "cache/test_recursion.py"),
    ),
    "_cache/flights.py": (
        *("cache/test_hand_over.py", "cache/test_recursion.py"),
        *("cache/test_no_false_alarms.py", "cache/test_edges.py"),
    ),
    "_cache/lead.py": (
        *("cache/test_hand_over.py", "cache/test_cancellation.py"),
        *("cache/test_interrupts.py", "cache/test_single_flight.py"),
    ),
    "_cache/sorting.py": (
        *("cache/test_sorting.py", "cache/test_ttl.py", "cache/test_interrupts.py"),
    ),
    "_cache/store.py": (
        *("cache/test_upon_the_lock.py", "cache/test_hand_over.py"),
        *("cache/test_interrupts.py", "cache/test_mapping.py", "cache/test_changes.py"),
        *("cache/test_on_evict.py", "cache/test_stale.py", "cache/test_edges.py"),
        "cache/test_hand_over_faults.py",
    ),
    "_core/dates.py": ("cache/test_ttl.py", "core/test_dates.py"),
    "_core/lru.py": (
        *("cache/test_weights.py", "cache/test_ttl.py", "cache/test_mapping.py"),
        *("cache/test_no_hangs.py", "core/test_lru.py"),
    ),
    "_core/waits.py": ("core/test_waits.py", "cache/test_recursion.py"),
}
# What is run when these let a mutant live.
THEN: Final = (
    *("cache", _SWEEP, _TWO, _CIRCLES, _HISTORIES),
    f"{_SCHEDULES}::test_random_schedules_of_random_programs",
)
