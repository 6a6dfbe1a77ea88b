"""Sorting many entries: they are looked at under the lock, and sorted outside of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from concutil import Cache
from concutil._cache import sorting
from concutil._core.lru import Lru

SORTS: dict[str, tuple[Callable[..., None], list[str]]] = {
    "arrange": (
        sorting.arrange,
        ["lacks_run", "survey", "in_order", "arrange", "let_go"],
    ),
    "tidy": (
        sorting.tidy,
        ["lacks_tidiness", "tidying", "survey", "by_date", "tidied", "let_go"],
    ),
}
LONG = ("in_order", "by_date")


class Key:
    """A key that tells when it ends."""

    def __init__(self, ended: list[bool]) -> None:
        self.ended = ended

    def __del__(self) -> None:
        self.ended.append(True)


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], Cache[Any, int]]:
    """Return what makes a cache whose run and dates know a key that is gone."""

    def make(key: object) -> Cache[Any, int]:
        cache: Cache[Any, int] = Cache(40, ttl=10)
        cache[key] = -1
        for number in range(39):
            cache[number] = number
        sorting.arrange(cache._store.lru, cache._store._lock)
        cache.invalidate(key, *range(38))
        for _ in range(25):
            cache[38] = 38
        cache.invalidate(38)
        return cache

    monkeypatch.setattr(Lru, "lacks_run", lambda _: True)  # as if two were at it
    return make


@pytest.mark.parametrize("name", SORTS)
def test_who_sorts_has_no_lock(
    name: str,
    filled: Callable[[object], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever else it does is done under the lock, and in this order."""
    cache = filled("gone")
    seen: list[tuple[str, bool]] = []

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            seen.append((name, cache._store._is_mine()))
            return real(*args)

        return call

    sort, names = SORTS[name]
    for it in names:
        owner: Any = sorting if it in LONG else Lru
        monkeypatch.setattr(owner, it, watched(it, getattr(owner, it)))
    sort(cache._store.lru, cache._store._lock)

    assert seen == [(it, it not in LONG) for it in names]


def test_what_was_known_before_ends(filled: Callable[[object], Any]) -> None:
    """A key that nothing else has any more ends with the sort, and not later."""
    ended: list[bool] = []
    store = filled(Key(ended))._store
    assert ended == []
    for sort, _ in SORTS.values():
        sort(store.lru, store._lock)

    assert ended == [True]
    assert len(store.lru._run.keys) == len(store.lru._dates.heap) == 0
