"""What the tests of the instruments share."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest

Tell = Callable[[object], None]


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Return a function that has a line printed at the end of the run.

    An instrument says so what it did. The line travels with the report of the test, so
    it comes through from the workers of pytest-xdist.
    """
    told: list[tuple[str, object]] = request.node.user_properties
    return lambda what: told.append(("told", str(what)))


@pytest.fixture
def swept() -> Iterator[None]:
    """Collect what the test has left behind, so that no later one is told of it.

    The filters for warnings that the test has hold here as well.
    """
    yield
    gc.collect()
