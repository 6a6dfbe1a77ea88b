import pytest

from concutil import Cache
from concutil._cli.crew import Work
from concutil._cli.heads import Reply
from concutil._cli.naive import NaiveCache
from concutil._cli.plan import StampedePlan
from concutil._cli.server import NOT_OURS
from concutil._cli.stampede import (
    ASKERS_PER_WORLD,
    Caching,
    PageLedger,
    PageLog,
    StampedeOutcome,
    run_stampede,
)
from concutil._cli.verdict import answers_check, cache_check, once_check


def test_whoever_names_a_page_is_served() -> None:
    """A request for a page is counted; another one is none of the demo's."""
    ledger = PageLedger()
    assert ledger.arrive(1.5, {"page": "0"}) == (200, {})
    assert ledger.arrive(2.5, {}) is NOT_OURS
    assert (ledger.arrivals, ledger.refused) == ([1.5], 0)


def test_a_client_asks_for_each_page_once() -> None:
    """A client goes through the pages, until it has all or there is no time left."""
    work = Work(3)
    log, late = PageLog(work, 2), PageLog(work, 2)
    assert [log.next_page() for _ in range(3)] == ["0", "1", None]
    assert [late.next_page() for _ in range(2)] == ["0", None]


def test_a_client_counts_requests_and_answers() -> None:
    """An answer counts wherever it comes from, if it is a good one."""
    log = PageLog(Work(1), 1)
    log.answer(log.take_in(Reply(200, {})))
    log.answer(200)
    log.answer(log.take_in(Reply(503, {})))
    assert (log.requested, log.answered) == (2, 2)


def run(caching: Caching, *loops: str) -> list[StampedeOutcome]:
    """Run the fourth part of the demo, and return what came of it at each look."""
    plan = StampedePlan(pages=2)
    looks: list[StampedeOutcome] = []
    outcome = run_stampede(
        caching, plan, loops, seconds=plan.seconds, port=0, look=looks.append
    )
    assert looks
    return [*looks, outcome]


@pytest.mark.slow
@pytest.mark.parametrize("loops", [[], ["asyncio", "trio"]])
def test_a_cache_asks_once_for_each_page(loops: list[str]) -> None:
    """However many clients and worlds there are, each page takes one request."""
    cache: Cache[str, int] = Cache()
    caching = Caching("cache", cache.get_or_compute, cache.aget_or_compute)
    answers = run(caching, *loops)[-1].tally
    assert answers.answered == (1 + len(loops)) * ASKERS_PER_WORLD * 2
    assert once_check(answers.arrived, 2).holds
    assert answers_check("cache", answers).holds
    assert cache_check(cache.stats(), answers).holds


@pytest.mark.slow
def test_a_dict_with_a_lock_lets_a_stampede_through() -> None:
    """Between the look and the store of one client others look as well."""
    cache = NaiveCache[int]()
    caching = Caching("dict", cache.get_or_compute, cache.aget_or_compute)
    answers = run(caching, "asyncio")[-1].tally
    assert answers.arrived > 2
    assert not once_check(answers.arrived, 2).holds
    assert answers_check("dict", answers).holds
