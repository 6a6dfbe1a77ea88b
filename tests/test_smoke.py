"""The first use of the package works on every Python."""

from __future__ import annotations

import pytest

import smoke


@pytest.mark.smoke
def test_one_limiter_serves_a_thread_and_both_backends() -> None:
    """What a clean installation is tried with holds in the matrix as well."""
    smoke.main()
