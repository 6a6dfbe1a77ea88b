"""What all tests share."""

from __future__ import annotations

import sys
import sysconfig

import pytest
from hypothesis import settings

# The gate tries the same examples every time, and a busy machine fails no test.
# `--hypothesis-profile=search` looks at new ones.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2_000)
settings.load_profile("gate")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run each test marked `anyio` on both backends."""
    backend: str = request.param
    return backend


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the instruments did, of whichever worker told it."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
    ]
    told = [it for report in reports for it in report.user_properties]
    lines = [str(what) for kind, what in told if kind == "told"]
    if lines:
        terminalreporter.section("what the instruments did")
        for line in sorted(lines):
            terminalreporter.write_line(line)


def pytest_report_header() -> str:
    """Say whether the GIL is on: nothing else in the report tells the builds apart."""
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    return f"GIL: {'off' if free_threaded and not sys._is_gil_enabled() else 'on'}"
