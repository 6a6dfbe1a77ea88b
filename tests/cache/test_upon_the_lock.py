"""Code that comes upon the lock in the thread that has it: it reads, and removes late.

It is the `__eq__` of a key here, or what that lets in: a signal handler, the collector.
"""

from __future__ import annotations

import gc
import signal
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from concutil import Cache, cached, memoize
from concutil._cache import store as stores
from concutil._core.lru import Lru
from concutil.testing import ManualClock

Use = Callable[[Cache[Any, int]], Any]


class BrokenError(Exception):
    """What a key or a computation fails with."""


def fix() -> int:
    """Succeed."""
    return 3


async def afix() -> int:
    """Succeed in a task."""
    return 3


def fail() -> int:
    """Fail."""
    raise BrokenError


class Meddler:
    """A key that does something, once, when it is compared with 1 under the lock.

    Attributes:
        deed: What it does.
        answers: What came of it.
    """

    def __init__(self, store: stores.Store) -> None:
        self.store = store
        self.deed: Callable[[], object] | None = None
        self.answers: list[Any] = []

    def __hash__(self) -> int:
        return hash(1)

    def __eq__(self, other: object) -> bool:
        if self.deed is not None and self.store._is_mine():
            deed, self.deed = self.deed, None
            self.answers.append(deed())
        return self is other


class Met:
    """A cache in which a meddler is met by whoever looks for 1."""

    def __init__(self) -> None:
        self.gone: list[tuple[Any, int, str]] = []
        self.cache: Cache[Any, int] = Cache(
            10, ttl=10, on_evict=lambda *it: self.gone.append(it), clock=ManualClock()
        )
        self.meddler = Meddler(self.cache._store)
        self.cache[self.meddler] = 5
        self.cache["other"] = 7

    def does(self, use: Use) -> None:
        """Have the meddler use the cache."""
        self.meddler.deed = lambda: use(self.cache)

    @property
    def answer(self) -> Any:
        """What came of that."""
        (answer,) = self.meddler.answers
        return answer


@pytest.fixture
def met() -> Met:
    """Return a cache with a meddler."""
    return Met()


# How one comes upon it, and what is held for 1 afterwards.
OUTER: dict[str, tuple[Use, int | None]] = {
    "get": (lambda cache: cache.get(1), None),
    "peek": (lambda cache: cache.peek(1), None),
    "begin": (lambda cache: cache.get_or_compute(1, fix), 3),
    "set": (lambda cache: cache.set(1, 4), 4),
    "invalidate": (lambda cache: cache.invalidate(1), None),
}
outer = pytest.mark.parametrize("outer", OUTER)


def awaited(cache: Cache[Any, int], key: Any) -> int:
    """Return what a task gets that is never suspended."""
    with pytest.raises(StopIteration) as done:
        cache.aget_or_compute(key, afix).send(None)
    value: int = done.value.value
    return value


def fails(use: Use) -> Use:
    """Return what tells which error *use* ends with."""

    def used(cache: Cache[Any, int]) -> type[BaseException]:
        with pytest.raises(Exception) as caught:
            use(cache)
        return caught.type

    return used


class Broken:
    """A key that raises what a dict does."""

    def __hash__(self) -> int:
        return hash("other")

    def __eq__(self, other: object) -> bool:
        raise KeyError


# --- what it finds


READS: dict[str, tuple[Use, Any]] = {
    "get": (lambda cache: cache.get("other"), 7),
    "get itself": (lambda cache: next(cache.get(key) for key in cache), 5),
    "get nothing": (lambda cache: cache.get("none"), None),
    "getitem nothing": (fails(lambda cache: cache["none"]), KeyError),
    "peek": (lambda cache: cache.peek("other"), 7),
    "peek nothing": (lambda cache: cache.peek("none"), None),
    "in": (lambda cache: ("other" in cache, "none" in cache), (True, False)),
    "len": (len, 2),
    "size": (lambda cache: cache.stats().size, 2),
    "snapshot": (lambda cache: list(cache.snapshot().values()), [5, 7]),
    "repr": (repr, "<Cache 2 of 10: 0 being computed>"),
    "ask": (lambda cache: cache.get_or_compute("other", fail), 7),
    "ask in a task": (lambda cache: awaited(cache, "other"), 7),
    "ask brokenly": (
        fails(lambda cache: cache.get_or_compute(Broken(), fix)),
        KeyError,
    ),
}


