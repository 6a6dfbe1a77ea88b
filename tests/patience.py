"""Waiting for what other threads do, without guessing how long it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LONG_S = 10.0  # only a failing test waits that long


def eventually(fact: Callable[[], bool]) -> None:
    """Return as soon as *fact* is true; fail if it never is."""
    end = time.monotonic() + LONG_S
    while not fact():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.0005)  # noqa: HC14 - what it waits for tells nobody


@contextmanager
def threads(*targets: Callable[[], object]) -> Iterator[list[threading.Thread]]:
    """Run each of *targets* in a thread, and see at the end that all are done.

    What one of them raises is raised at the end.
    """
    errors: list[BaseException] = []

    def guarded(target: Callable[[], object]) -> Callable[[], None]:
        def call() -> None:
            try:
                target()
            except BaseException as error:  # noqa: ASYNC103, BLE001 - raised below
                errors.append(error)

        return call

    started = [threading.Thread(target=guarded(it), daemon=True) for it in targets]
    for thread in started:
        thread.start()
    yield started
    for thread in started:
        thread.join(LONG_S)
        assert not thread.is_alive(), "a thread never came back"
    if errors:
        raise errors[0]
