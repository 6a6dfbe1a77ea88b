"""Computations that need each other, in threads and tasks: who waits for itself."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, product
from math import inf
from typing import final

from concutil import Cache, RecursiveComputeError
from concutil._cache import asking, flights, lead, store
from concutil._core import waits
from concutil._runtime import on_threads, waiters

from .battery import Call, Subject, hold
from .cache_loop import Loop, Pause
from .cache_subjects import in_loops

_Interval = tuple[float, float]


@final
@dataclass(eq=False)
class _Spell:
    """From when to when a key is computed, or asked for.

    Attributes:
        inside: The computation that asks.
        blocks: Whether asking blocks its thread.
    """

    key: str
    thread: int
    began: int
    ended: float = inf
    inside: _Spell | None = None
    blocks: bool = False


_inside: contextvars.ContextVar[_Spell | None] = contextvars.ContextVar(
    "inside", default=None
)


class Circling(
    Subject,
    targets=(asking, flights, lead, store, waits, on_threads, waiters),
    around=in_loops,
    alphabet=("ab", "ba", "bc", "ca", "aa", "in_task", "in_its_loop"),
    core=("ab", "ba", "in_its_loop"),
):
    """A cache that keeps nothing, where each letter computes what needs the next."""

    def __init__(self) -> None:
        flights._threads.blocked = {}  # of a schedule that was given up
        self.cache: Cache[str, str] = Cache(0)
        self.stamps = count()
        self.works: list[_Spell] = []
        self.asks: list[_Spell] = []
        self.alarms: dict[int, RecursiveComputeError] = {}

    def ab(self) -> None:
        self.chain("ab")

    def ba(self) -> None:
        self.chain("ba")

    def bc(self) -> None:
        self.chain("bc")

    def ca(self) -> None:
        self.chain("ca")

    def aa(self) -> None:
        self.chain("aa")

    def in_task(self) -> None:
        """The same in two tasks that close a circle, or nearly."""
        loop = Loop()
        loop.add(self.achain("ab"))
        loop.add(self.achain("bc"))
        loop.run()

    def in_its_loop(self) -> None:
        """Block the thread in which something is computed."""
        loop = Loop()

        async def block() -> None:
            self.chain("b")

        loop.add(self.achain("a"))
        loop.add(block())
        loop.run()

    def chain(self, keys: str) -> None:
        """Compute the first of *keys*, which needs the rest."""
        try:
            contextvars.copy_context().run(self.ask, keys)
        except RecursiveComputeError as alarm:
            self.alarms[id(alarm)] = alarm

    def ask(self, keys: str) -> str:
        def compute() -> str:
            with self.working(keys[0]):
                hold()
                return keys[0] + (self.ask(keys[1:]) if keys[1:] else "")

        with self.asking(keys[0], blocks=True):
            return self.cache.get_or_compute(keys[0], compute)

    async def achain(self, keys: str) -> None:
        try:
            await self.aask(keys)
        except RecursiveComputeError as alarm:
            self.alarms[id(alarm)] = alarm

    async def aask(self, keys: str) -> str:
        async def compute() -> str:
            with self.working(keys[0]):
                await Pause()
                hold()
                return keys[0] + (await self.aask(keys[1:]) if keys[1:] else "")

        with self.asking(keys[0], blocks=False):
            return await self.cache.aget_or_compute(keys[0], compute)

    @contextmanager
    def working(self, key: str) -> Iterator[None]:
        work = _Spell(key, threading.get_ident(), next(self.stamps))
        self.works.append(work)
        before = _inside.get()
        _inside.set(work)
        try:
            yield
        finally:
            _inside.set(before)
            work.ended = next(self.stamps)

    @contextmanager
    def asking(self, key: str, *, blocks: bool) -> Iterator[None]:
        spell = _Spell(key, threading.get_ident(), next(self.stamps))
        spell.inside, spell.blocks = _inside.get(), blocks
        self.asks.append(spell)
        try:
            yield
        finally:
            spell.ended = next(self.stamps)

    def settled(self) -> None:
        assert not flights._threads.blocked, "somebody seems to wait"
        for key in "abc":
            contextvars.Context().run(self.cache.get_or_compute, key, lambda: "")
        assert not self.cache._store.flights
        assert not self.cache._store.undone

    def check(self, calls: Sequence[Call]) -> None:
        """Nobody was told of a circle that there was not."""
        for alarm in self.alarms.values():
            keys = [str(key) for key in alarm.keys]
            pairs = zip(keys, [*keys[1:], keys[0]], strict=True)
            spells = [list(self.needs(*pair)) for pair in pairs]
            assert any(
                max(begin for begin, _ in it) < min(end for _, end in it)
                for it in product(*spells)
            ), f"a false alarm: {alarm}"

    def needs(self, one: str, two: str) -> Iterator[_Interval]:
        """Yield from when to when a computation of *one* could not go on without *two*.

        It asks for it, or its thread is blocked by somebody who does.
        """
        for ask in self.asks:
            if ask.key != two:
                continue
            if ask.inside is not None and ask.inside.key == one:
                yield ask.began, ask.ended
            for work in self.works if ask.blocks else ():
                if work.key == one and work.thread == ask.thread:
                    yield max(ask.began, work.began), min(ask.ended, work.ended)


class Walking(
    Circling,
    targets=(flights._Threads.onward, waits.way),
    core=("ab", "bc", "ca", "ba"),
):
    """The same, with all switches where somebody looks for the way round."""