@outer
@pytest.mark.parametrize("what", READS)
def test_it_reads(outer: str, what: str, met: Met) -> None:
    """Whatever it asks for is answered as anywhere else, and the work goes on."""
    use, answer = READS[what]
    met.does(use)
    work, held = OUTER[outer]
    work(met.cache)

    assert met.answer == answer
    assert met.cache.peek(1) == held
    assert met.cache.peek("other") == 7
    assert met.gone == []


def test_it_counts(met: Met) -> None:
    """Its hits and misses count as all others do."""
    met.does(lambda cache: (cache.get("other"), cache.get("none")))
    met.cache.get(1)

    assert (met.cache.stats().hits, met.cache.stats().misses) == (1, 2)


# --- what it removes

# How, what comes of it, and which of the values 5 and 7 goes.
REMOVALS: dict[str, tuple[Use, Any, list[int]]] = {
    "another": (lambda cache: cache.invalidate("other"), 1, [7]),
    "another twice": (lambda cache: cache.invalidate("other", "other"), 1, [7]),
    "two": (lambda cache: cache.invalidate("none", *cache), 2, [5, 7]),
    "nothing": (lambda cache: cache.invalidate("none"), 0, []),
    "clear": (lambda cache: cache.clear(), None, [5, 7]),
    "del": (lambda cache: cache.__delitem__("other"), None, [7]),
    "del nothing": (fails(lambda cache: cache.__delitem__("none")), KeyError, []),
}


@outer
@pytest.mark.parametrize("how", REMOVALS)
def test_it_removes(outer: str, how: str, met: Met) -> None:
    """That goes, and is told of once, as soon as the work is done, and not before."""
    use, answer, going = REMOVALS[how]
    held: list[int] = []
    met.does(lambda cache: (use(cache), cache.peek("none"), held.append(len(cache)))[0])
    work, value = OUTER[outer]
    work(met.cache)

    assert met.answer == answer
    assert held == [2]
    assert [value for _, value, _ in met.gone] == going
    assert {cause for _, _, cause in met.gone} <= {"removed"}
    left = [it for it in (5, 7) if it not in going]
    assert cached_values(met) == left + ([] if value is None else [value])
    assert not met.cache._store.undone


def cached_values(met: Met) -> list[int]:
    """Return what is held now, without asking the cache."""
    return [entry.value for entry in met.cache._entries.values()]


@pytest.mark.parametrize("outer", ["set", "begin"])
def test_it_removes_what_is_just_coming(outer: str, met: Met) -> None:
    """That was still missing: there is nothing to remove, and it comes."""
    met.does(lambda cache: cache.invalidate(1))
    OUTER[outer][0](met.cache)

    assert met.answer == 0
    assert met.cache.peek(1) == OUTER[outer][1]


@outer
def test_it_removes_and_fails(outer: str, met: Met) -> None:
    """Who was at work gets the error, and what was to be removed goes all the same."""

    def use(cache: Cache[Any, int]) -> None:
        cache.clear()
        raise BrokenError

    met.does(use)
    with pytest.raises(BrokenError):
        OUTER[outer][0](met.cache)

    assert cached_values(met) == []
    assert [gone[2] for gone in met.gone] == ["removed"] * 2
    assert met.cache._store.flights == {}
    assert not met.cache._store.undone


