"""Ctrl-C in the midst of a change: what is held is counted right, and all goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from concutil import Cache
from concutil._cache import lead, sorting
from concutil._core import lru
from concutil._core.lru import Lru
from concutil.testing import ManualClock


class Interrupting:
    """The weight of all entries, of which a change can end with Ctrl-C."""

    def __init__(self, slot: Any) -> None:
        self.slot = slot
        self.changes_left = 0  # until then; 0 for never

    def __get__(self, owner: object, kind: type) -> int:
        weight: int = self.slot.__get__(owner, kind)
        return weight

    def __set__(self, owner: object, weight: int) -> None:
        if self.changes_left:
            self.changes_left -= 1
            if not self.changes_left:
                raise KeyboardInterrupt
        self.slot.__set__(owner, weight)


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch) -> Iterator[Interrupting]:
    """Return what interrupts a change of a weight."""
    made = Interrupting(vars(Lru)["weight"])
    monkeypatch.setattr(Lru, "weight", made)
    return made


class Filled:
    """A cache of 10 that holds two of 3 and two of 2, one of which expires soon."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.gone: list[tuple[str, int, str]] = []
        self.sizes: list[bool] = []  # whether they were right as it told
        self.cache: Cache[str, int] = Cache(
            10, weigh=lambda _, value: value, on_evict=self.tell, clock=self.clock
        )
        self.cache["a"], self.cache["b"], self.cache["c"] = 3, 3, 2
        self.cache.set("d", 2, ttl=1)

    def tell(self, *what: Any) -> None:
        """Note what went."""
        self.gone.append(what)
        self.sizes.append(self.is_right())

    def is_right(self) -> bool:
        """Whether the size is that of what is held."""
        held = sum(it.value for it in self.cache._entries.values())
        return self.cache.stats().size == held

    def goes_on(self) -> None:
        """See that it holds as much as it may, and that what expires goes."""
        for number in range(20):
            self.cache.set(str(number), 1, ttl=10)
        assert self.cache.snapshot() == {str(number): 1 for number in range(10, 20)}
        self.clock.advance(10)
        for number in range(10):
            self.cache[str(number)] = 1
        assert len(self.cache) == self.cache.stats().size == 10
        assert self.cache._store.flights == {}
        assert self.cache.get_or_compute("new", lambda: 1) == 1


CHANGES: dict[str, Callable[[Cache[str, int]], object]] = {
    "replaced": lambda cache: cache.set("a", 1),
    "evicted": lambda cache: cache.set("new", 6),
    "computed": lambda cache: cache.get_or_compute("new", lambda: 6),
    "too heavy": lambda cache: cache.set("a", 11),
    "invalidated": lambda cache: cache.invalidate("a", "b"),
    "deleted": lambda cache: cache.__delitem__("a"),
    "cleared": lambda cache: cache.clear(),
}


@pytest.mark.parametrize("expired", [False, True])
@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("changes", range(1, 4))
def test_ctrl_c_in_a_change(
    changes: int,
    what: str,
    expired: bool,  # noqa: FBT001 - a parameter
    change: Interrupting,
) -> None:
    """It is the caller's, and whatever went before is told of when all is right."""
    filled = Filled()
    if expired:
        filled.clock.advance(1)
    change.changes_left = changes
    try:
        CHANGES[what](filled.cache)
    except KeyboardInterrupt:
        assert change.changes_left == 0
        assert len(filled.gone) >= changes - 1
    else:
        assert changes > 1

    change.changes_left = 0
    assert filled.is_right()
    assert all(filled.sizes)
    held = {entry.key: entry.value for entry in filled.cache._entries.values()}
    assert not any(held.get(key) == value for key, value, _ in filled.gone)
    filled.goes_on()


@pytest.mark.parametrize("what", CHANGES)
def test_nobody_changes_what_is_made_good(
    what: str, change: Interrupting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is counted anew under the lock."""
    filled, locked = Filled(), []
    real = Lru.mend

    def mend(self: Lru) -> None:
        locked.append(filled.cache._store._is_mine())
        real(self)

    monkeypatch.setattr(Lru, "mend", mend)
    change.changes_left = 1
    with pytest.raises(KeyboardInterrupt):
        CHANGES[what](filled.cache)

    assert locked == [True]


def test_ctrl_c_in_a_clear_of_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has not let go of yet does no harm."""
    filled, real = Filled(), lru.Dates

    def interrupted() -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(lru, "Dates", interrupted)
    with pytest.raises(KeyboardInterrupt):
        filled.cache.clear()
    monkeypatch.setattr(lru, "Dates", real)

    assert filled.is_right()
    filled.goes_on()


def test_ctrl_c_as_a_computation_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one computes, even while somebody looks at the traceback of that."""
    cache: Cache[str, int] = Cache()

    class Interrupted:
        def set(self, step: object) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(lead, "innermost", Interrupted())
    with pytest.raises(KeyboardInterrupt) as caught:
        cache.get_or_compute("a", lambda: 1)
    monkeypatch.undo()

    assert caught.value.__traceback__ is not None
    assert cache._store.flights == {}
    assert cache.get_or_compute("a", lambda: 2) == 2


@pytest.mark.parametrize("name", ["in_order", "by_date"])
@pytest.mark.parametrize("method", ["survey", "tidying", "arrange", "tidied", "let_go"])
def test_ctrl_c_in_a_sort(
    name: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it, in it or after it: who comes next sorts anew."""
    cache: Cache[int, int] = Cache(40, ttl=10, clock=(clock := ManualClock()))
    for number in range(40):
        cache[number] = number
    real, interrupts = getattr(Lru, method), [1]

    def interrupted(self: Lru, *args: Any) -> Any:
        if interrupts and running:
            interrupts.pop()
            raise KeyboardInterrupt
        return real(self, *args)

    running: list[int] = []
    sort = getattr(sorting, name)
    monkeypatch.setattr(Lru, method, interrupted)
    monkeypatch.setattr(sorting, name, lambda it: running.append(1) or sort(it))
    for number in range(300):
        try:
            cache[number % 50] = number
        except KeyboardInterrupt:
            cache[number % 50] = number
    assert not interrupts
    assert len(cache) == cache.stats().size == 40
    assert set(cache.snapshot()) == {number % 50 for number in range(260, 300)}
    assert len(cache._store.lru._dates.heap) <= 2 * 40 + 64 + 1
    clock.advance(10)
    for number in range(100, 140):
        cache[number] = number
    assert set(cache._entries) == set(range(100, 140))
