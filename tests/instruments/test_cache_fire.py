"""Threads that use a cache as hard as they can don't break it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .cache_fire import fire

LEAST_COUNT = 300


@pytest.mark.smoke
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_keys_that_run_code_under_fire(
    seed: int, tell: Callable[[object], None]
) -> None:
    """Each gets the value of its key, and no bound is passed at any time."""
    calls = fire(seed, 0.5)
    tell(f"Cache, under fire, seed {seed}: {calls:,} calls")
    assert calls >= LEAST_COUNT
