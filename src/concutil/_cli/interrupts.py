"""Ctrl-C as a question that the main loop asks, so that it can't break a clean-up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def held_back() -> Generator[Callable[[], bool], None, None]:
    """Hold Ctrl-C back in the block, and give a function that says whether it came.

    A second Ctrl-C is raised at once. One that the block didn't ask about is raised at
    its end. Outside the main thread, and where SIGINT is ignored, nothing changes.

    Raises:
        KeyboardInterrupt: See above.
    """
    came = False

    def note(_signal: int, _frame: object) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True

    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield lambda: False
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, usual)
    if came:
        raise KeyboardInterrupt
