"""Asking a store: for what it has, for the lead, or again after a wait."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Any

from .._core.lru import Entry
from .._runtime.events import LoopBlocked, emit
from .._runtime.on_threads import THREADS
from .._runtime.waiters import World, run, running_world, runs_a_loop
from .flights import Flight, waiting
from .lead import Lead
from .store import Store

Found = Entry | Flight | Lead


def found(store: Store, key: Any) -> Found:
    """Return what has a value for *key*, or the lead; blocks this thread.

    Args:
        store: Where to look.
        key: What is asked for.

    Raises:
        Exception: What the computation has failed with.
        RecursiveComputeError: If it waits for who would wait here.
    """
    it = store.begin(key)
    try:
        if isinstance(it, Flight):
            if not store.told_of_loop and runs_a_loop():
                store.told_of_loop = True
                emit(LoopBlocked, limiter=None, policy=None, cache=store.terms.name)
            it = run(_joined(store, THREADS, it))
            # Here: a StopIteration can't leave a coroutine.
            if isinstance(it, Flight) and it.error is not None:
                it.reraise()
        return it
    finally:
        del it  # or the error would keep itself alive: its traceback leads here


async def afound(store: Store, key: Any) -> Found:
    """Return what has a value for *key*, or the lead; as `found`, but awaits it."""
    it = store.begin(key)
    try:
        if isinstance(it, Flight):
            it = await _joined(store, running_world(), it)
            if isinstance(it, Flight) and it.error is not None:
                it.reraise()
        return it
    finally:
        del it


async def _joined(store: Store, world: World, it: Found) -> Found:
    """Wait until a flight is over, or there is something else: for threads and tasks.

    Args:
        store: Where this asks again.
        world: Where this runs.
        it: The flight.
    """
    try:
        while isinstance(it, Flight) and not it.is_over():
            it = await _waited(store, world, it)
        return it
    finally:
        del it


async def _waited(store: Store, world: World, flight: Flight) -> Found:
    """Wait until *flight* is over; or return what has taken its place, or its lead.

    Whoever looks when it is abandoned leads, waits on for who was faster, or finds that
    its key was set or removed meanwhile: then the next must look as well.
    """
    waiter, line = world.waiter(), flight.line(world.line)
    it: Found = flight
    try:
        with waiting(flight, blocks=world is THREADS):
            # In this order: whoever ends it wakes all after having set the state.
            line[waiter] = None
            while it is flight and not flight.is_over():
                if flight.state == "running":
                    await world.park(waiter, inf)
                else:
                    it = store.begin(flight.step.key, flight)
        return it
    finally:
        line.pop(waiter, None)
        waiter.close()
        if flight.state == "abandoned":
            store.undone[partial(store.told, flight)] = None
            store.settle(wait=False)
        del it, flight  # it may fail with what was raised here
