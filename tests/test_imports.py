"""Imports are cheap: what a program loads is what it uses.

Told by `sys.modules`, which is exact, and not by time. Each program runs in a Python of
its own, without the environment's variables and therefore unmeasured.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import concutil

pytestmark = pytest.mark.smoke

SOURCES = Path(concutil.__file__).parents[1]
OLD = sys.version_info < (3, 11)  # typing_extensions is needed, and loads inspect

LOOPS = {"anyio", "asyncio", "trio"}
HEAVY = {
    *LOOPS,
    "concurrent",
    "dataclasses",
    "logging",
    "multiprocessing",
    "numpy",
    "structlog",
    *(() if OLD else ("inspect",)),
}


def loaded_by(program: str, *options: str) -> set[str]:
    """Return which modules *program* loads in a Python that runs nothing else."""
    text = (
        f"import sys\nsys.path.insert(0, {str(SOURCES)!r})\nbefore = set(sys.modules)\n"
        f"{program}\nprint(*(set(sys.modules) - before))"
    )
    command = [sys.executable, "-I", *options, "-c", text]
    done = subprocess.run(
        command, env={}, check=True, capture_output=True, text=True, timeout=30
    )
    return set(done.stdout.split())


def test_the_package_loads_nothing_but_itself() -> None:
    """`import concutil` loads no other module, not even of the standard library."""
    assert loaded_by("import concutil", "-S") == {"concutil"}


@pytest.mark.parametrize(
    "program",
    [
        "from concutil import RateLimiter",
        "from concutil import Rate, Permit, LimiterStats, RateLimitExceeded",
        "from concutil import retry",
        "from concutil import Attempt, Retry, RetryBudget, parse_retry_after",
        "import concutil.events",
        "import concutil.testing",
    ],
)
def test_a_name_loads_nothing_heavy(program: str) -> None:
    """No name of ours loads a backend, a logger or another slow module."""
    assert not loaded_by(program) & HEAVY


def test_a_limiter_that_never_waits_loads_nothing_heavy() -> None:
    """To use a limiter costs no import either, as long as nothing happens."""
    program = """
from concutil import RateLimiter
limiter = RateLimiter("1/s", max_concurrent=1)
with limiter:
    assert limiter.try_permit() is None
"""
    assert not loaded_by(program) & HEAVY


def test_a_block_that_succeeds_loads_nothing_heavy() -> None:
    """Nor does a policy whose first attempts succeed; chance comes with a failure."""
    program = """
from concutil import RetryBudget, retry
policy = retry((OSError, ValueError), budget=RetryBudget())
for attempt in policy:
    with attempt:
        assert attempt.number == 1
"""
    assert not loaded_by(program) & {*HEAVY, "random"}
    failing = """
    with attempt:
        if attempt.number == 1:
            raise OSError
"""
    assert "random" in loaded_by(program[: program.index("    with")] + failing)


def test_a_decorated_function_that_succeeds_needs_no_chance() -> None:
    """To decorate takes `inspect`, and to call nothing more."""
    program = """
from concutil import retry
policy = retry(OSError)
@policy
def function():
    return 1
assert function() == policy.call(function) == 1
"""
    assert not loaded_by(program) & ({*HEAVY, "random"} - {"inspect"})


def test_a_sync_program_that_retries_never_loads_a_loop() -> None:
    """A thread backs off by itself, and what is told of it comes without structlog."""
    program = """
from concutil import retry
calls = []
def function():
    calls.append(1)
    if len(calls) < 3:
        raise OSError
assert retry(OSError, wait_initial=0.001).call(function) is None
assert len(calls) == 3
"""
    assert not loaded_by(program) & (LOOPS | {"structlog"})


def test_a_sync_program_that_waits_never_loads_a_loop() -> None:
    """A thread waits by itself, and what is told of it comes without structlog."""
    program = """
from concutil import RateLimiter
limiter = RateLimiter("500/s", slack=0)
for _ in range(3):
    with limiter:
        pass
assert limiter.stats().waited_total > 0
"""
    assert not loaded_by(program) & (LOOPS | {"structlog"})


@pytest.mark.parametrize(
    ("backend", "others"),
    [("asyncio", {"trio"}), ("trio", {"asyncio"})],
)
def test_a_loop_loads_no_other_loop(backend: str, others: set[str]) -> None:
    """Who runs one backend doesn't load the other."""
    program = f"""
import {backend}
from concutil import RateLimiter, retry
async def enter_twice():
    limiter = RateLimiter("500/s", slack=0)
    for _ in range(2):
        async with limiter:
            pass
    calls = []
    @retry(OSError, wait_initial=0.001)
    async def function():
        calls.append(1)
        if len(calls) < 3:
            raise OSError
    await function()
    assert len(calls) == 3
{backend}.run({"enter_twice()" if backend == "asyncio" else "enter_twice"})
"""
    assert not loaded_by(program) & others


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="a build with the GIL"
)
def test_no_import_brings_the_gil_back() -> None:
    """On a free-threaded Python, nothing that we load switches the GIL on."""
    loaded_by(
        "import anyio, asyncio, structlog, trio, concutil.events, concutil.testing\n"
        "from concutil import *\n"
        "assert not sys._is_gil_enabled()"
    )