def test_what_it_removed_from_stats(met: Met, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the numbers is work as well, of which the end is awaited."""
    real = stores.CacheStats

    def numbers(**parts: int | None) -> Any:
        met.cache.invalidate("other")
        return real(**parts)

    monkeypatch.setattr(stores, "CacheStats", numbers)
    assert met.cache.stats().size == 2
    assert cached_values(met) == [5]


def test_it_removes_as_a_computation_fails() -> None:
    """That ends under the lock as well; what was removed is not kept when it comes."""
    cache: Cache[Any, int] = Cache()
    meddler = Meddler(cache._store)
    cache["other"] = 7

    def meddle() -> int:
        meddler.deed = cache.clear
        return fail()

    def compute() -> int:
        with pytest.raises(BrokenError):
            cache.get_or_compute(1, meddle)
        return len(cache)

    assert cache.get_or_compute(meddler, compute) == 0
    assert meddler.answers == [None]
    assert len(cache) == 0


def test_it_removes_while_that_is_done(met: Met) -> None:
    """What it removes as it is met by a late removal goes as well."""

    class Twin:
        def __hash__(self) -> int:
            return hash(1)

    def use(cache: Cache[Any, int]) -> None:
        cache.invalidate(twin)
        met.does(lambda cache: cache.invalidate("other"))

    met.cache[twin := Twin()] = 9
    met.does(use)
    met.cache.get(1)

    assert met.meddler.answers == [None, 1]
    assert cached_values(met) == [5]


def test_an_error_of_what_it_removed(met: Met, unraisable: list[Any]) -> None:
    """Whoever is at work isn't told, but `sys.unraisablehook` is; the rest goes on."""
    broken: list[bool] = []

    class Fickle:
        def __hash__(self) -> int:
            if broken:
                raise BrokenError
            return 2

    def use(cache: Cache[Any, int]) -> None:
        cache.invalidate(fickle)
        cache.invalidate("other")
        broken.append(True)

    met.cache[fickle := Fickle()] = 9
    met.does(use)
    met.cache.get(1)

    assert [report.exc_type for report in unraisable] == [BrokenError]
    assert "removal from a cache" in unraisable[0].err_msg
    assert cached_values(met) == [5, 9]
    assert not met.cache._store.undone


# --- what it computes and stores


@outer
@pytest.mark.parametrize(
    "use",
    [
        lambda cache: cache.get_or_compute("new", fix),
        lambda cache: awaited(cache, "new"),
    ],
    ids=["thread", "task"],
)
def test_it_computes(outer: str, use: Use, met: Met) -> None:
    """It gets the value, which nobody else waits for, and which is not kept."""
    met.does(lambda cache: (use(cache), list(cache._store.flights)))
    OUTER[outer][0](met.cache)

    assert met.answer == (3, [])
    assert "new" not in met.cache
    assert met.cache._store.flights == {}
    assert not met.cache._store.undone


def test_what_it_computes_is_no_flight(met: Met) -> None:
    """While it computes, nobody could come to wait for that."""
    met.does(
        lambda cache: cache.get_or_compute("new", lambda: len(cache._store.flights))
    )
    met.cache.get(1)

    assert met.answer == 0


def test_what_ends_upon_the_lock(met: Met) -> None:
    """What was begun before, and ends now, is not kept either."""

    class Once:
        def __await__(self) -> Iterator[int]:
            yield 0
            return 3

    def end(_: object) -> int:
        with pytest.raises(StopIteration) as done:
            computing.send(None)
        value: int = done.value.value
        return value

    computing = met.cache.aget_or_compute("new", Once)
    computing.send(None)
    met.does(end)
    met.cache.get(1)

    assert met.answer == 3
    assert "new" not in met.cache
    assert met.cache._store.flights == {}


def test_it_fails_to_compute(met: Met) -> None:
    """It gets the error, and nothing is left behind."""
    met.does(fails(lambda cache: cache.get_or_compute("new", fail)))
    met.cache.get(1)

    assert met.answer is BrokenError
    assert met.cache._store.flights == {}
    assert not met.cache._store.undone
    assert met.cache.get_or_compute("new", fix) == 3


@outer
@pytest.mark.parametrize("key", ["new", "other", 1])
def test_it_can_not_set(outer: str, key: Any, met: Met) -> None:
    """That is a `RuntimeError`, after which all is as it was, and the work goes on."""
    met.does(fails(lambda cache: cache.set(key, 9)))
    work, held = OUTER[outer]
    work(met.cache)

    assert met.answer is RuntimeError
    assert met.cache.peek(1) == held
    assert (met.cache.peek("other"), met.cache.peek("new")) == (7, None)
    assert met.cache.stats().size == len(met.cache) == 2 + (held is not None)
    met.cache["new"] = 9
    assert met.cache["new"] == 9


# --- the others who come by


@outer
def test_a_signal_handler(outer: str, met: Met) -> None:
    """It clears, and that is done when the work is."""
    before = signal.signal(signal.SIGINT, lambda *_: met.cache.clear())
    met.does(lambda _: signal.raise_signal(signal.SIGINT))
    try:
        OUTER[outer][0](met.cache)
    finally:
        signal.signal(signal.SIGINT, before)

    assert met.answer is None
    assert met.gone == [(met.meddler, 5, "removed"), ("other", 7, "removed")]


class Node:
    """What an entry is about; in a circle, so that the collector alone ends it."""

    def __init__(self) -> None:
        self.me = self


@outer
def test_a_finalizer_that_the_collector_calls(outer: str, met: Met) -> None:
    """It invalidates, and that is done when the work is."""
    node = Node()
    weakref.finalize(node, met.cache.invalidate, "other")
    del node
    met.does(lambda _: gc.collect())
    OUTER[outer][0](met.cache)

    assert ("other", 7, "removed") in met.gone
    assert 7 not in cached_values(met)


@pytest.mark.parametrize("maxsize", [5, 40, None])
def test_finalizers_while_the_cache_is_filled(maxsize: int | None) -> None:
    """Wherever the collector comes by, each node's entry goes with it."""
    cache: Cache[int, list[int]] = Cache(maxsize, ttl=100)
    before = gc.get_threshold()
    try:
        for number in range(300):
            node = Node()
            weakref.finalize(node, cache.invalidate, number)
            gc.set_threshold(1 + number % 60, 1, 1)  # each time in another place
            cache[number] = [number]
            cache.get_or_compute(-1, lambda: [0])
    finally:
        gc.set_threshold(*before)
    del node
    gc.collect()

    assert set(cache.snapshot()) <= {-1}
    assert cache.stats().size == len(cache)


@pytest.mark.parametrize("name", ["clear", "forget_numbers"])
def test_all_goes_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who has the lock sees half of it."""
    one = cached(lambda it: 1)
    one(1)
    real, locked = getattr(Lru, name), []

    def watched(self: Lru) -> Any:
        locked.append(one.cache._store._is_mine())
        return real(self)

    monkeypatch.setattr(Lru, name, watched)
    one.cache_clear()

    assert locked == [True]
    assert one.cache_info() == (0, 0, 128, 0)


# --- functions that remember


def test_a_cached_function() -> None:
    """Its own operations do what those of its cache do."""
    calls: list[Any] = []

    @cached
    def twice(it: Any) -> int:
        calls.append(it)
        return 2

    meddler = Meddler(twice.cache._store)
    twice(meddler)
    twice("other")
    meddler.deed = lambda: (
        *(twice("other"), twice("new")),
        *(twice.cache_info().currsize, twice.cache_invalidate("other")),
    )
    twice(1)

    assert meddler.answers == [(2, 2, 2, True)]
    assert calls == [meddler, "other", "new", 1]
    assert set(twice.cache) == {(meddler,), (1,)}
    meddler.deed = twice.cache_clear
    twice.cache.peek((1,))
    assert len(twice.cache) == 0


def test_functions_that_share_a_cache() -> None:
    """One of them is cleared, the other is not."""
    cache: Cache[Any, int] = Cache()
    one = cached(cache=cache)(lambda it: 1)
    two = cached(cache=cache)(lambda it: 2)
    meddler = Meddler(cache._store)
    cache[meddler] = 0
    one("a"), two("a")
    meddler.deed = one.cache_clear
    cache.get(1)

    assert sorted(cache.snapshot().values()) == [0, 2]


def test_a_memoized_function() -> None:
    """It is asked, cleared and counted by a key that it meets under its lock."""

    @memoize
    def twice(it: Any) -> int:
        return twice(1.0) + 2 if it is meddler else 2

    meddler = Meddler(twice.cache_info.__self__._flights)
    meddler.deed = lambda: (twice("new"), twice.cache_info().currsize)
    assert twice(meddler) == 4
    assert meddler.answers == [(2, 1)]


def test_a_memoized_function_that_is_cleared() -> None:
    """What it held goes, and what is being computed is computed anew."""

    @memoize
    def twice(it: Any) -> int:
        return twice(1.0) + 2 if it is meddler else 2

    meddler = Meddler(twice.cache_info.__self__._flights)
    twice("old")
    meddler.deed = twice.cache_clear
    assert twice(meddler) == 4

    assert meddler.answers == [None]
    assert twice.cache_info().currsize == 2
