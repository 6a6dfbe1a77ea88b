"""No fault of concurrency can be put into limiters and caches unnoticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .budgets import BUDGET
from .limiter_mutants import MODULES, explained, is_recorded, recorded, subject
from .mutant_runs import run


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not BUDGET.mutants, reason="it is done in full on one Python")
@pytest.mark.parametrize("module", MODULES)
def test_mutants_of_what_changed_are_killed(
    module: str, tell: Callable[[object], None]
) -> None:
    """Each mutant of a module that changed since it was recorded is killed."""
    if is_recorded(module):
        tell(recorded(module))
        return
    report = run(subject(module), explained(module))
    tell(report)
    survived = [str(it) for it in report.results if it.verdict == "survived"]
    assert not survived, "\n".join(survived)
