from collections.abc import Sequence
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concutil import CacheStats
from concutil._cli.verdict import (
    Answers,
    Bound,
    Check,
    Grant,
    Tally,
    answers_check,
    books_check,
    bound_check,
    budget_check,
    cache_check,
    counts_check,
    exit_status,
    once_check,
    pause_check,
    storm_check,
    sums_check,
    waits_check,
)
from concutil._cli.verdict import worst_excess as excess_of

BOUND = Bound(rate=100.0, burst=2.0, slack=0.01)
GOOD = Tally(planned=5, answered=5, arrived=5, told_no=2, refused=2)

instants = st.lists(st.integers(0, 2000), min_size=1, max_size=12).map(
    lambda ticks: [tick / 4096 for tick in ticks]
)
delays = st.lists(
    st.tuples(st.floats(0, 0.05), st.floats(0, 0.05)), min_size=12, max_size=12
)


def over_all_windows(times: Sequence[float], bound: Bound) -> float:
    """Return the worst excess the slow way: every window, one by one."""
    ordered = sorted(times)
    return max(
        last
        - first
        + 1
        - bound.burst
        - bound.rate * (ordered[last] - ordered[first] + bound.slack)
        for first in range(len(ordered))
        for last in range(first, len(ordered))
    )


@given(instants)
def test_known_grant_times_give_the_exact_excess(times: list[float]) -> None:
    """One pass finds the same worst window as a look at every window."""
    excess = excess_of([Grant(time, time) for time in times], BOUND)
    assert excess == pytest.approx(over_all_windows(times, BOUND), abs=1e-9)


@given(instants, delays)
def test_late_stamps_make_up_no_excess(
    times: list[float], held_up: list[tuple[float, float]]
) -> None:
    """However late clients are, they see no more excess than there was."""
    seen = [
        Grant(time - early, time + late)
        for time, (early, late) in zip(times, held_up, strict=False)
    ]
    assert excess_of(seen, BOUND) <= over_all_windows(times, BOUND) + 1e-9


@given(st.floats(0, 1e9))
def test_a_long_uptime_costs_no_precision(origin: float) -> None:
    """The excess is the same on a machine that has been up for decades."""
    grants = [Grant(origin, origin)] * 4
    assert excess_of(grants, BOUND) == pytest.approx(1.0)


def test_grants_at_the_limit_keep_the_bound() -> None:
    """A burst and then a call every 10 ms is exactly what 100/s burst 2 allows."""
    grants = [Grant(0.0, 0.0), *(Grant(n / 100, n / 100) for n in range(200))]
    check = bound_check(grants, BOUND)
    assert check.holds
    assert "at most 2 + 100 x (w + 0.01) calls" in check.said
    assert exit_status([check]) == 0


def test_grants_over_the_limit_break_the_bound() -> None:
    """Twice the rate for a quarter of a second is found, and the status is 1."""
    check = bound_check([Grant(n / 200, n / 200) for n in range(51)], BOUND)
    assert not check.holds
    assert check.said.endswith("23.00 calls too many")
    assert exit_status([Check(True, "fine"), check]) == 1


