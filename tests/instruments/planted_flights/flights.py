"""Computes each key once at a time: correct, so that every mutant of it is a fault."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable


class Flight:
    """A computation that is under way, and who waits for it."""

    def __init__(self) -> None:
        self.done = False
        self.value: object = None
        self.error: Exception | None = None
        self.gates: list[threading.Lock] = []


class Flights:
    """Results by key; errors reach all who wait, an interrupted one is replaced."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: dict[Hashable, object] = {}
        self.flights: dict[Hashable, Flight] = {}

    def get(self, key: Hashable, compute: Callable[[], object]) -> object:
        """Return the value of *key*; at most one caller at a time computes it."""
        while True:
            gate = None
            with self.lock:
                if key in self.values:
                    return self.values[key]
                flight = self.flights.get(key)
                if flight is not None:
                    gate = threading.Lock()
                    gate.acquire()
                    flight.gates.append(gate)
                else:
                    flight = self.flights[key] = Flight()
            if gate is None:
                return self._lead(key, flight, compute)
            gate.acquire()
            if flight.error is not None:
                raise flight.error
            if flight.done:
                return flight.value

    def _lead(
        self, key: Hashable, flight: Flight, compute: Callable[[], object]
    ) -> object:
        try:
            flight.value = compute()
        except BaseException as error:
            flight.error = error if isinstance(error, Exception) else None
            self._land(key, flight)
            raise
        else:
            flight.done = True
            self._land(key, flight)
            return flight.value
        finally:
            for gate in flight.gates:
                gate.release()

    def _land(self, key: Hashable, flight: Flight) -> None:
        with self.lock:
            # Else it was invalidated meanwhile, and maybe computed anew.
            if self.flights.get(key) is flight:
                del self.flights[key]
                if flight.done:
                    self.values[key] = flight.value

    def invalidate(self, key: Hashable) -> None:
        """Forget the value of *key*, and what computes it now."""
        with self.lock:
            self.values.pop(key, None)
            self.flights.pop(key, None)
