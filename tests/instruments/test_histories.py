"""A history without an order is found, and one with an order is left alone."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .explorer import NothingExplored
from .histories import from_schedules, from_threads, overlaps, replay
from .linearize import PENDING, WAITS, Alone, Call, linearize
from .planted_histories import (
    CORRECT,
    FAULTS,
    Counter,
    CounterModel,
    Lru,
    LruModel,
    Permits,
    ReadsBack,
    trial,
)
from .recorder import Plan, Trial

SEEDS = (0, 1, 2)


def add(thread: int, result: object, called: int, returned: float) -> Call:
    return Call(thread, "add", (), result, called, returned)


def test_an_order_that_time_allows_is_found() -> None:
    """Calls that overlapped may have happened in either order."""
    verdict = linearize([add(0, 2, 0, 3), add(1, 1, 1, 2)], CounterModel())
    assert verdict.ok


def test_an_order_that_time_forbids_is_not() -> None:
    """A call that had returned before another one began comes first."""
    verdict = linearize([add(0, 2, 0, 1), add(1, 1, 2, 3)], CounterModel())
    assert not verdict.ok
    assert verdict.placed == 0


@pytest.mark.parametrize("seen", [0, 1])
def test_a_call_that_never_returned_may_have_had_its_effect(seen: int) -> None:
    """A pending call is placed where it explains the others, or nowhere."""
    read = Call(1, "read", (), seen, 1, 2)
    assert linearize([add(0, PENDING, 0, inf), read], CounterModel()).ok


def test_a_call_of_two_steps_has_others_in_between() -> None:
    """What waits has more than one instant: others come between asking and getting."""

    class Turns:
        """Who asks second gets its turn after the first one has ended."""

        start = ("", 0)

        def steps(self, name: str) -> tuple[str, ...]:
            return ("ask", "get") if name == "take" else (name,)

        def step(
            self, state: tuple[str, int], name: str, args: tuple[str, ...]
        ) -> list[tuple[object, tuple[str, int]]]:
            holder, waiting = state
            if name == "ask":
                return [(None, (holder, waiting + 1))]
            if name == "get":
                return [] if holder else [(None, (args[0], waiting - 1))]
            return [(waiting, ("", waiting))]

    take_a = Call(0, "take", ("a",), None, 0, 1)
    give_a = Call(0, "give", ("a",), 1, 3, 4)
    assert linearize([take_a, give_a, Call(1, "take", ("b",), None, 2, 5)], Turns()).ok
    early = Call(1, "take", ("b",), None, 1, 2)
    assert not linearize([take_a, early, give_a], Turns()).ok
    alone = Alone(Turns())
    assert alone.do("take", "a") is None
    assert alone.do("take", "b") is WAITS
    assert alone.state == ("a", 0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["get", "set", "drop"]),
            st.sampled_from("abc"),
            st.integers(0, 9),
        )
    )
)
def test_model_serves_a_stateful_test(ops: list[tuple[str, str, int]]) -> None:
    """The model of histories, used by one caller, does what the object does."""
    lru, model = Lru(), Alone(LruModel())
    for name, key, value in ops:
        args = (key, value) if name == "set" else (key,)
        assert getattr(lru, name)(*args) == model.do(name, *args)
    assert tuple(lru.items.items()) == model.state


@pytest.mark.canary
@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", FAULTS)
def test_planted_fault_is_found(
    kind: type[Lru | Counter | Permits], seed: int, tell: Callable[[object], None]
) -> None:
    """The explorer makes a history that no order explains, whatever the seed."""
    tally = from_schedules(trial(kind), histories=FAULTS[kind], seed=seed)
    tell(tally)
    assert tally.found is not None, f"{kind.__name__} was not found: {tally}"
    assert tally.failure is not None
    assert "replay(program" in tally.failure


@pytest.mark.canary
@pytest.mark.slow
@pytest.mark.parametrize("kind", CORRECT)
def test_corrected_twins_have_an_order(
    kind: type[Lru | Counter | Permits], tell: Callable[[object], None]
) -> None:
    """Nothing is found where nothing was planted, in schedules or on real threads."""
    for tally in (
        from_schedules(trial(kind), histories=1_000, seed=0),
        from_threads(trial(kind), histories=200, seed=0),
    ):
        tell(tally)
        assert tally.failure is None, tally.failure
        assert tally.histories >= 200


@pytest.mark.canary
def test_failure_is_replayed() -> None:
    """The plan and the schedule of a failure fail again, and so do histories."""
    faulty = trial(ReadsBack)
    plan = Plan([], [[("add",)], [("add",)]])
    only = Trial("two adds", ReadsBack, CounterModel(), lambda _: plan, [ReadsBack])
    tally = from_schedules(only, histories=500, seed=0)
    assert tally.failure is not None
    start = tally.failure.index("replay(program, ") + len("replay(program, ")
    schedule = eval(tally.failure[start : tally.failure.index("}", start) + 1])
    with pytest.raises(AssertionError, match="no order of these calls"):
        replay(faulty, plan, schedule)
    assert [from_schedules(only, histories=500, seed=0).found] == [tally.found]


def test_code_that_is_not_reached_is_refused() -> None:
    """A target that no thread has entered is told: a clean result means nothing."""
    one = trial(Counter)
    missing = Trial(one.name, one.make, one.model, one.plan, [Counter, Lru])
    with pytest.raises(NothingExplored, match="Lru"):
        from_schedules(missing, histories=20, seed=0)


def test_calls_that_never_overlap_are_refused() -> None:
    """Threads that do nothing at the same time prove nothing."""
    one = trial(Counter)
    lonely = Trial(
        *(one.name, one.make, one.model, lambda _: Plan([], [[("add",)], []])),
        [Counter],
    )
    with pytest.raises(NothingExplored, match="overlapped"):
        from_schedules(lonely, histories=20, seed=0)


def test_a_thread_that_hangs_is_told() -> None:
    """Real threads that don't end fail, with the calls that they made."""

    class Hangs(Counter):
        def add(self) -> int:
            self.lock.acquire()
            return self.lock.acquire(timeout=1) or 0

    hanging = Trial(
        *("Hangs", Hangs, CounterModel(), lambda _: Plan([], [[("add",)]])), [Hangs]
    )
    with pytest.raises(TimeoutError, match=r"add\(\) -> pending"):
        from_threads(hanging, histories=1, seed=0, patience_s=0.01)


def test_overlaps_are_counted() -> None:
    """Two calls overlap if each began before the other one ended."""
    assert overlaps([add(0, 1, 0, 2), add(1, 2, 1, 3), add(0, 3, 4, 5)]) == 1
