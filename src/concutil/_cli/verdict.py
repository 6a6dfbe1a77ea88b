"""Whether a run kept its promises, from what its clients saw.

A limiter promises that in any window of w seconds at most
`burst + rate * (w + slack)` calls are granted. Nobody outside sees a grant, but a
caller can say when it was: not before it asked plus the time that its permit says it
waited, and not after it was let in. A window that surely holds some grants is as long
as these bounds allow. So a machine that holds clients up can hide a small excess, but
never make one up.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import NamedTuple

# Far above the rounding of float seconds, far below what anyone could notice.
_ROUNDING_CALLS = _ROUNDING_S = 1e-6


class Bound(NamedTuple):
    """At most `burst + rate * (w + slack)` in any window of w seconds."""

    rate: float
    burst: float
    slack: float

    @property
    def formula(self) -> str:
        """The bound with its numbers."""
        return f"{self.burst:g} + {self.rate:g} x (w + {self.slack:g})"


class Grant(NamedTuple):
    """A permit, and the times between which it was granted."""

    earliest: float
    latest: float


class Check(NamedTuple):
    """Something that must be so, and whether it is."""

    holds: bool
    said: str


class Tally(NamedTuple):
    """How many calls were made, as the two sides counted them."""

    planned: int
    answered: int  # by the clients
    arrived: int  # by the server
    told_429: int  # by the clients
    refused: int  # by the server


def worst_excess(grants: Iterable[Grant], bound: Bound) -> float:
    """Return by how many calls the worst of all windows exceeds *bound*.

    0 or less if the bound was kept; minus infinity without any grant. One pass over
    the sorted grants sees every window: only the best begin so far matters for an end.
    """
    ordered = sorted(grants)
    if not ordered:
        return -inf
    # Seconds since the first grant, since a float can't hold a long uptime finely.
    origin = ordered[0].earliest
    worst = best_begin = -inf
    end = 0.0
    for place, grant in enumerate(ordered):
        best_begin = max(best_begin, bound.rate * (grant.earliest - origin) - place)
        end = max(end, grant.latest - origin)
        worst = max(worst, place + 1 - bound.rate * end + best_begin)
    return worst - bound.burst - bound.rate * bound.slack


def bound_check(grants: Iterable[Grant], bound: Bound) -> Check:
    """Judge whether *grants* kept *bound* in every window."""
    excess = worst_excess(grants, bound)
    if excess == -inf:
        return Check(False, "nothing was granted, so there is nothing to judge")
    promise = f"in any w seconds at most {bound.formula} calls were granted"
    if excess > _ROUNDING_CALLS:
        return Check(False, f"not kept: {promise}; {excess:.2f} calls too many")
    return Check(True, f"{promise}; the fullest window had room for {-excess:.2f} more")


def waits_check(grants: Iterable[Grant]) -> Check:
    """Judge whether permits say that they waited no longer than their callers did."""
    wrong = sum(grant.earliest > grant.latest + _ROUNDING_S for grant in grants)
    if wrong:
        return Check(
            False, f"{wrong} permits claim a longer wait than their callers saw"
        )
    return Check(True, "no permit claims a longer wait than its caller saw")


def counts_check(name: str, tally: Tally) -> Check:
    """Judge whether the two sides of the run called *name* counted the same."""
    faults: list[str] = []
    if tally.answered != tally.planned:
        faults.append(f"{tally.answered} of {tally.planned} calls were made in time")
    if tally.answered != tally.arrived:
        faults.append(f"{tally.answered} answers, {tally.arrived} arrivals")
    if tally.told_429 != tally.refused:
        faults.append(f"{tally.told_429} clients saw a 429, {tally.refused} were sent")
    if faults:
        return Check(False, f"{name}: counts don't add up: {'; '.join(faults)}")
    return Check(
        True,
        f"{name}: {tally.answered} answers = {tally.arrived} arrivals,"
        f" {tally.told_429} refusals seen = {tally.refused} sent",
    )


def books_check(granted: int, waiting: int, in_flight: int, *, answered: int) -> Check:
    """Judge whether the limiter's own books end as they should."""
    if (granted, waiting, in_flight) == (answered, 0, 0):
        return Check(
            True, f"the limiter's stats(): {granted} granted, nobody left in it"
        )
    return Check(
        False,
        f"the limiter's stats() say {granted} granted, {waiting} waiting, {in_flight}"
        f" in flight after {answered} calls",
    )


def exit_status(checks: Iterable[Check]) -> int:
    """Return 0 if every check holds, else 1."""
    return 0 if all(check.holds for check in checks) else 1