@given(instants, st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_amounts_count_as_so_many_grants(times: list[float], each: list[int]) -> None:
    """A grant of three is judged like three grants at that time, one of 0 like none."""
    pairs = list(zip(times, each, strict=False))
    as_one = [Grant(time, time, amount) for time, amount in pairs]
    as_many = [Grant(time, time) for time, amount in pairs for _ in range(amount)]
    if as_many:
        assert excess_of(as_one, BOUND) == pytest.approx(excess_of(as_many, BOUND))


def test_a_bound_of_tokens_speaks_of_tokens() -> None:
    """What was too much is said in the unit of the bound."""
    bound = Bound(rate=100.0, burst=50.0, slack=0.0, unit="tokens")
    check = bound_check([Grant(0.0, 0.0, 30.0), Grant(0.1, 0.1, 40.0)], bound)
    assert not check.holds
    assert check.said.endswith("10.00 tokens too many")


def test_nobody_is_let_in_during_a_pause() -> None:
    """Who was let in before, after, or perhaps before, is no intruder."""
    pauses = [(1.0, 2.0), (1.1, 2.2)]
    grants = [Grant(0.5, 0.5), Grant(0.9, 1.5), Grant(2.1, 2.3), Grant(3.0, 3.0)]
    assert pause_check(grants, pauses) == (
        True,
        "nobody was let in during the pause of 1.20 s",
    )


def test_intruders_are_counted() -> None:
    """Who surely was let in during a pause breaks it."""
    check = pause_check([Grant(1.2, 1.3), Grant(2.1, 2.15), Grant(5, 5)], [(1.0, 2.2)])
    assert check == (False, "2 calls were let in during a pause of 1.20 s")


def test_without_a_pause_nothing_is_judged() -> None:
    """A run in which nobody was told to pause has shown nothing."""
    assert not pause_check([Grant(1.0, 1.0)], []).holds


def test_tokens_are_counted_on_both_sides() -> None:
    """Sums that differ are shown with both numbers."""
    assert sums_check(5, 5) == (
        True,
        "5 tokens seen by clients = 5 counted by the server",
    )
    assert sums_check(5, 6) == (
        False,
        "5 tokens seen by clients but 6 counted by the server",
    )


def test_who_asks_twice_makes_a_storm() -> None:
    """In the bad second each client may ask once, and not once more."""
    assert storm_check(12, 12) == (
        True,
        "requests in the bad second: 12, at most one of each of 12 clients",
    )
    assert not storm_check(13, 12).holds


def test_retries_are_a_share_of_calls() -> None:
    """Retries up to the ratio and the floor are fine, and one more isn't."""
    assert budget_check(30, 100, ratio=0.2, floor=10) == (
        True,
        "30 retries, 0.2 x 100 calls + 10 = 30 allowed",
    )
    assert not budget_check(31, 100, ratio=0.2, floor=10).holds


def test_nothing_granted_is_no_success() -> None:
    """A limiter that lets nobody in has not kept its bound, it has failed."""
    assert excess_of([], BOUND) == -inf
    assert not bound_check([], BOUND).holds


def test_a_permit_cannot_have_waited_longer_than_its_caller() -> None:
    """A wait that ends after the caller was let in is reported."""
    fine, wrong = Grant(1.0, 1.0), Grant(2.0, 1.0)
    assert waits_check([fine]).holds
    check = waits_check([wrong, fine, wrong])
    assert not check.holds
    assert check.said.startswith("2 permits")


def test_equal_counts_add_up() -> None:
    """Counts on which both sides agree are fine, refusals or not."""
    assert counts_check("naive", GOOD).holds


@pytest.mark.parametrize("wrong", Tally._fields)
def test_any_other_count_fails(wrong: str) -> None:
    """One count that differs from its counterpart is reported with both numbers."""
    check = counts_check("naive", GOOD._replace(**{wrong: 3}))
    assert not check.holds
    assert "naive: counts don't add up" in check.said
    assert "3" in check.said


@pytest.mark.parametrize("books", [(4, 0, 0), (5, 1, 0), (5, 0, 1)])
def test_the_limiters_own_books_must_agree(books: tuple[int, int, int]) -> None:
    """A grant too few, or somebody left inside, is reported."""
    assert books_check(5, 0, 0, answered=5).holds
    assert not books_check(*books, answered=5).holds


@pytest.mark.parametrize("arrived", [2, 3, 4])
def test_each_page_is_asked_for_once(arrived: int) -> None:
    """As many requests as pages, no more and no less."""
    once = arrived == 3
    said = f"3 pages, {arrived} requests at the server, {'' if once else 'not '}one for"
    assert once_check(arrived, 3) == (once, f"{said} each")


@pytest.mark.parametrize(
    ("answers", "check"),
    [
        ((9, 9, 3, 3), (True, "us: 9 answers, 3 requests = 3 arrivals")),
        ((9, 9, 3, 4), (False, "us: 9 answers, 3 requests but 4 arrivals")),
        ((9, 8, 3, 3), (False, "us: 8 of 9 answers came in time")),
    ],
)
def test_answers_and_requests_add_up(
    answers: tuple[int, int, int, int], check: Check
) -> None:
    """Everybody has an answer, and both sides have counted the same requests."""
    assert answers_check("us", Answers(*answers)) == check


@pytest.mark.parametrize(
    ("hits", "arrived", "said"),
    [
        (4, 3, "3 computed, 2 waited for that, 4 hits"),
        (4, 2, "3 computed, 2 waited for that, 4 hits, but 2 arrivals"),
        (5, 3, "3 computed, 2 waited for that, 5 hits, but 9 answers"),
    ],
)
def test_a_cache_counts_what_the_server_counts(
    hits: int, arrived: int, said: str
) -> None:
    """What a cache says of itself is what clients and server have seen."""
    stats = CacheStats(
        hits=hits,
        misses=5,
        computes=3,
        joins=2,
        failures=0,
        evictions=0,
        size=3,
        maxsize=None,
    )
    check = cache_check(stats, Answers(9, 9, 3, arrived))
    assert check == (said.endswith("4 hits"), f"the cache's stats(): {said}")


def test_progress_is_told_of_both_kinds_of_counts() -> None:
    """How much is done and what there was so far, in columns that stay in place."""
    assert (GOOD.share, GOOD.so_far) == (1.0, "   5 sent,    2 refused")
    answers = Answers(planned=8, answered=6, requested=1, arrived=1)
    assert (answers.share, answers.so_far) == (0.75, "   1 sent,    6 answered")
