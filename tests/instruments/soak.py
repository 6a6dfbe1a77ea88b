"""Hours of traffic through one limiter, and whether it kept its word in each window."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from math import inf
from random import Random
from time import perf_counter
from typing import Any, Final, Literal, Protocol, final

import anyio

from admission_model import excess
from concutil import Rate

from .virtual_threads import VirtualThreads
from .virtual_time import run

World = Literal["asyncio", "trio", "threads"]
WORLDS: Final[tuple[World, ...]] = ("asyncio", "trio", "threads")

_HOUR_S: Final = 3600.0
_IDLE_SPELL_S: Final = 600.0
# A sum of as many floats as a soak adds up is wrong by less than this.
_ROUNDING: Final = 1e-6


@dataclass
class Soaked:
    """What a soak did, and what it saw.

    Attributes:
        starts: When calls started, in virtual seconds.
        inside: How many are inside now.
        most_inside: How many were inside at once at most.
        excess: By how much the fullest window exceeds the bound.
        room: How many calls the slack adds to the bound, which only a limiter lets
            out whose timers are late.
        took: The real seconds it took.
    """

    name: str
    world: World
    hours: float
    room: float
    starts: list[float] = field(default_factory=list, repr=False)
    inside: int = 0
    most_inside: int = 0
    excess: float = -inf
    took: float = 0.0

    @property
    def calls(self) -> int:
        """How many calls started."""
        return len(self.starts)

    @property
    def kept_its_word(self) -> bool:
        """Whether no window held more than it may."""
        return self.excess <= _ROUNDING

    @property
    def came_near(self) -> bool:
        """Whether one call more in some window would have been too many."""
        return self.excess > -1 - self.room

    def __str__(self) -> str:
        return (
            f"soak of {self.name} on {self.world}: {self.hours:g} virtual hours,"
            f" {self.calls:,} calls in {self.took:.1f} s; the fullest window is"
            f" {self.excess:+.3g} calls from the bound"
        )


@dataclass(frozen=True)
class Soak:
    """A limiter, its promise, and the traffic that tries to make it break that.

    Attributes:
        make: Returns the limiter, inside the world that it will be used in.
        rate: The rate that it promises, with its burst.
        slack: The seconds of lateness that it makes up for.
        hold: Seconds that each call stays inside.
        clients: How many call it, each as fast as it can but for idle spells.
        idle: How many of the calls an idle spell follows, in which a burst builds up.
        lateness: Seconds by which timers are late; not on trio.
    """

    name: str
    make: Callable[[], Any]
    rate: Rate
    slack: float = 0.0
    hold: float = 0.0
    clients: int = 4
    idle: float = 0.01
    lateness: float = 0.0

    def on(self, world: World, *, hours: float) -> Soaked:
        """Run the traffic for *hours* of virtual time."""
        room = self.slack * self.rate.limit / self.rate.per
        soaked = Soaked(self.name, world, hours, room)
        began = perf_counter()
        if world == "threads":
            self._in_threads(soaked)
        else:
            run(world, partial(self._in_tasks, soaked), lateness=self.lateness)
        soaked.took = perf_counter() - began
        grants = ((start, 1.0) for start in soaked.starts)
        soaked.excess = excess(grants, self.rate, self.slack)
        return soaked

    def _in_threads(self, soaked: Soaked) -> None:
        with VirtualThreads(lateness=self.lateness) as threads:
            face = _Blocking(threads, self.make())
            threads.run(
                *(
                    partial(_run, self._client, face, soaked, Random(seed))
                    for seed in range(self.clients)
                )
            )

    async def _in_tasks(self, soaked: Soaked) -> None:
        face = _Awaiting(self.make())
        async with anyio.create_task_group() as tasks:
            for seed in range(self.clients):
                tasks.start_soon(self._client, face, soaked, Random(seed))

    async def _client(self, face: _Face, soaked: Soaked, random: Random) -> None:
        while face.now() < soaked.hours * _HOUR_S:
            await face.enter()
            soaked.starts.append(face.now())
            soaked.inside += 1
            soaked.most_inside = max(soaked.most_inside, soaked.inside)
            if self.hold:
                await face.sleep(self.hold)
            soaked.inside -= 1
            await face.leave()
            if random.random() < self.idle:
                await face.sleep(random.expovariate(1 / _IDLE_SPELL_S))


class _Face(Protocol):
    """The limiter and the clock as a client has them; in threads nothing suspends."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float, /) -> None: ...

    async def enter(self) -> None: ...

    async def leave(self) -> None: ...


@final
class _Blocking:
    def __init__(self, threads: VirtualThreads, limiter: Any) -> None:
        self.now = threads.monotonic
        self._sleep = threads.sleep
        self._limiter = limiter

    async def sleep(self, seconds: float, /) -> None:
        self._sleep(seconds)

    async def enter(self) -> None:
        self._limiter.__enter__()

    async def leave(self) -> None:
        self._limiter.__exit__(None, None, None)


@final
class _Awaiting:
    def __init__(self, limiter: Any) -> None:
        self.now = anyio.current_time
        self.sleep = anyio.sleep
        self._limiter = limiter

    async def enter(self) -> None:
        await self._limiter.__aenter__()

    async def leave(self) -> None:
        await self._limiter.__aexit__(None, None, None)


def _run(text: Callable[..., Coroutine[Any, Any, None]], *args: object) -> None:
    try:
        text(*args).send(None)
    except StopIteration:
        return
    raise RuntimeError("a text over blocking calls was suspended")
