"""Caches as the batteries see them: what is done with them, and what must hold."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final
from unittest.mock import patch

from concutil import Cache
from concutil._cache import asking, cache, flights, lead, store, terms
from concutil._core import dates, lru, waits
from concutil._runtime import events, on_threads, waiters
from concutil.testing import ManualClock

from .battery import Call, Subject, hold
from .cache_journal import Done, Failure, Journal, Value
from .cache_loop import Loop, Pause, loops_are_these

TTL_S: Final = 1.0
STALE_S: Final = 1.0


class Stop(KeyboardInterrupt):
    """Ctrl-C that comes while something is computed."""


@contextmanager
def unlogged() -> Iterator[None]:
    """Let nobody write a log in the middle of a schedule."""
    with patch.object(events, "_hooks", {}):
        yield


@contextmanager
def crowded() -> Iterator[None]:
    """Let a cache of three entries do what one of thousands does."""
    with patch.object(lru, "_FEW", 1), patch.object(lru, "_AT_ONCE", 1):
        yield


@contextmanager
def in_loops() -> Iterator[None]:
    """Let caches be used in small loops."""
    with unlogged(), loops_are_these():
        yield


class Cached(
    Subject,
    targets=(
        *(asking, cache, flights, lead, store, terms),
        *(lru, waits, on_threads, waiters),
    ),
    around=unlogged,
    alphabet=("compute", "fail", "stop", "get", "set", "invalidate", "clear"),
    core=("compute", "stop", "invalidate"),
):
    """A cache without a limit, and what was done with it."""

    options: ClassVar[dict[str, Any]] = {"maxsize": None}
    keeps = True  # until somebody removes it

    def __init__(self) -> None:
        flights._threads.blocked = {}  # of a schedule that was given up
        self.journal = Journal(lambda: 0.0)
        self.gone: list[object] = []
        self.cache: Cache[str, Value] = Cache(on_evict=self.note, **self.make_options())

    def make_options(self) -> dict[str, Any]:
        return self.options

    def note(self, key: str, value: Value, cause: str) -> None:
        self.gone.append(value)

    def compute(self) -> None:
        self.ask("a", Value)

    def other(self) -> None:
        self.ask("b", Value)

    def fail(self) -> None:
        def fail(_: object) -> Value:
            raise Failure

        self.ask("a", fail)

    def stop(self) -> None:
        def stop(_: object) -> Value:
            raise Stop

        self.ask("a", stop)

    def get(self) -> None:
        call = self.journal.call("get", "a")
        self.journal.end(call, self.cache.get("a"))

    def set(self) -> None:
        self.put("a")

    def put(self, key: str) -> None:
        call = self.journal.call("set", key)
        value = Value(call)
        self.cache.set(key, value)
        self.journal.end(call, value)

    def invalidate(self) -> None:
        call = self.journal.call("invalidate", "a")
        self.journal.end(call, self.cache.invalidate("a"))

    def clear(self) -> None:
        call = self.journal.call("clear", "*")
        self.cache.clear()
        self.journal.end(call)

    def glance(self) -> None:
        """See that there is no instant at which it holds more than it may."""
        stats = self.cache.stats()
        if stats.maxsize is not None:
            assert stats.size <= stats.maxsize
            assert len(self.cache) <= stats.maxsize

    def ask(self, key: str, how: Callable[[Any], Value]) -> None:
        """Get or compute *key*, in a context of its own: threads are used again."""
        call = self.journal.call("compute", key)
        result: object
        try:
            result = contextvars.Context().run(
                self.cache.get_or_compute, key, lambda: self.worked(call, how)
            )
        except (Failure, Stop) as error:
            result = error
        self.journal.end(call, result)

    def worked(self, call: Done, how: Callable[[Any], Value]) -> Value:
        """Compute, and note how that went."""
        work = self.journal.work(call)
        try:
            hold()
            value = how(work)
            work.outcome, work.result = "value", value
        except Failure as error:
            work.outcome, work.result = "error", error
            raise
        else:
            return value
        finally:
            self.journal.worked(work)

    def settled(self) -> None:
        keeper = self.cache._store
        self.held, self.told = keeper.entries(), self.gone[:]
        assert not flights._threads.blocked, "somebody seems to wait"
        weight, most = keeper.lru.weight, keeper.lru.maxsize
        assert weight == sum(it.weight for it in self.held)
        assert most is None or weight <= most
        assert all(keeper.lru.entries[it.key] is it for it in self.held)
        running = [it for it in keeper.flights.values() if it.state == "running"]
        assert not running, "a computation that nobody leads"
        for key in ("a", "b"):  # that could hang, if anything can
            contextvars.Context().run(self.cache.get_or_compute, key, lambda: None)
        assert not keeper.flights
        assert not keeper.undone

    def check(self, calls: Sequence[Call]) -> None:
        journal = self.journal
        journal.check_one_at_a_time()
        journal.check_results()
        if self.keeps:
            journal.check_kept()
        if self.cache.stats().maxsize != 0:
            journal.check_told([it.value for it in self.held], self.told)


class Unkept(
    Cached, alphabet=("compute", "fail", "stop", "invalidate"), core=("compute", "stop")
):
    """One that holds nothing, but computes no key twice at once."""

    options: ClassVar[dict[str, Any]] = {"maxsize": 0}
    keeps = False


class Evicting(
    Cached,
    alphabet=("compute", "other", "get", "set", "invalidate", "glance"),
    core=("compute", "other", "glance"),
):
    """One that has room for one of two."""

    options: ClassVar[dict[str, Any]] = {"maxsize": 1}
    keeps = False


class Crowded(
    Cached,
    around=crowded,
    alphabet=("compute", "other", "touch", "get", "set", "invalidate", "glance"),
    core=("compute", "set", "touch"),
):
    """One that sorts what it holds to find out what has to go."""

    options: ClassVar[dict[str, Any]] = {"maxsize": 3}
    keeps = False

    def __init__(self) -> None:
        super().__init__()
        for key in ("x", "y", "z"):
            self.put(key)

    def touch(self) -> None:
        """Use two that would go next."""
        self.cache.get("x")
        self.cache.get("y")


class Heavy(Crowded, core=("compute", "other", "set")):
    """One in which several have to go for one that comes."""

    options: ClassVar[dict[str, Any]] = {
        "maxsize": 3,
        "weigh": lambda key, _: 2 if key in {"a", "b"} else 1,
    }


class Expiring(
    Cached,
    targets=(cache, flights, lead, store, terms, lru, dates, waits),
    alphabet=("compute", "fail", "stop", "get", "set", "invalidate", "age"),
    core=("compute", "fail", "age"),
):
    """One whose values expire, and may stand in for newer ones for a while."""

    options: ClassVar[dict[str, Any]] = {
        "maxsize": 2,
        "ttl": TTL_S,
        "stale": STALE_S,
    }
    keeps = False

    def __init__(self) -> None:
        super().__init__()
        self.put("a")
        self.age()  # it has just become stale

    def make_options(self) -> dict[str, Any]:
        clock = ManualClock()
        self.advance, self.journal.now = clock.advance, clock.now
        return {**self.options, "clock": clock}

    def age(self) -> None:
        self.advance(TTL_S)

    def check(self, calls: Sequence[Call]) -> None:
        super().check(calls)
        self.journal.check_ages(TTL_S, STALE_S)

    def settled(self) -> None:
        super().settled()
        known = {(it.key, it.when) for it in self.cache._store.lru._dates.heap}
        for entry in self.held:
            assert entry.expires is not None
            assert (entry.key, entry.expires) in known or (
                self.journal.now() >= entry.expires + STALE_S
            ), "it expires, and nobody would notice"


class Looped(
    Cached,
    around=in_loops,
    alphabet=("pair", "cut", "compute", "stop", "fail", "invalidate"),
    core=("pair", "cut", "stop"),
):
    """One that is used by tasks of several loops, and by threads."""

    def pair(self) -> None:
        """Ask twice at the same time in one loop."""
        loop = Loop()
        loop.add(self.aask())
        loop.add(self.aask())
        loop.run()

    def cut(self) -> None:
        """Ask twice in one loop; cancel the first, and ask again."""
        loop = Loop()
        first = loop.add(self.aask())
        loop.add(self.aask())

        async def cancel() -> None:
            await Pause()
            first.cancel()
            await self.aask()

        loop.add(cancel())
        loop.run()

    async def aask(self) -> None:
        call = self.journal.call("compute", "a")

        async def compute() -> Value:
            work = self.journal.work(call)
            try:
                await Pause()
                hold()
                value = Value(work)
                work.outcome, work.result = "value", value
                return value
            finally:
                self.journal.worked(work)

        result: object
        try:
            result = await self.cache.aget_or_compute("a", compute)
        except Failure as error:
            result = error
        self.journal.end(call, result)


SUBJECTS: Final[tuple[type[Cached], ...]] = (
    *(Cached, Unkept, Evicting, Crowded, Heavy, Expiring, Looped),
)
