"""Whatever overlaps, a limiter gives results that one call after the other could."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concutil._core.admission import Admission
from concutil._core.ticket import Ticket
from concutil._limits.gate import Gate

from .budgets import BUDGET
from .histories import from_all_schedules, from_schedules, from_threads
from .limiter_desk import (
    ALPHABET,
    DROPS,
    DROPS_ASKED_FOR,
    SCHEDULES,
    THREADS,
    TIMELESS,
    Desk,
)
from .limiter_model import STEP_S, AdmissionModel
from .linearize import WAITS, Alone
from .recorder import Plan, Trial

HISTORIES = BUDGET.histories
# Every schedule is dear: where the budget is small, one program must do.
DROPS_HERE = DROPS if HISTORIES >= 10_000 else DROPS[:1]
pytestmark = pytest.mark.timeout(max(300, HISTORIES // 25))  # on a busy machine


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["advance", *ALPHABET]), st.integers(0, 1), st.randoms()
        ),
        max_size=12,
    )
)
def test_model_is_the_limiter_of_one_caller(
    ops: list[tuple[str, int, random.Random]],
) -> None:
    """One call after the other, limiter and model give the same results."""
    desk, model = Desk(), Alone(AdmissionModel())
    with closing(desk):
        for name, who, rng in ops:
            args = (STEP_S,) if name == "advance" else (who, *ALPHABET[name](rng))
            wanted = model.do(name, *args)
            if wanted is not WAITS:
                assert getattr(desk, name)(*args) == wanted
            assert desk.stats(0) == model.do("stats", 0)


def test_results_have_an_order(tell: Callable[[object], None]) -> None:
    """A few histories, chosen by the explorer, have an order."""
    tally = from_schedules(SCHEDULES, histories=600, seed=100)
    tell(tally)
    assert tally.failure is None, tally.failure


@pytest.mark.slow
def test_what_the_collector_drops_is_given_back(
    tell: Callable[[object], None],
) -> None:
    """Dropped while another is under the lock, a place goes to who waits for it."""
    tally = from_all_schedules(TIMELESS, DROPS_HERE, bound=1)
    tell(tally)
    assert tally.failure is None, tally.failure


@pytest.mark.slow
def test_what_the_collector_drops_is_there_for_the_next(
    tell: Callable[[object], None],
) -> None:
    """Whoever asks after a block was dropped sees that its place is free."""
    tally = from_all_schedules(TIMELESS, DROPS_ASKED_FOR, bound=2, grain="lock")
    tell(tally)
    assert tally.failure is None, tally.failure


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_results_of_many_have_an_order(
    seed: int, tell: Callable[[object], None]
) -> None:
    """Many histories, chosen by the explorer, have an order."""
    tally = from_schedules(SCHEDULES, histories=HISTORIES // 4, seed=seed)
    tell(tally)
    assert tally.failure is None, tally.failure
    assert tally.histories >= HISTORIES // 4
    assert tally.distinct >= tally.histories // 2


@pytest.mark.slow
def test_results_of_real_threads_have_an_order(tell: Callable[[object], None]) -> None:
    """So have those of real threads."""
    tally = from_threads(THREADS, histories=HISTORIES // 20, seed=0)
    tell(tally)
    assert tally.failure is None, tally.failure


def overtaking(self: Admission, ticket: Ticket, now: float) -> bool:
    """Grant *ticket*, whoever waits."""
    return self._grant(ticket, now)


def without_the_lock(self: Gate) -> bool:
    """Let a block in while somebody else may do the same."""
    now = self.now()
    admission = self.admission
    return not admission.lines and admission.book_one(now)


def telling_nobody(self: Gate, error_kind: type[BaseException] | None) -> None:
    """Give a place back, and wake nobody who waits for it."""
    with self.lock:
        self.admission.leave_block()


# That somebody waits must be seen, or they may have come later.
_SEEN_TO_WAIT = Plan(
    [("take", 2, 2)],
    [[("take", 0, 2), ("give", 0)], [("stats", 1), ("attempt", 1, 1), ("give", 1)]],
)
# One place is left, so that one of them waits until the other one leaves.
_WAITING_TO_ENTER = Plan(
    [("take", 2, 1)],
    [[("enter", 0), ("leave", 0)], [("enter", 1), ("leave", 1)]],
)


@pytest.mark.canary
@pytest.mark.slow
@pytest.mark.usefixtures("swept")
@pytest.mark.filterwarnings("ignore:.* was dropped:ResourceWarning")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("owner", "name", "fault", "plan"),
    [
        (Admission, "book", overtaking, lambda _: _SEEN_TO_WAIT),
        (Gate, "try_enter", without_the_lock, SCHEDULES.plan),
        (Gate, "leave", telling_nobody, lambda _: _WAITING_TO_ENTER),
    ],
)
def test_planted_fault_has_no_order(
    owner: type,
    name: str,
    fault: Callable[..., object],
    plan: Callable[[random.Random], Plan],
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
    tell: Callable[[object], None],
) -> None:
    """A fault in the limiter makes a history that the model does not explain."""
    monkeypatch.setattr(owner, name, fault)
    targets = [*SCHEDULES.targets, fault]
    faulty = Trial(
        *(fault.__name__, Desk, AdmissionModel(), plan, targets),
        SCHEDULES.background,
    )
    tally = from_schedules(faulty, histories=2_000, seed=seed)
    tell(tally)
    assert tally.found is not None, tally
