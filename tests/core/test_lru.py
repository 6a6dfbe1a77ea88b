"""What goes when room is needed, against a model that keeps order the naive way."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from concutil._core.lru import (
    Cause,
    Entry,
    Gone,
    Lru,
    Measured,
    Survey,
    by_date,
    in_order,
)

Told = list[tuple[int, int, Cause]]  # key, value and cause of what went


class Held(NamedTuple):
    """What the model knows of an entry."""

    value: int
    expires: float | None
    weight: int


class Model:
    """An exact LRU: a dict in the order of use, and a look at everything each time."""

    def __init__(self, maxsize: int | None, stale: float) -> None:
        self.maxsize = maxsize
        self.stale = stale
        self.held: OrderedDict[int, Held] = OrderedDict()
        self.evictions = 0

    @property
    def weight(self) -> int:
        return sum(it.weight for it in self.held.values())

    def is_of_use(self, held: Held, now: float) -> bool:
        return held.expires is None or now < held.expires + self.stale

    def fresh(self, key: int, now: float) -> Held | None:
        held = self.held.get(key)
        if held is None or (held.expires is not None and now >= held.expires):
            return None
        return held

    def put(self, key: int, new: Held, now: float) -> Told:
        """Hold *new*, and return what went, in order."""
        gone: Told = []
        if self.maxsize is not None and new.weight > self.maxsize:
            return self.remove(key, now, "replaced")
        old = self.held.pop(key, None)
        others = self.expired(now)
        for other in others[:2]:
            self.evict(other, "expired", gone)
        while self.maxsize is not None and self.weight + new.weight > self.maxsize:
            others = self.expired(now)
            if others:
                self.evict(others[0], "expired", gone)
            else:
                self.evict(next(iter(self.held)), "size", gone)
        if old is not None:
            cause: Cause = "replaced" if self.is_of_use(old, now) else "expired"
            gone.append((key, old.value, cause))
        self.held[key] = new
        return gone

    def expired(self, now: float) -> list[int]:
        """Return what is of no use any more, in the order in which it expired."""
        keys = [key for key, it in self.held.items() if not self.is_of_use(it, now)]
        return sorted(keys, key=lambda key: self.held[key].expires or 0)

    def evict(self, key: int, cause: Cause, gone: Told) -> None:
        gone.append((key, self.held.pop(key).value, cause))
        self.evictions += 1

    def remove(self, key: int, now: float, otherwise: Cause) -> Told:
        held = self.held.pop(key, None)
        if held is None:
            return []
        return [
            (key, held.value, otherwise if self.is_of_use(held, now) else "expired")
        ]


keys = st.integers(0, 80)
lives = st.sampled_from([None, None, 0.0, 1.0, 3.0, 30.0])


def measured(key: Any, value: Any, *, expires: float | None, weight: int) -> Measured:
    """Return an entry that expires and has a weight."""
    entry = Measured(key, value)
    entry.expires, entry.weight = expires, weight
    return entry


class Machine(RuleBasedStateMachine):
    """The same operations on both; each must say the same of what went, and why."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.count = 0
        self.hits = 0
        self.lru = Lru(None, 0.0)
        self.model = Model(None, 0.0)
        self.survey: Survey | None = None

    @initialize(
        maxsize=st.sampled_from([0, 1, 3, 32, 33, 40, 70, None]),
        stale=st.sampled_from([0.0, 2.0]),
        filled=st.sampled_from([0, 40, 75]),
    )
    def fill(self, maxsize: int | None, stale: float, filled: int) -> None:
        self.lru, self.model = Lru(maxsize, stale), Model(maxsize, stale)
        for key in range(filled):
            self.put(key, None, 1)

    @rule(key=keys, life=lives, weight=st.sampled_from([1, 1, 1, 0, 2, 7, 50]))
    def put(self, key: int, life: float | None, weight: int) -> None:
        self.count += 1
        # No two expire at the same time: their order is nobody's concern.
        expires = None if life is None else self.now + life + self.count * 2.0**-30
        entry = measured(key, self.count, expires=expires, weight=weight)
        if expires is None and weight == 1:
            entry = Entry(key, self.count)
        gone: list[Gone] = []
        while not self.lru.place(entry, self.now, gone):
            self.lru.let_go()
            self.arrange()
        self.lru.let_go()
        expected = self.model.put(key, Held(self.count, expires, weight), self.now)

        assert self.told(gone) == expected

    @rule(key=keys)
    def hit(self, key: int) -> None:
        entry, held = self.lru.entries.get(key), self.model.fresh(key, self.now)
        fresh = entry is not None and entry.is_fresh(self.now)
        assert fresh == (held is not None)
        if entry is not None and held is not None:
            assert entry.value == held.value
            entry.tick = self.lru.tick()
            self.model.held.move_to_end(key)
            self.hits += 1

    @rule(first=keys, step=st.integers(1, 7))
    def hit_many(self, first: int, step: int) -> None:
        for key in range(first, 81, step):
            self.hit(key)

    @rule(key=keys)
    def remove(self, key: int) -> None:
        gone: list[Gone] = []
        fresh = self.model.fresh(key, self.now)
        removed = self.lru.remove(key, self.now, gone, cause="removed")

        assert removed == (fresh is not None)
        assert self.told(gone) == self.model.remove(key, self.now, "removed")

    @rule()
    def clear(self) -> None:
        entries, _ = self.lru.clear()
        assert {it.key for it in entries} == set(self.model.held)
        self.model.held.clear()

    @rule(seconds=st.sampled_from([0.5, 1.0, 5.0, 100.0]))
    def advance(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def begin_to_tidy(self) -> None:
        """Sort dates as an owner does who lets the lock go meanwhile."""
        if self.survey is None:
            self.survey, self.since = self.lru.tidying()
            assert not self.lru.lacks_tidiness()

    @rule(interrupted=st.booleans())
    def end_tidying(self, *, interrupted: bool) -> None:
        if self.survey is not None:
            if interrupted:
                self.lru.mend()
            self.lru.tidied(by_date(self.survey), self.since)
            self.survey = None

    @rule()
    def arrange(self) -> None:
        """Sort a run, needed or not."""
        survey = self.lru.survey()
        self.lru.arrange(in_order(survey))

    @staticmethod
    def told(gone: list[Gone]) -> Told:
        return [(entry.key, entry.value, cause) for entry, cause in gone]

    @invariant()
    def is_bounded_and_the_same(self) -> None:
        lru, model = self.lru, self.model
        ordered = sorted(lru.entries.values(), key=lambda it: it.tick)
        assert [it.key for it in ordered] == list(model.held)
        assert lru.weight == model.weight
        assert lru.maxsize is None or lru.weight <= lru.maxsize
        assert lru.evictions == model.evictions
        assert lru.hits == self.hits


TestLru = pytest.mark.slow(Machine.TestCase)
TestLru.settings = settings(max_examples=60, stateful_step_count=40)


def goes_of(lru: Lru, entry: Entry, now: float, gone: list[Gone]) -> int:
    """Put *entry* in as a cache does, and return how many goes that took."""
    goes = 1
    while not lru.place(entry, now, gone):
        goes += 1
        lru.let_go()
        if lru.lacks_run():
            lru.arrange(in_order(lru.survey()))
    lru.let_go()
    return goes


def held(lru: Lru, key: Any, **options: Any) -> Measured:
    """Put a new entry in, and return it."""
    entry = measured(key, key, **{"expires": None, "weight": 1} | options)
    goes_of(lru, entry, 0.0, [])
    return entry


def test_the_key_that_the_dict_has_is_kept() -> None:
    """An equal key that comes later is let go of: entry and dict share one object."""
    lru = Lru(2, 0.0)
    held(lru, 1)
    again = held(lru, 1.0)

    assert type(again.key) is int
    assert lru.entries[1] is again


def test_many_are_evicted_in_several_goes() -> None:
    """A heavy newcomer evicts 256 at a time, so that the lock is let go in between."""
    lru, gone = Lru(1000, 0.0), []
    for key in range(1000):
        held(lru, key)
    heavy = measured("heavy", 0, expires=None, weight=600)
    goes = goes_of(lru, heavy, 0.0, gone)

    assert [entry.key for entry, _ in gone] == list(range(600))
    assert goes == 4, "one found no run, three made room"
    assert lru.weight == 1000


def test_who_was_used_after_the_survey_is_passed_over() -> None:
    """A use while others sort counts: that entry is not the one that goes."""
    lru, gone = Lru(40, 0.0), []
    entries = [held(lru, key) for key in range(40)]
    survey = lru.survey()
    entries[0].tick = lru.tick()
    entries[1].tick = lru.tick()
    lru.arrange(in_order(survey))

    assert lru.place(Entry("new", 0), 0.0, gone)
    assert [entry.key for entry, _ in gone] == [2]


def test_dates_of_what_is_gone_are_sorted_out() -> None:
    """Replacing a key for ever makes the dates overgrown, and tidying mends that."""
    lru = Lru(4, 0.0)
    for number in range(67):
        held(lru, "key", expires=100.0 + number)
        assert lru.lacks_tidiness() == (number >= 66)
    survey, since = lru.tidying()
    lru.tidied(by_date(survey), since)

    assert len(lru._dates.heap) == 1
    gone: list[Gone] = []
    assert lru.place(Entry("other", 0), 1000.0, gone)
    assert [(entry.key, cause) for entry, cause in gone] == [("key", "expired")]


def test_mending_makes_good_what_was_interrupted() -> None:
    """The weight is what the entries weigh, whatever it was taken for."""
    lru = Lru(10, 0.0)
    held(lru, "a", weight=3)
    held(lru, "b", weight=4)
    lru.weight = 1
    lru.mend()

    assert lru.weight == 7


@pytest.mark.parametrize("replaced", [True, False])
def test_who_comes_before_it_is_made_good_mends_it(*, replaced: bool) -> None:
    """An entry finds its place, though nothing is left that could go for it."""
    lru, gone = Lru(2, 0.0), []
    if replaced:
        held(lru, "a")
    lru.weight = 2  # as one leaves it who is interrupted while something goes

    assert goes_of(lru, measured("a", 0, expires=None, weight=2), 0.0, gone) == 1
    assert lru.weight == 2
    assert [(entry.key, why) for entry, why in gone] == [("a", "replaced")] * replaced


def test_dates_that_hold_no_longer_are_passed_over_in_several_goes() -> None:
    """However many were replaced, the lock is let go in between."""
    lru, gone = Lru(1000, 0.0), []
    for expires in (10.0, 100.0):
        for key in range(1000):
            held(lru, key, expires=expires)

    assert goes_of(lru, Entry("new", 0), 50.0, gone) > 1
    assert [(entry.key, cause) for entry, cause in gone] == [(0, "size")]


def test_a_run_that_was_used_since_is_passed_over_in_several_goes() -> None:
    """However long it is; then what was least recently used goes."""
    lru, gone = Lru(600, 0.0), []
    entries = [held(lru, key) for key in range(600)]
    lru.arrange(in_order(lru.survey()))
    for entry in reversed(entries):
        entry.tick = lru.tick()

    assert goes_of(lru, Entry("new", 0), 0.0, gone) > 3
    assert [(entry.key, cause) for entry, cause in gone] == [(599, "size")]


class Ending:
    """A key that tells when it ends."""

    def __init__(self, ended: list[bool]) -> None:
        self.ended = ended

    def __del__(self) -> None:
        self.ended.append(True)


def test_keys_of_a_run_that_is_replaced_are_let_go() -> None:
    """They end when the owner says so, even if two have sorted at once."""
    lru, ended = Lru(40, 0.0), []
    held(lru, key := Ending(ended))
    lru.arrange(in_order(lru.survey()))
    lru.remove(key, 0.0, [], cause="removed")
    del key
    lru.arrange(in_order(lru.survey()))
    spent = lru.let_go()

    assert ended == []
    del spent
    assert ended == [True]


def test_keys_of_dates_that_are_sorted_out_are_let_go() -> None:
    """They end when the owner says so."""
    lru, ended = Lru(40, 0.0), []
    held(lru, key := Ending(ended), expires=1.0)
    lru.remove(key, 0.0, [], cause="removed")
    del key
    survey, since = lru.tidying()
    lru.tidied(by_date(survey), since)
    spent = lru.let_go()

    assert ended == []
    del spent
    assert ended == [True]
