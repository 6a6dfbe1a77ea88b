"""The soak finds limiters that don't keep their word, and soaks that prove nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admission_model import excess
from concutil import Rate

from . import planted_rates as planted
from .soak import WORLDS, Soak, World

everywhere = pytest.mark.parametrize("world", WORLDS)


def soak(
    limiter: type[planted.BooksAhead], *, burst: float = 10, idle: float = 0.01
) -> Soak:
    make = partial(limiter, 1.0, 10.0)
    return Soak(limiter.__name__, make, Rate(1, burst=burst), idle=idle)


@pytest.mark.canary
@everywhere
def test_drift_is_found(world: World, tell: Callable[[object], None]) -> None:
    """A thousandth of a permit per call is found: the longer the soak, the surer."""
    short, long = (
        soak(planted.Drifts, idle=0).on(world, hours=hours) for hours in (0.01, 1.0)
    )
    tell(short)
    tell(long)
    assert not long.kept_its_word
    assert short.excess < 1
    assert long.excess > 3


@pytest.mark.canary
@everywhere
def test_stale_time_is_found(world: World, tell: Callable[[object], None]) -> None:
    """A time that was read too early mints permits, and that is found."""
    soaked = soak(planted.BooksStaleTime).on(world, hours=1)
    tell(soaked)
    assert not soaked.kept_its_word


@pytest.mark.canary
@everywhere
@pytest.mark.parametrize("limiter", [planted.BooksAhead, planted.PreparesFirst])
def test_corrected_twins_keep_their_word(
    limiter: type[planted.BooksAhead], world: World, tell: Callable[[object], None]
) -> None:
    """Nothing is found where nothing was planted, though the bound is reached."""
    soaked = soak(limiter).on(world, hours=1)
    tell(soaked)
    assert soaked.kept_its_word, soaked
    assert soaked.came_near, soaked


@everywhere
def test_soak_that_stays_far_from_the_bound_says_so(world: World) -> None:
    """Keeping a promise that nobody tried to break proves nothing, and is told."""
    soaked = soak(planted.BooksAhead, burst=12).on(world, hours=1)
    assert soaked.kept_its_word
    assert not soaked.came_near


@everywhere
def test_soak_is_the_same_each_time(world: World) -> None:
    """Two soaks of the same thing see the same calls at the same times."""
    one, other = (soak(planted.BooksAhead).on(world, hours=1) for _ in range(2))
    assert one.starts == other.starts


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=12).map(sorted),
    st.sampled_from([0.25, 0.5, 1.0, 2.0]),
)
def test_excess_is_that_of_the_fullest_window(
    starts: Sequence[int], rate: float
) -> None:
    """One pass over the calls finds what looking at each window finds."""
    fullest = max(
        sum(begin <= start <= end for start in starts) - rate * (end - begin)
        for begin in starts
        for end in starts
        if begin <= end
    )
    grants = ((start, 1.0) for start in starts)
    assert excess(grants, Rate(rate, burst=3), slack=0) == fullest - 3
