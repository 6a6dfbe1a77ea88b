"""A budget for retries, which any number of policies share."""

from __future__ import annotations

import threading
from collections import deque
from datetime import timedelta
from typing import Final, final

from .._core import options
from .._core.budget import Budget
from .._runtime.fork import renew_in_children

_LEAST_WINDOW_S: Final = 1e-3
Retried = tuple[Budget, int]  # a retry that was taken: of which slot


@final
class RetryBudget:
    """Allows retries as a share of requests, so that a storm doesn't feed itself.

    Give the same one to all policies that call the same service. A call is one request,
    however often it is tried; a retry that the budget denies is not made, and the error
    is raised at once. Policies that share a budget must share their clock.

    The counts are kept in ten slots of time, as Finagle's budgets are: in the window
    that has just passed there are never more retries than allowed, and what is allowed
    is exact but for the oldest slot.

    Args:
        ratio: Retries for each request of the last *window* seconds; above 0.
        min_per_second: Retries that there may always be, as an average over the window;
            0 for none.
        window: Seconds, or a timedelta.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If one is out of its range.

    Threads:
        Safe from any number of threads and event loops at once. It never waits; each
        use takes a lock for some bytecodes.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"
    __slots__ = ("__weakref__", "_account", "_shown")

    def __init__(
        self,
        ratio: float = 0.2,
        *,
        min_per_second: float = 1.0,
        window: float | timedelta = 10.0,
    ) -> None:
        share = options.positive("ratio", ratio)
        rate = options.not_negative("min_per_second", min_per_second)
        seconds = options.duration("window", window)
        if seconds < _LEAST_WINDOW_S:
            raise ValueError(
                f"window must be at least {_LEAST_WINDOW_S:g} s, not {window!r}"
            )
        self._account = Account(share, rate * seconds, seconds)
        self._shown = f"{share:g} of requests and {rate:g}/s over {seconds:g} s"

    def __repr__(self) -> str:
        spent, allowed = self._account.read()
        return f"<RetryBudget of {self._shown}: {spent} of {allowed:g} spent>"


def account_of(budget: RetryBudget) -> Account:
    """Return what a policy books its requests and retries in."""
    return budget._account  # noqa: SLF001 - the same module


@final
class Account:
    """A `Budget` behind a lock."""

    __slots__ = ("__weakref__", "_budget", "_limits", "_lock", "_returned")

    def __init__(self, *limits: float) -> None:
        self._limits = limits
        self.after_fork()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Begin anew, in a forked child: another thread may have held the lock."""
        self._lock = threading.Lock()
        self._budget = Budget(*self._limits)
        # Slots of retries that were not made. They are left here, since who gives one
        # back may be the collector, which must not wait for the lock.
        self._returned: deque[Retried] = deque()

    def request(self, now: float) -> None:
        """Count a request."""
        with self._lock:
            self._budget.request(now)

    def take(self, now: float) -> Retried | None:
        """Take a retry; None if there is none left."""
        with self._lock:
            self._settle()
            slot = self._budget.take(now)
            return None if slot is None else (self._budget, slot)

    def give_back(self, retried: Retried) -> None:
        """Give back a retry that was not made, from anywhere, without waiting."""
        self._returned.append(retried)

    def read(self) -> tuple[int, float]:
        """Return how many retries are counted, and how many there may be."""
        with self._lock:
            self._settle()
            return self._budget.spent, self._budget.allowed

    def _settle(self) -> None:
        while self._returned:
            budget, slot = self._returned.popleft()
            budget.give_back(slot)  # one from before a fork is no longer this one
