import io

import pytest

from concutil._cli.plot import ASCII
from concutil._cli.screen import Screen


class Terminal(io.StringIO):
    """A text file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_per_second() -> None:
    """What is no terminal gets whole lines, a second apart, the first after one."""
    log = io.StringIO()
    screen = Screen(log)
    for tenth in range(25):
        screen.progress(f"at {tenth}", at=100 + tenth / 10)
    assert log.getvalue() == "at 10\nat 20\n"


def test_a_terminal_gets_one_line_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a terminal a line replaces the one before, and leaves nothing of it."""
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    screen = Screen(terminal)
    for tenth, line in enumerate(["unseen", "longer", "short"]):
        screen.progress(line, at=100 + tenth / 10)
    screen.say(["done"])
    assert terminal.getvalue() == "longer\r      \rshort\r     \rdone\n"


def test_a_dumb_terminal_is_treated_like_a_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A terminal that can't go back in a line gets no carriage returns."""
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    screen = Screen(terminal)
    screen.progress("one", at=1)
    screen.progress("two", at=2)
    assert terminal.getvalue() == "two\n"


def test_a_long_line_does_not_wrap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is cut to the width of the terminal, since a wrapped line stays."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "50")
    terminal = Terminal()
    screen = Screen(terminal)
    screen.progress("x" * 99, at=1)
    screen.progress("x" * 99, at=2)
    assert terminal.getvalue() == "x" * 49


@pytest.mark.parametrize(("columns", "used"), [("10", 40), ("77", 77), ("900", 120)])
def test_width_stays_within_reason(
    monkeypatch: pytest.MonkeyPatch, columns: str, used: int
) -> None:
    """A screen is never taken to be too narrow for a plot or endlessly wide."""
    monkeypatch.setenv("COLUMNS", columns)
    assert Screen(io.StringIO()).columns == used


def test_glyphs_follow_the_encoding() -> None:
    """A file that can't hold block characters gets ASCII."""
    assert Screen(io.TextIOWrapper(io.BytesIO(), encoding="ascii")).glyphs is ASCII
