import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest

from concutil import RateLimiter
from concutil._cli import demo as demo_module
from concutil._cli.demo import demo
from concutil._cli.flaky import Retrying
from concutil._cli.naive import NaiveCache, naive_aretry, naive_retry
from concutil._cli.plan import Plan
from concutil._cli.stampede import Caching

pytestmark = pytest.mark.slow

SHORT = ["demo", "--seconds", "0.5", "--rate", "60"]
WITHOUT_TRIO = (
    "import sys; sys.modules['trio'] = None;"
    " from concutil._cli.main import main; sys.exit(main())"
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user would, every warning being an error."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        timeout=30,
        check=False,
    )


def start(*arguments: str) -> "subprocess.Popen[str]":
    """Start a demo whose output can be read while it runs."""
    return subprocess.Popen(
        [sys.executable, "-m", "concutil", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )


@pytest.mark.smoke
def test_the_demo_keeps_its_promises() -> None:
    """A real run ends with 0 and shows counts, checks, both plots and what is next."""
    ran = run("-m", "concutil", *SHORT)
    assert (ran.returncode, ran.stderr) == (0, "")
    words = [line.split() for line in ran.stdout.splitlines()]
    assert ["sent", "30", "30"] in words
    assert "FAIL" not in ran.stdout
    assert ran.stdout.count("  ok  ") == 19
    for world in ("threads", "asyncio tasks", "trio tasks"):
        assert f"4 {world}" in ran.stdout
        assert f"  from {world}" in ran.stdout
    assert "concutil: arrivals per 100 ms" in ran.stdout
    assert "naive: arrivals per 100 ms" in ran.stdout
    assert "tokens used per 100 ms" in ran.stdout
    # From the first refusal to the end of the last one's second.
    assert re.search(
        r"  ok  nobody was let in during the pause of \d\.\d\d s", ran.stdout
    )
    assert ["calls", "100", "100"] in words
    assert "policy: arrivals per 100 ms" in ran.stdout
    assert "3 pages, 3 requests at the server, one for each" in ran.stdout
    assert "Read next" in ran.stdout


def test_without_trio_it_goes_on() -> None:
    """Where trio is missing the demo says so, and shows threads and asyncio."""
    ran = run("-c", WITHOUT_TRIO, *SHORT)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "pip install 'concutil[cli]'" in ran.stdout
    assert "  from asyncio tasks" in ran.stdout
    assert "trio tasks" not in ran.stdout


def test_a_broken_promise_is_status_1() -> None:
    """A limiter that is faster than it should be fails the demo, in the open."""
    out = io.StringIO()
    too_fast = RateLimiter(calls_per_second=500, burst=5)
    assert demo(Plan(rate=100, seconds=0.3), out, limiter=too_fast) == 1
    assert "FAIL  not kept: in any w seconds at most 1 + 100" in out.getvalue()


def test_a_broken_promise_of_the_second_part_is_status_1() -> None:
    """A limiter that lets too many tokens through fails the demo as well."""
    out = io.StringIO()
    generous = RateLimiter("10000 tokens/s burst 3000")
    assert demo(Plan(rate=20, seconds=0.5), out, token_limiter=generous) == 1
    assert "FAIL  not kept: in any w seconds at most 300 + 1000" in out.getvalue()


def test_a_storm_of_the_third_part_is_status_1() -> None:
    """Retries that take no notice of the server fail the demo as well."""

    async def acall(attempt: Callable[[], Awaitable[None]]) -> None:
        await naive_aretry(9, attempt)

    out = io.StringIO()
    stubborn = Retrying("stubborn", lambda attempt: naive_retry(9, attempt), acall)
    assert demo(Plan(rate=20, seconds=0.5), out, retrying=stubborn) == 1
    assert "more than one of each of 12 clients" in out.getvalue()


def test_a_stampede_of_the_fourth_part_is_status_1() -> None:
    """A cache that computes a page twice fails the demo as well."""
    out = io.StringIO()
    simple = NaiveCache[int]()
    caching = Caching("simple", simple.get_or_compute, simple.aget_or_compute)
    assert demo(Plan(rate=20, seconds=0.5), out, caching=caching) == 1
    assert "requests at the server, not one for each" in out.getvalue()


def test_all_runs_together_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time for all is over, what is left is given up and told."""
    monkeypatch.setattr(demo_module, "MOST_SECONDS_IN_ALL", -2.0)
    out = io.StringIO()
    assert demo(Plan(rate=200, seconds=5), out) == 1
    assert "calls were made in time" in out.getvalue()


def test_books_that_disagree_are_status_1() -> None:
    """A limiter that counts a call which the demo didn't make fails it."""
    out = io.StringIO()
    limiter = RateLimiter(calls_per_second=100)
    with limiter:
        assert demo(Plan(rate=100, seconds=0.2), out, limiter=limiter) == 1
    assert "stats() say 21 granted" in out.getvalue()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
@pytest.mark.parametrize(
    "leg", ["naive", "concutil", "tokens", "loop", "policy", "dict"]
)
def test_ctrl_c_ends_it(leg: str) -> None:
    """Ctrl-C ends the demo at once with 130, one line, and no traceback."""
    with start("demo", "--rate", "10", "--seconds", "2") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if line.startswith(f"{leg} ") and "sent," in line:
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr.read() == "\npython -m concutil: interrupted\n"


def test_a_closed_pipe_ends_it() -> None:
    """When nobody reads any more, the demo ends without a traceback."""
    with start(*SHORT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 1
        assert process.stderr.read() == ""
