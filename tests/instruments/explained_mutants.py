"""Mutants that live and may: by module and name, with the reason."""

from __future__ import annotations

from typing import Final

_EAGER: Final = "settling when there is nothing to settle costs time, no more"
_QUICK: Final = "the way from other threads is right here as well, only slower"
_LATER: Final = "who got in had nobody behind; who did not goes on to wait, and settles"
_ENDS: Final = "the function ends here, and what it names with it: it is for who reads"
_APART: Final = "these two are under one lock, and neither reads what the other writes"
_DRIFT: Final = "what is left of a sum of floats is 1e-12 or so: it is tidier without"

EXPLAINED: Final[dict[str, dict[str, str]]] = {
    "_runtime/waiters.py": {
        "run: not given back: `text.close()`": (
            "a text that was suspended is a bug; dropped, it is closed a moment later"
        ),
    },
    "_runtime/on_asyncio.py": {
        "AsyncioWaiter.wake: as if never:"
        " `if waiters.running_loop() is self._loop:`": _QUICK,
    },
    "_runtime/on_trio.py": {
        "TrioWaiter.wake: as if never: `if trio.lowlevel.in_trio_run() and"
        " trio.lowlevel.current_trio_token() is self._token:`": _QUICK,
    },
    "_limits/gate.py": {
        "Gate.try_enter: as if always: `if self.inbox:`": _EAGER,
        "Gate.try_enter: as if never: `if self.inbox:`": _LATER,
        "Gate.try_enter: wake-up not given: `self.settle()`": _LATER,
        "Gate.leave: as if always: `if crowded or self.inbox:`": _EAGER,
        "Gate.leave: as if always: `if error_kind is GeneratorExit:`": (
            "what is left in the inbox is applied by who holds the lock: only slower"
        ),
        "Gate.leave: swapped with the next: `admission.leave_block()`": (
            "both under the lock, and to leave changes nothing about who waits"
        ),
        "Gate.try_book: as if always: `if self.inbox:`": _EAGER,
        "Gate.try_book: as if always: `if self.inbox:` (2)": _EAGER,
        "Gate.read: as if always: `if self.inbox:`": _EAGER,
        "Gate.read: as if always: `if self.inbox:` (2)": _EAGER,
    },
    "_limits/limiter.py": {
        "RateLimiter.__aenter__: as if always: `if gate.inbox:`": _EAGER,
    },
    "_core/admission.py": {
        "Admission._unqueue: as if never: `if not self.lines:`": _DRIFT,
        "Admission._unqueue: not given back: `self._queued.clear()`": _DRIFT,
    },
    "_cache/lead.py": {
        "Lead.__exit__: as if always: `if keeper.undone:`": _EAGER,
    },
    "_cache/sorting.py": {
        "arrange: not removed: `del spent`": _ENDS,
        "tidy: not removed: `del spent`": _ENDS,
    },
    "_cache/store.py": {
        "Store._read: as if always: `if self.undone:`": _EAGER,
        "Store.begin: as if always: `if self.undone:`": _EAGER,
        "Store.hold: as if always: `if self.undone:`": _EAGER,
        "Store.remove: as if always: `if self.undone:`": _EAGER,
        "Store.clear: as if always: `if self.undone:`": _EAGER,
        "Store.begin: swapped with the next: `led = flight if flight and flight.state"
        " == 'running' else None`": _APART,
        "Store.fail: swapped with the next: `stale = None`": _APART,
        "Store._remove: swapped with the next: `self.flights.pop(key, None)`": _APART,
        "Store.clear: swapped with the next: `flights, self.flights = (self.flights,"
        " {})`": _APART,
        "Store.forget_numbers: swapped with the next: `self.misses = self.joins ="
        " self.computes = self.failures = 0`": _APART,
        "Store._placed: not removed: `del spent`": _ENDS,
        "Store.clear: not removed: `del flights, rest`": (
            "they end with the function, which only tells what has gone before that"
        ),
    },
}
