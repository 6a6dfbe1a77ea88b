import signal
import threading
from collections.abc import Iterator

import pytest

from concutil._cli.interrupts import held_back


@pytest.fixture(autouse=True)
def usual_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def press(said: list[bool], *, times: int) -> None:
    """Press Ctrl-C in a block, and note each time whether the block knows."""
    with held_back() as came:
        said.append(came())
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
            said.append(came())


def test_ctrl_c_is_a_question_first() -> None:
    """Ctrl-C raises nothing in the block, can be asked about, and isn't lost."""
    said: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        press(said, times=1)
    assert said == [False, True]


def test_the_impatient_are_obeyed() -> None:
    """A second Ctrl-C is raised where it comes."""
    said: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        press(said, times=2)
    assert said == [False, True]


def test_an_error_of_the_block_comes_first() -> None:
    """What the block raises is not replaced by the Ctrl-C that it asked about."""

    def fail() -> None:
        with held_back():
            signal.raise_signal(signal.SIGINT)
            raise OSError

    with pytest.raises(OSError, check=lambda error: error.__context__ is None):
        fail()


def test_without_ctrl_c_nothing_changes() -> None:
    """A block in which it wasn't pressed ends as any other."""
    said: list[bool] = []
    press(said, times=0)
    assert said == [False]


def test_other_threads_leave_the_handler_alone() -> None:
    """Outside the main thread, where handlers can't be set, the answer is always no."""
    said: list[bool] = []
    thread = threading.Thread(target=press, args=[said], kwargs={"times": 0})
    thread.start()
    thread.join()
    assert said == [False]


def test_an_ignored_signal_stays_ignored() -> None:
    """A program that was started with Ctrl-C ignored goes on ignoring it."""
    said: list[bool] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        press(said, times=2)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert said == [False, False, False]
