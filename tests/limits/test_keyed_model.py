"""A keyed limiter under pressure, beside limiters of its keys that nobody forgets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from concutil import (
    KeyedRateLimiter,
    LimiterStats,
    Permit,
    Rate,
    RateLimiter,
    RateLimitExceeded,
)
from concutil.testing import ManualClock

KEYS = st.sampled_from("abcde")
COSTS = st.sampled_from([1, 2, 0.5])
SECONDS = st.sampled_from([0.25, 0.5, 1, 2, 8])
LIMITS: list[dict[str, Any]] = [
    {"rates": ["1/s burst 2"], "slack": 0},
    {"rates": ["1/s burst 2", "1/4s burst 4"], "slack": 0.25},
    {"rates": ["1/2s burst 2"], "max_concurrent": 2},
    {"rates": ["3/4s exact", "1/s burst 3"], "slack": 0},
    {"rates": [Rate(2, 4, burst=3), Rate(1, 2, burst=8, unit="tokens")], "slack": 0},
    {"rates": [], "max_concurrent": 1},
]


def refused(ask: Callable[[], object]) -> float:
    """Return how long *ask* is told to wait, and let go of what it raised."""
    try:
        ask()
    except RateLimitExceeded as error:
        return error.retry_after
    raise AssertionError("it was not refused")


class Keyed(RuleBasedStateMachine):
    """Whatever is done to a key has the outcome that its own limiter would have.

    The model never forgets a key. So what is forgotten is as good as new, and what is
    not is refused room for others.
    """

    @initialize(limits=st.sampled_from(LIMITS), max_keys=st.integers(1, 3))
    def make(self, limits: dict[str, Any], max_keys: int) -> None:
        self.clock = ManualClock(100)
        self.options = {**limits, "clock": self.clock}
        self.rates = self.options.pop("rates")
        self.max_keys = max_keys
        self.limiters = KeyedRateLimiter(*self.rates, **self.options, max_keys=max_keys)
        self.models: dict[str, RateLimiter] = {}
        self.permits: list[tuple[str, Permit, Permit]] = []
        self.inside: list[str] = []

    def model(self, key: str) -> RateLimiter:
        """Return the limiter that has seen all that came to *key*."""
        if key not in self.models:
            self.models[key] = RateLimiter(*self.rates, **self.options)
        return self.models[key]

    def stuck(self) -> set[str]:
        """Return the keys that may not be forgotten."""
        owing = {
            key
            for key, model in self.models.items()
            if model._gate.admission.free_at() > self.clock.now()
        }
        return owing | set(self.inside) | {key for key, *_ in self.permits}

    def has_room(self, key: str) -> bool:
        """Return whether *key* is held, or may be."""
        stuck = self.stuck()
        return key in stuck or len(stuck) < self.max_keys

    @rule(key=KEYS, cost=COSTS)
    def take(self, key: str, cost: float) -> None:
        permit = self.limiters[key].try_permit(cost)
        if not self.has_room(key):
            assert permit is None
            return
        expected = self.model(key).try_permit(cost)
        assert (permit is None) == (expected is None)
        if permit is not None and expected is not None:
            self.permits.append((key, permit, expected))

    @rule(key=KEYS)
    def enter(self, key: str) -> None:
        if not self.has_room(key):
            times = [model._gate.admission.free_at() for model in self.models.values()]
            wait = refused(self.limiters[key].__enter__)
            assert wait <= max(max(times) - self.clock.now(), 4)
            return
        probe = self.model(key).try_permit()
        if probe is None:
            wait = refused(self.limiters[key].permit(timeout=0).wait)
            assert wait == pytest.approx(self.model(key).stats().next_in)
            return
        probe.refund()
        probe.release()
        self.model(key).__enter__()
        self.limiters[key].__enter__()
        if "max_concurrent" in self.options:
            self.inside.append(key)

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        key = self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1)))
        self.model(key).__exit__(None, None, None)
        self.limiters[key].__exit__(None, None, None)

    @precondition(lambda self: self.permits)
    @rule(data=st.data(), how=st.sampled_from(["release", "refund", "adjust", "drop"]))
    def correct(self, data: st.DataObject, how: str) -> None:
        index = data.draw(st.integers(0, len(self.permits) - 1))
        _, permit, expected = self.permits[index]
        for it in (permit, expected):
            if how == "adjust":
                it.adjust(1.5)
            elif how == "drop":
                it.release()
            else:
                getattr(it, how)()
        if how == "drop":
            del self.permits[index]

    @rule(key=KEYS, seconds=SECONDS)
    def pause(self, key: str, seconds: float) -> None:
        if self.has_room(key):
            self.model(key).pause(seconds)
            self.limiters[key].pause(seconds)

    @rule(seconds=SECONDS)
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def no_more_keys_than_allowed(self) -> None:
        if hasattr(self, "limiters"):
            assert len(self.stuck()) <= len(self.limiters) <= self.max_keys

    @invariant()
    def each_key_stands_as_its_model(self) -> None:
        for key, model in getattr(self, "models", {}).items():
            stats: LimiterStats = self.limiters[key].stats()
            expected = model.stats()
            assert stats.next_in == pytest.approx(expected.next_in)
            assert stats.in_flight == expected.in_flight
            assert stats.waiting == 0

    def teardown(self) -> None:
        for _, permit, expected in getattr(self, "permits", []):
            permit.release()
            expected.release()


TestKeyed = pytest.mark.slow(Keyed.TestCase)
TestKeyed.settings = settings(max_examples=150, stateful_step_count=40)
