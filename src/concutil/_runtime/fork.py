"""What a forked child must make anew before anybody uses it."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """An object with locks or waiters, which don't survive a fork."""

    def after_fork(self) -> None:
        """Make new locks and forget all waiters: their threads don't exist here."""
        ...


_living: WeakSet[Forkable] = WeakSet()


def renew_in_children(thing: Forkable) -> None:
    """Have *thing* renewed in every forked child, for as long as it lives."""
    _living.add(thing)


def _load_before_fork() -> None:
    """Import what is imported on first use: in a child, who was at it is no more."""
    import inspect  # noqa: F401 - see above
    import logging  # noqa: F401 - see above
    import random  # noqa: F401 - see above


def _after_fork_in_child() -> None:
    for thing in list(_living):
        thing.after_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(before=_load_before_fork, after_in_child=_after_fork_in_child)
