"""What holds for every test of the demo."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Fail if a test leaves a thread behind; one of before may have ended meanwhile."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before
