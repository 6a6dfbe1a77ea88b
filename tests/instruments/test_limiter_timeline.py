"""In every world a limiter lets in who is next, as soon as that can be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from math import inf
from random import Random
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from concutil import Permit, RateLimiter, RateLimitExceeded

from .budgets import BUDGET
from .soak import WORLDS, World
from .timeline import Call, Fate, Model, Program, draw
from .virtual_threads import VirtualThreads
from .virtual_time import BACKENDS, Backend, run

Fates = dict[Call, Fate]
Make = Callable[[Call], Coroutine[Any, Any, None]]

everywhere = pytest.mark.parametrize("world", WORLDS)


def entry(limiter: RateLimiter, call: Call) -> RateLimiter | Permit:
    """Return what is entered: the limiter itself, unless the call has wishes."""
    if call.cost == 1 and call.patience is None:
        return limiter
    return limiter.permit(call.cost, timeout=call.patience)


def in_threads(program: Program) -> Fates:
    fates: Fates = {}

    def make(limiter: RateLimiter, call: Call) -> None:
        threads.sleep(call.arrive)
        try:
            with entry(limiter, call):
                fates[call] = Fate("let in", threads.now)
                threads.sleep(call.hold)
        except RateLimitExceeded:
            fates[call] = Fate("refused", threads.now)

    with VirtualThreads() as threads:
        limiter = program.limiter()
        threads.run(*(partial(make, limiter, call) for call in program.calls))
    return fates


async def in_tasks(program: Program) -> Fates:
    fates: Fates = {}
    limiter = program.limiter()

    async def make(call: Call) -> None:
        try:
            async with entry(limiter, call):
                fates[call] = Fate("let in", anyio.current_time())
                await anyio.sleep(call.hold)
        except RateLimitExceeded:
            fates[call] = Fate("refused", anyio.current_time())
        except BaseException:
            fates.setdefault(call, Fate("cancelled", anyio.current_time()))
            raise

    async with anyio.create_task_group() as tasks:
        for number, call in enumerate(program.calls):
            natively = number % 2 == 1 and asyncio._get_running_loop() is not None
            cut_short = in_a_bare_task if natively else in_a_scope
            tasks.start_soon(cut_short, make, call)
    stats = limiter.stats()
    assert (stats.waiting, stats.in_flight) == (0, 0)
    return fates


async def in_a_scope(make: Make, call: Call) -> None:
    await anyio.sleep(call.arrive)
    with anyio.move_on_after(call.cancel):
        await make(call)


async def in_a_bare_task(make: Make, call: Call) -> None:
    await anyio.sleep(call.arrive)
    task = asyncio.ensure_future(make(call))
    if call.cancel < inf:
        asyncio.get_running_loop().call_later(call.cancel, task.cancel)
    await asyncio.wait([task])
    assert task.cancelled() or task.result() is None


def play(program: Program, world: World, seed: int) -> Fates:
    if world == "threads":
        return in_threads(program)
    return run(world, partial(in_tasks, program), seed=seed)


def disagreement(program: Program, world: World, seed: int) -> str:
    """Return the first call that fares otherwise than the model says, if any does."""
    expected = Model(program).fates()
    fates = play(program, world, seed)
    assert fates.keys() == expected.keys(), seed
    for call in sorted(fates, key=lambda call: fates[call].when):
        if not fates[call].agrees(expected[call]):
            return f"{call} of {program}: {fates[call]}, ought to be {expected[call]}"
    return ""


@pytest.mark.slow
@everywhere
def test_calls_are_let_in_when_they_ought_to_be(
    world: World, tell: Callable[[object], None]
) -> None:
    """Each call is let in, refused or cancelled when a plain model says so."""
    calls = 0
    for seed in range(BUDGET.timelines):
        program = draw(Random(seed), cancels=world != "threads")
        assert not disagreement(program, world, seed), seed
        calls += len(program.calls)
    tell(
        f"timelines of RateLimiter on {world}: {BUDGET.timelines} programs,"
        f" {calls} calls, 0 otherwise than the model says"
    )


class Polls(Program):
    """Planted: whoever must wait looks again now and then, instead of being woken."""

    def limiter(self) -> Any:
        limiter = super().limiter()

        @asynccontextmanager
        async def permit(cost: float, **_: float) -> AsyncIterator[None]:
            while (permit := limiter.try_permit(cost)) is None:  # noqa: ASYNC110 - the bug
                await anyio.sleep(0.05)
            with permit:
                yield

        return SimpleNamespace(permit=permit, stats=limiter.stats)


@pytest.mark.canary
@pytest.mark.parametrize("backend", BACKENDS)
def test_late_wake_ups_are_seen(
    backend: Backend, tell: Callable[[object], None]
) -> None:
    """A limiter that lets its waiters poll is late or unfair, and that is seen."""
    seen = 0
    for seed in range(20):
        drawn = draw(Random(seed), cancels=True)
        calls = tuple(replace(call, patience=1e6) for call in drawn.calls)
        program = Polls(drawn.rates, drawn.places, drawn.slack, calls)
        seen += bool(disagreement(program, backend, seed))
    tell(f"timelines of a limiter that polls on {backend}: 20 programs, {seen} seen")
    assert seen > 10
