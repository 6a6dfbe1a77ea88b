"""Computations nested so deeply that Python gives up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from concutil import Cache
from concutil.testing import ManualClock


@pytest.fixture(autouse=True)
def shallow() -> Iterator[None]:
    """Have Python give up soon."""
    before = sys.getrecursionlimit()
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    sys.setrecursionlimit(depth + 220)
    yield
    sys.setrecursionlimit(before)


def below(frames: int, fn: Callable[[], object]) -> object:
    """Call *fn* that many frames down."""
    return fn() if frames == 0 else below(frames - 1, fn)


@pytest.mark.parametrize("options", [{}, {"ttl": 5}, {"maxsize": 3}], ids=str)
def test_a_recursion_that_is_too_deep(options) -> None:
    """Wherever Python gives up, the error goes to the caller and nothing is left."""
    for frames in range(30):
        cache: Cache[int, int] = Cache(**options, clock=ManualClock())

        def compute(n: int, cache=cache) -> int:
            return cache.get_or_compute(n + 1, lambda: compute(n + 1)) + 1

        with pytest.raises(RecursionError):
            below(frames, lambda f=compute: f(0))

        assert cache._store.flights == {}
        assert len(cache) == 0
        assert cache.get_or_compute(1, lambda: 5) == 5


@pytest.mark.parametrize("options", [{}, {"ttl": 5}, {"maxsize": 3}], ids=str)
def test_at_the_very_end_of_the_stack(options) -> None:
    """Storing may fail there as well; then it can be computed again."""
    outcomes = set()
    for frames in range(120, 240):
        cache: Cache[int, int] = Cache(**options, clock=ManualClock())
        for number in range(-3, 0):
            cache[number] = number
        try:
            outcomes.add(below(frames, lambda c=cache: c.get_or_compute(1, lambda: 5)))
        except RecursionError:
            outcomes.add("too deep")
        lru = cache._store.lru

        assert all(it.state != "running" for it in cache._store.flights.values())
        assert cache.get_or_compute(1, lambda: 5) == 5
        assert lru.weight == len(lru.entries)

    assert outcomes == {5, "too deep"}
