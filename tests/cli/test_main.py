import socket
import subprocess
import sys

import pytest

import concutil
from concutil._cli.main import main
from concutil._cli.plan import (
    BAD_S,
    LEAST_RATE,
    LEAST_SECONDS,
    MOST_RATE,
    MOST_SECONDS,
    MOST_SECONDS_IN_ALL,
    FlakyPlan,
    Plan,
)
from concutil._cli.tokens import _MOST_TOKENS


def test_no_arguments_list_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command the commands are listed, which is no failure."""
    assert main([]) == 0
    assert "demo" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"]])
def test_help_says_what_there_is(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Both parsers explain themselves, with the name that one types."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: python -m concutil")


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """The version that is shown is the one that programs can read."""
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"concutil {concutil.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["demo", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["demo", "--sec", "1"], "unrecognized arguments: --sec 1"),
        (["demo", "--rate"], "expected one argument"),
        (["demo", "--rate", "fast"], "a number from 10 to 200, not 'fast'"),
        (["demo", "--rate", "nan"], "a number from 10 to 200, not 'nan'"),
        (["demo", "--rate", "9.99"], "a number from 10 to 200, not '9.99'"),
        (["demo", "--rate", "inf"], "a number from 10 to 200, not 'inf'"),
        (["demo", "--seconds", "0"], "a number from 0.5 to 6, not '0'"),
        (["demo", "--port", "65536"], "a port from 0 to 65535, not '65536'"),
        (["demo", "--port", "-1"], "a port from 0 to 65535, not '-1'"),
        (["demo", "--port", "http"], "a port from 0 to 65535, not 'http'"),
    ],
)
def test_usage_errors_say_what_was_expected(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What can't be understood ends with 2, the usage, and what was expected."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("usage: python -m concutil")
    assert complaint in told
    assert ("[--rate" in told) == (arguments[0] == "demo")


def test_a_port_that_is_taken_ends_the_demo(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """If its port can't be opened, the demo says so in one line and ends with 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--port", str(port)]) == 1
    told = capsys.readouterr().err.strip()
    assert told.startswith(f"python -m concutil: can't listen on 127.0.0.1:{port}")
    assert "\n" not in told


def test_help_is_cheap() -> None:
    """Listing the commands loads neither an event loop nor a limiter."""
    code = (
        "import sys; from concutil._cli.main import main; main([]);"
        " print(*({'anyio', 'asyncio', 'concutil._limits'} & sys.modules.keys()))"
    )
    listed = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert listed.stdout.endswith("\n\n")


def test_plans_within_the_options_make_sense() -> None:
    """The server tolerates what the limit allows, and the runs end in time."""
    slow, fast = Plan(LEAST_RATE, LEAST_SECONDS), Plan(MOST_RATE, MOST_SECONDS)
    flaky = FlakyPlan()
    loop_seconds = BAD_S + 0.5  # while the server is bad, and somewhat more
    for plan in (slow, fast):
        bound = plan.bound
        in_a_second = bound.burst + bound.rate * (1 + bound.slack)
        assert plan.served_per_second >= in_a_second - 1e-9
        assert plan.tokens.bound.burst >= max(_MOST_TOKENS)
        assert 1 < plan.tokens.overloaded_at < plan.tokens.calls
        naive_seconds = plan.seconds / 2  # it is about four times too fast
        together = naive_seconds + plan.seconds + plan.tokens.seconds
        together += loop_seconds + flaky.seconds
        assert together < MOST_SECONDS_IN_ALL
    assert (slow.calls, fast.calls) == (5, 1200)
    assert (slow.tokens.calls, fast.tokens.calls) == (6, 176)
