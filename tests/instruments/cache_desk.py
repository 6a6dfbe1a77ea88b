"""The cache as histories see it."""

from __future__ import annotations

import contextvars
import random
import time
from collections.abc import Callable
from typing import Final

from concutil import Cache
from concutil._cache import asking, cache, flights, lead, store
from concutil._core import lru
from concutil._runtime import on_threads, waiters

from .cache_model import CacheModel
from .recorder import Op, Plan, Trial

CLIENTS: Final = 3
_NAMES: Final = ("compute", "fail", "get", "set", "invalidate", "clear", "compute")


class _Failure(Exception):  # noqa: N818  # says what happened
    """What a computation fails with: its first argument is the result."""


class _Stop(KeyboardInterrupt):
    """Ctrl-C."""


class Desk:
    """A cache without a limit."""

    pause_s = 1.0

    def __init__(self) -> None:
        flights._threads.blocked = {}  # of a schedule that was given up
        self.cache: Cache[str, object] = Cache(None)

    def get(self, who: int, key: str) -> object:
        return self.cache.get(key)

    def set(self, who: int, key: str, value: object) -> None:
        self.cache[key] = value

    def invalidate(self, who: int, key: str) -> int:
        return self.cache.invalidate(key)

    def clear(self, who: int) -> None:
        self.cache.clear()

    def compute(self, who: int, key: str, value: object) -> object:
        return self._ask(key, lambda: value)

    def fail(self, who: int, key: str, value: object) -> object:
        def fail() -> object:
            raise _Failure(value)

        return self._ask(key, fail)

    def stop(self, who: int, key: str, value: object) -> object:
        def stop() -> object:
            raise _Stop

        return self._ask(key, stop)

    def _ask(self, key: str, how: Callable[[], object]) -> object:
        def slowly() -> object:
            time.sleep(self.pause_s)
            return how()

        ask = self.cache.get_or_compute
        try:
            return contextvars.Context().run(ask, key, slowly)
        except _Failure as error:
            return error.args[0]
        except _Stop:
            return "stopped"


class RealDesk(Desk):
    """The same among real threads."""

    pause_s = 0.0


def plan(rng: random.Random) -> Plan:
    """Draw a program for two clients, or three, in which one at most is interrupted."""
    clients = rng.choice((2, 3, 3))
    length = 3 if clients == 2 else 2
    keys = rng.choice(("a", "a", "ab"))
    threads = [
        [_op(rng, who, n, keys) for n in range(length)] for who in range(clients)
    ]
    if rng.random() < 0.3:
        who = rng.randrange(clients)
        threads[who][0] = ("stop", who, rng.choice(keys), "none")
    before: list[Op] = [("set", 0, "a", "first")] if rng.random() < 0.3 else []
    return Plan(before, threads, [("get", 0, key) for key in keys])


def _op(rng: random.Random, who: int, n: int, keys: str) -> Op:
    name, key = rng.choice(_NAMES), rng.choice(keys)
    if name == "clear":
        return name, who
    if name in {"get", "invalidate"}:
        return name, who, key
    return name, who, key, f"{name} {who}.{n}"


_TARGETS: Final = (
    *(asking, cache, flights, lead, store, lru),
    *(on_threads, waiters),
)
SCHEDULES: Final = Trial("Cache", Desk, CacheModel(), plan, _TARGETS)
THREADS: Final = Trial("Cache", RealDesk, CacheModel(), plan, _TARGETS)
