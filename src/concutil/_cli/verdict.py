"""Whether a run kept its promises, from what its clients saw.

A limiter promises that in any window of w seconds at most
`burst + rate * (w + slack)` calls, or tokens, are granted, and none during a pause.
Nobody outside sees a grant, but a caller can say when it was: not before it asked plus
the time that its permit says it waited, and not after it was let in. A window that
surely holds some grants is as long as these bounds allow. So a machine that holds
clients up can hide a small excess, but never make one up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import NamedTuple

from .._cache.stats import CacheStats

# Far above the rounding of float seconds, far below what anyone could notice.
_ROUNDING_CALLS = _ROUNDING_S = 1e-6

Span = tuple[float, float]  # from when to when


class Bound(NamedTuple):
    """At most `burst + rate * (w + slack)` in any window of w seconds."""

    rate: float
    burst: float
    slack: float
    unit: str = "calls"

    @property
    def formula(self) -> str:
        """The bound with its numbers."""
        return f"{self.burst:g} + {self.rate:g} x (w + {self.slack:g})"


class Grant(NamedTuple):
    """A permit, the times between which it was granted, and how much that was."""

    earliest: float
    latest: float
    amount: float = 1.0


class Check(NamedTuple):
    """Something that must be so, and whether it is."""

    holds: bool
    said: str


class Tally(NamedTuple):
    """How many calls were made, as the two sides counted them."""

    planned: int
    answered: int  # by the clients
    arrived: int  # by the server
    told_no: int  # by the clients
    refused: int  # by the server

    @property
    def share(self) -> float:
        """How much of what was planned is done."""
        return self.answered / self.planned

    @property
    def so_far(self) -> str:
        """What there was of each, in so many columns each time."""
        return f"{self.answered:>4} sent, {self.told_no:>4} refused"


class Answers(NamedTuple):
    """How often something was asked for, and how often that took a request."""

    planned: int
    answered: int  # to clients, by a cache or by the server
    requested: int  # by the clients
    arrived: int  # by the server

    @property
    def share(self) -> float:
        """How much of what was planned is done."""
        return self.answered / self.planned

    @property
    def so_far(self) -> str:
        """What there was of each, in so many columns each time."""
        return f"{self.arrived:>4} sent, {self.answered:>4} answered"


def worst_excess(grants: Iterable[Grant], bound: Bound) -> float:
    """Return by how much the worst of all windows exceeds *bound*.

    0 or less if the bound was kept; minus infinity without any grant. One pass over
    the sorted grants sees every window: only the best begin so far matters for an end.
    """
    ordered = sorted(grants)
    if not ordered:
        return -inf
    # Seconds since the first grant, since a float can't hold a long uptime finely.
    origin = ordered[0].earliest
    worst = best_begin = -inf
    end = total = 0.0
    for grant in ordered:
        best_begin = max(best_begin, bound.rate * (grant.earliest - origin) - total)
        end = max(end, grant.latest - origin)
        total += grant.amount
        worst = max(worst, total - bound.rate * end + best_begin)
    return worst - bound.burst - bound.rate * bound.slack


def bound_check(grants: Iterable[Grant], bound: Bound) -> Check:
    """Judge whether *grants* kept *bound* in every window."""
    excess = worst_excess(grants, bound)
    if excess == -inf:
        return Check(False, "nothing was granted, so there is nothing to judge")
    promise = f"in any w seconds at most {bound.formula} {bound.unit} were granted"
    if excess > _ROUNDING_CALLS:
        return Check(False, f"not kept: {promise}; {excess:.2f} {bound.unit} too many")
    return Check(True, f"{promise}; the fullest window had room for {-excess:.2f} more")


def waits_check(grants: Iterable[Grant]) -> Check:
    """Judge whether permits say that they waited no longer than their callers did."""
    wrong = sum(grant.earliest > grant.latest + _ROUNDING_S for grant in grants)
    if wrong:
        return Check(
            False, f"{wrong} permits claim a longer wait than their callers saw"
        )
    return Check(True, "no permit claims a longer wait than its caller saw")


def pause_check(grants: Iterable[Grant], pauses: Sequence[Span]) -> Check:
    """Judge whether nobody was let in during *pauses*, so far as that is certain."""
    if not pauses:
        return Check(False, "nobody asked for a pause, so there is nothing to judge")
    intruders = sum(
        any(begin < grant.earliest and grant.latest < end for begin, end in pauses)
        for grant in grants
    )
    seconds = max(end for _, end in pauses) - min(begin for begin, _ in pauses)
    if intruders:
        return Check(
            False, f"{intruders} calls were let in during a pause of {seconds:.2f} s"
        )
    return Check(True, f"nobody was let in during the pause of {seconds:.2f} s")


def sums_check(told: int, used: int) -> Check:
    """Judge whether clients were *told* of as many tokens as the server saw *used*."""
    return Check(
        told == used,
        f"{told} tokens seen by clients {'=' if told == used else 'but'}"
        f" {used} counted by the server",
    )


def counts_check(name: str, tally: Tally) -> Check:
    """Judge whether the two sides of the run called *name* counted the same."""
    faults: list[str] = []
    if tally.answered != tally.planned:
        faults.append(f"{tally.answered} of {tally.planned} calls were made in time")
    if tally.answered != tally.arrived:
        faults.append(f"{tally.answered} answers, {tally.arrived} arrivals")
    if tally.told_no != tally.refused:
        faults.append(f"{tally.told_no} refusals seen, {tally.refused} sent")
    if faults:
        return Check(False, f"{name}: counts don't add up: {'; '.join(faults)}")
    return Check(
        True,
        f"{name}: {tally.answered} answers = {tally.arrived} arrivals,"
        f" {tally.told_no} refusals seen = {tally.refused} sent",
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


def storm_check(in_vain: int, clients: int) -> Check:
    """Judge whether none of so many *clients* asked twice while all was *in_vain*."""
    told = f"requests in the bad second: {in_vain}"
    if in_vain > clients:
        return Check(False, f"{told}, more than one of each of {clients} clients")
    return Check(True, f"{told}, at most one of each of {clients} clients")


def budget_check(retries: int, calls: int, *, ratio: float, floor: float) -> Check:
    """Judge whether there were no more *retries* of so many *calls* than allowed."""
    most = ratio * calls + floor
    allowed = f"{ratio:g} x {calls} calls + {floor:g} = {most:g} allowed"
    return Check(retries <= most, f"{retries} retries, {allowed}")


def once_check(arrived: int, pages: int) -> Check:
    """Judge whether the server was asked once for each of so many *pages*."""
    told = f"{pages} pages, {arrived} requests at the server"
    if arrived != pages:
        return Check(False, f"{told}, not one for each")
    return Check(True, f"{told}, one for each")


def answers_check(name: str, answers: Answers) -> Check:
    """Judge whether all who asked got an answer, and both sides counted alike."""
    planned, answered, requested, arrived = answers
    if answered != planned:
        return Check(False, f"{name}: {answered} of {planned} answers came in time")
    same = requested == arrived
    return Check(
        same,
        f"{name}: {answered} answers, {requested} requests {'=' if same else 'but'}"
        f" {arrived} arrivals",
    )


def cache_check(stats: CacheStats, answers: Answers) -> Check:
    """Judge whether the cache's own numbers are those of clients and server."""
    told = (
        f"the cache's stats(): {stats.computes} computed, {stats.joins} waited for"
        f" that, {stats.hits} hits"
    )
    if stats.computes != answers.arrived:
        return Check(False, f"{told}, but {answers.arrived} arrivals")
    total = stats.computes + stats.joins + stats.hits
    if total != answers.answered:
        return Check(False, f"{told}, but {answers.answered} answers")
    return Check(True, told)


def exit_status(checks: Iterable[Check]) -> int:
    """Return 0 if every check holds, else 1."""
    return 0 if all(check.holds for check in checks) else 1
