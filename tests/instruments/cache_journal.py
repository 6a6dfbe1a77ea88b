"""What threads did with a cache and when, and what must hold of that in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, count
from math import inf
from typing import Final, Literal, final

_REMOVERS: Final = frozenset({"invalidate", "clear"})
_DISOWNERS: Final = frozenset({"set", *_REMOVERS})


@final
@dataclass(eq=False)
class Done:
    """One call, from when to when; it never ends if it was interrupted.

    Attributes:
        result: What it returned or raised.
        first: What the clock showed when it began.
        last: What it showed at the end.
    """

    name: str
    key: str
    began: int
    ended: float = inf
    result: object = None
    first: float = 0.0
    last: float = inf


@final
@dataclass(eq=False)
class Work:
    """One computation: the call that led it, and when its function ran.

    Attributes:
        last: What the clock showed when it ended.
    """

    call: Done
    began: int
    ended: float = inf
    outcome: Literal["cut", "value", "error"] = "cut"
    result: object = None
    last: float = inf


@final
class Value:
    """A value like no other, which knows where it comes from."""

    def __init__(self, source: Done | Work) -> None:
        self.source = source

    @property
    def key(self) -> str:
        return (
            self.source.call.key if isinstance(self.source, Work) else self.source.key
        )

    @property
    def call(self) -> Done:
        return self.source.call if isinstance(self.source, Work) else self.source

    def __repr__(self) -> str:
        return f"the value of {self.source}"


class Failure(Exception):  # noqa: N818  # says what happened
    """What a computation fails with."""


@final
@dataclass
class Journal:
    """All calls and computations; a stamp tells which was first."""

    now: Callable[[], float]
    calls: list[Done] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    _stamps: Iterator[int] = field(default_factory=count)

    def stamp(self) -> int:
        return next(self._stamps)

    def call(self, name: str, key: str) -> Done:
        """Note that a call begins."""
        done = Done(name, key, self.stamp(), first=self.now())
        self.calls.append(done)
        return done

    def end(self, call: Done, result: object = None) -> None:
        """Note that it has ended; a stamp too late only allows for more."""
        call.result = result
        call.last = self.now()
        call.ended = self.stamp()

    def work(self, call: Done) -> Work:
        """Note that a computation begins."""
        work = Work(call, self.stamp())
        self.works.append(work)
        return work

    def worked(self, work: Work) -> None:
        """Note that it has ended."""
        work.last = self.now()
        work.ended = self.stamp()

    def check_one_at_a_time(self) -> None:
        """No two computations run whose values may both still be stored."""
        for one, two in self._pairs():
            assert one.ended < two.began or self._between(one, two, _DISOWNERS), (
                f"computed twice at once: {one}, {two}"
            )

    def check_kept(self) -> None:
        """What was computed or set is there until somebody removes it."""
        for one, two in self._pairs():
            kept = one.outcome == "value" and one.call.ended < inf
            assert not kept or self._between(one, two, _REMOVERS), (
                f"computed again: {one}, {two}"
            )
        for get in self._ended("get"):
            if get.result is None:
                self._check_missed(get)

    def _check_missed(self, get: Done) -> None:
        for put in self._ended("set", "compute"):
            if put.key == get.key and put.ended < get.began:
                value = put.name == "set" or isinstance(put.result, Value)
                since = put.began
                if isinstance(put.result, Value):  # it may have been there for long
                    since = min(since, put.result.call.began)
                assert not value or self._some(_REMOVERS, get.key, since, get.ended), (
                    f"not found: {put} by {get}"
                )

    def check_results(self) -> None:
        """Each result is of its key, of its time and not replaced or removed before."""
        for call in self._ended("get", "compute"):
            if isinstance(call.result, Value):
                self._check_value(call, call.result)
            elif isinstance(call.result, Failure):
                source = next(it for it in self.works if it.result is call.result)
                assert source.call.key == call.key, (call, source)
                assert call.began < source.call.ended, f"an old error: {call}"

    def _check_value(self, call: Done, value: Value) -> None:
        source = value.source
        assert value.key == call.key, (call, source)
        assert source.began < call.ended, (call, source)
        # A computation that began before a removal is too old for who came after it.
        latest = source.began if isinstance(source, Work) else source.ended
        for other in self.calls:
            if other.name in _DISOWNERS and other.key in {call.key, "*"}:
                assert not (latest < other.began and other.ended < call.began), (
                    f"an old value: {call} after {other} of {source}"
                )

    def check_ages(self, ttl: float, stale: float) -> None:
        """No value is served that had expired when it was asked for."""
        for call in self._ended("get", "compute"):
            if isinstance(call.result, Value) and call.result.call is not call:
                most = ttl if call.name == "get" else ttl + stale
                age = self._asked(call) - call.result.call.last
                assert age < most, f"{age} s old: {call}"

    def _asked(self, call: Done) -> float:
        """Return what the clock showed when *call* was made, or what it waited for.

        Who fails to refresh a value reads the clock before anybody is told, and the
        old one that stands in is as of then.
        """
        failed = [
            it.last
            for it in self.works
            if it.outcome == "error"
            and it.call.key == call.key
            and it.began < call.ended
            and it.call.ended > call.began
        ]
        return min([call.first, *failed])

    def check_told(self, held: Sequence[object], gone: Sequence[object]) -> None:
        """Of each value it is told once that it has gone, unless it is still held."""
        assert len({id(it) for it in gone}) == len(gone), "told twice"
        assert not {id(it) for it in gone} & {id(it) for it in held}, "told too early"
        known = {id(it) for it in (*held, *gone)}
        for call in self._ended("set"):
            assert id(call.result) in known, f"nobody was told of {call}"
        for work in self.works:
            if work.outcome == "value" and work.call.ended < inf:
                assert id(work.result) in known or self._some(
                    _DISOWNERS, work.call.key, work.call.began, work.call.ended
                ), f"nobody was told of {work}"

    def _ended(self, *names: str) -> list[Done]:
        return [it for it in self.calls if it.name in names and it.ended < inf]

    def _pairs(self) -> Iterator[tuple[Work, Work]]:
        for one, two in combinations(self.works, 2):  # in the order of their beginning
            if one.call.key == two.call.key:
                yield one, two

    def _between(self, one: Work, two: Work, names: frozenset[str]) -> bool:
        """Whether a call may have taken the right to be stored from one of them.

        Either of them may have been the first to be led.
        """
        first = min(one.call.began, two.call.began)
        return self._some(names, one.call.key, first, two.began)

    def _some(
        self, names: frozenset[str], key: str, after: float, before: float
    ) -> bool:
        """Whether a call that may have come between these was made."""
        return any(
            it.name in names
            and it.key in {key, "*"}
            and it.began < before
            and it.ended > after
            for it in self.calls
        )
