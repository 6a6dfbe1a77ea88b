"""Whatever overlaps, a cache gives results that one call after the other could."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concutil._cache.store import Store

from .budgets import BUDGET
from .cache_canaries import publishes_twice, stores_what_was_removed
from .cache_desk import SCHEDULES, THREADS, Desk
from .cache_model import CacheModel
from .histories import from_schedules, from_threads
from .linearize import Alone
from .recorder import Trial

HISTORIES = BUDGET.cache_histories
pytestmark = pytest.mark.timeout(max(300, HISTORIES // 25))  # on a busy machine


class Instant(Desk):
    """One for a single client, who needn't wait."""

    pause_s = 0.0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["compute", "fail", "get", "set", "invalidate", "clear"]),
            st.sampled_from("ab"),
        ),
        max_size=12,
    )
)
def test_model_is_the_cache_of_one_caller(ops: list[tuple[str, str]]) -> None:
    """One call after the other, cache and model give the same results."""
    desk, model = Instant(), Alone(CacheModel())
    for n, (name, key) in enumerate(ops):
        args: tuple[object, ...] = (0, key, n)
        if name in {"get", "invalidate"}:
            args = 0, key
        elif name == "clear":
            args = (0,)
        assert getattr(desk, name)(*args) == model.do(name, *args)


def test_results_have_an_order(tell: Callable[[object], None]) -> None:
    """A few histories, chosen by the explorer, have an order."""
    tally = from_schedules(SCHEDULES, histories=300, seed=100)
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
    tally = from_threads(THREADS, histories=HISTORIES // 4, seed=0)
    tell(tally)
    assert tally.failure is None, tally.failure


@pytest.mark.canary
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fault", [publishes_twice, stores_what_was_removed])
def test_planted_fault_has_no_order(
    fault: Callable[..., object],
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
    tell: Callable[[object], None],
) -> None:
    """A fault in the cache makes a history that the model does not explain."""
    monkeypatch.setattr(Store, "_placed", fault)
    targets = [*SCHEDULES.targets, fault]
    faulty = Trial(fault.__name__, Desk, CacheModel(), SCHEDULES.plan, targets)
    tally = from_schedules(faulty, histories=2_000, seed=seed)
    tell(tally)
    assert tally.found is not None, tally
