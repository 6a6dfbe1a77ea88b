"""What kills the mutants of `planted_flights`: a program, and not a test of its own.

    python -m instruments.flights_battery SCENARIO ...

The module is imported by its own name, so that the copy under test is found first.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from .explorer import Exhaustive, Program, explore

flights: Any = importlib.import_module("planted_flights.flights")

Scenario = tuple[Sequence[Callable[[], object]], Callable[[], object]]


def once() -> Scenario:
    """Both get the one value that was computed."""
    cache, computed, got = flights.Flights(), [], []

    def compute() -> object:
        computed.append(1)
        return object()

    def use() -> None:
        got.append(cache.get("key", compute))

    def check() -> None:
        assert len(computed) == 1
        assert got[0] is got[1] is cache.get("key", lambda: None)
        assert not cache.flights

    return [use, use], check


def failing() -> Scenario:
    """Whoever asked before it failed gets the same error."""
    cache, computed, errors = flights.Flights(), [], []

    def fail() -> None:
        computed.append(1)
        time.sleep(1)
        raise OSError(len(computed))

    def use() -> None:
        try:
            cache.get("key", fail)
        except OSError as error:
            errors.append(error)

    def check() -> None:
        assert len(computed) == 1
        assert errors[0] is errors[1]
        assert not cache.flights
        assert cache.get("key", lambda: 5) == 5

    return [use, use], check


def interrupted() -> Scenario:
    """Whoever waits takes over from one that is interrupted."""
    cache, computed, got = flights.Flights(), [], []

    def compute() -> int:
        computed.append(1)
        time.sleep(1)
        if len(computed) == 1:
            raise KeyboardInterrupt
        return 7

    def use() -> None:
        try:
            got.append(cache.get("key", compute))
        except KeyboardInterrupt:
            got.append(0)

    def check() -> None:
        assert sorted(got) == [0, 7]
        assert len(computed) == 2
        assert cache.get("key", lambda: None) == 7
        assert not cache.flights

    return [use, use], check


def invalidated() -> Scenario:
    """Nobody who asks after an invalidation gets an older value."""
    cache, source, seen = flights.Flights(), ["old"], []

    def use() -> None:
        cache.get("key", lambda: source[0])

    def change() -> None:
        source[0] = "new"
        cache.invalidate("key")
        seen.append(cache.get("key", lambda: source[0]))

    def check() -> None:
        assert seen == ["new"]
        assert cache.get("key", lambda: "newer") == "new"
        assert not cache.flights

    return [use, change], check


def disowned() -> Scenario:
    """Whoever asked before an invalidation doesn't compute again."""
    cache, computed, got = flights.Flights(), [], []

    def compute() -> int:
        computed.append(1)
        time.sleep(1)
        cache.invalidate("key")
        return 7

    def use() -> None:
        got.append(cache.get("key", compute))

    def check() -> None:
        assert got == [7, 7]
        assert len(computed) == 1
        assert not cache.values
        assert not cache.flights

    return [use, use], check


SCENARIOS: Final = {
    scenario.__name__: scenario
    for scenario in (once, failing, interrupted, invalidated, disowned)
}


def main(names: Sequence[str]) -> None:
    """Exhaust each scenario at bounds 1 and 2; the one whose timer must fire once."""
    for name in names or SCENARIOS:
        # An early timer, which is a preemption, lets the second come too late to wait.
        bounds = (0,) if name in {"failing", "disowned"} else (1, 2)
        for bound in bounds:
            program = Program(SCENARIOS[name], [flights])
            report = explore(program, Exhaustive(bound))
            assert report.failure is None, f"{name}: {report.failure}"


if __name__ == "__main__":
    main(sys.argv[1:])
