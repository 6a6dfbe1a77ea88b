"""Callers of a cache in threads, asyncio and trio, and where they can be held up."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.from_thread
import pytest
import trio

from concutil import Cache
from concutil.events import Event, subscribe
from insides import waiters_of
from patience import LONG_S, eventually


class Gate:
    """Where computations of any world stand until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.passed = 0

    def stand(self) -> None:
        """Block this thread here."""
        self.reached.set()
        assert self.opened.wait(LONG_S), "nobody opened the gate"
        self.passed += 1

    async def astand(self) -> None:
        """Hold this task here, where it can be cancelled."""
        self.reached.set()
        while not self.opened.is_set():  # noqa: ASYNC110 - see below
            await anyio.sleep(0.0005)  # noqa: HC14 - a thread opens it
        self.passed += 1

    def wait(self) -> None:
        """Return as soon as somebody stands here."""
        assert self.reached.wait(LONG_S), "nobody came to the gate"

    def open(self) -> None:
        """Let all pass."""
        self.opened.set()


class Call:
    """One call in a thread of its own, which runs a loop of its own if need be.

    `world` is "thread", "asyncio" or "trio". *compute* is called where the world's own
    kind of function would be, and may stand at a *gate* before.
    """

    def __init__(self, world: str, cache: Cache[Any, Any], key: Any) -> None:
        self.world = world
        self.cache = cache
        self.key = key
        self.cancelled = False
        self.error: BaseException | None = None
        self.value: Any = None
        self._compute: Callable[[], Any] = lambda: None
        self._gate: Gate | None = None
        self._token: Any = None
        self._scope: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self, compute: Callable[[], Any], gate: Gate | None) -> Call:
        """Begin, with what computes."""
        self._compute, self._gate = compute, gate
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            if self.world == "thread":
                self.value = self.cache.get_or_compute(self.key, self._plain)
            elif self.world == "asyncio":
                asyncio.run(self._main())
            else:
                trio.run(self._main)
        except BaseException as error:  # noqa: ASYNC103, BLE001 - raised by result()
            self.error = error

    async def _main(self) -> None:
        self._token = anyio.lowlevel.current_token()
        with anyio.CancelScope() as self._scope:
            self.value = await self.cache.aget_or_compute(self.key, self._async)
        self.cancelled = self._scope.cancelled_caught

    def _plain(self) -> Any:
        if self._gate is not None:
            self._gate.stand()
        return self._compute()

    async def _async(self) -> Any:
        if self._gate is not None:
            await self._gate.astand()
        return self._compute()

    def cancel(self) -> None:
        """Cancel the task, and see it end."""
        anyio.from_thread.run_sync(self._scope.cancel, token=self._token)
        self.join()
        assert self.cancelled

    def join(self) -> None:
        """Wait for the end, however it ends."""
        self._thread.join(LONG_S)
        assert not self._thread.is_alive(), "a call never came back"

    def result(self) -> Any:
        """Wait for the end, and return or raise what the call did."""
        self.join()
        if self.error is not None:
            raise self.error
        return self.value


class Calls:
    """Makes calls, and sees at the end of a test that all are over."""

    def __init__(self) -> None:
        self.made: list[Call] = []
        self.gates: list[Gate] = []

    def gate(self) -> Gate:
        """Return a closed gate, which the end of the test opens."""
        self.gates.append(Gate())
        return self.gates[-1]

    def start(
        self,
        world: str,
        cache: Cache[Any, Any],
        key: Any,
        compute: Callable[[], Any],
        *,
        gate: Gate | None = None,
    ) -> Call:
        """Begin a call."""
        self.made.append(Call(world, cache, key))
        return self.made[-1].start(compute, gate)

    def lead(
        self,
        world: str,
        cache: Cache[Any, Any],
        key: Any,
        compute: Callable[[], Any],
        gate: Gate,
    ) -> Call:
        """Begin a call that computes and stands at *gate* when this returns."""
        call = self.start(world, cache, key, compute, gate=gate)
        gate.wait()
        return call

    def join(
        self,
        world: str,
        cache: Cache[Any, Any],
        key: Any,
        compute: Callable[[], Any],
        *,
        gate: Gate | None = None,
    ) -> Call:
        """Begin a call that waits for another one's computation when this returns."""
        flight = cache._store.flights[key]
        before = len(waiters_of(flight))
        call = self.start(world, cache, key, compute, gate=gate)
        eventually(lambda: len(waiters_of(flight)) > before)
        return call

    def end(self) -> None:
        """See that all are over."""
        for gate in self.gates:
            gate.open()
        for call in self.made:
            call.join()


@pytest.fixture
def calls() -> Iterator[Calls]:
    """Make calls in any world; all are over when the test is."""
    made = Calls()
    yield made
    made.end()


@pytest.fixture
def seen() -> Iterator[list[Event]]:
    """Collect all events of a test."""
    collected: list[Event] = []
    with subscribe(collected.append):
        yield collected


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect what `sys.unraisablehook` is told."""
    reports: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", reports.append)
    return reports


@pytest.fixture(name="in_child")
def call_in_child() -> Callable[[Callable[[], bool]], bool]:
    """Return a function that returns what another one returns in a forked child."""
    return in_child


def in_child(check: Callable[[], bool]) -> bool:
    """Return what *check* returns in a forked child."""
    pid = os.fork()
    if pid == 0:
        result = False
        try:
            result = check()
        finally:
            os._exit(not result)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
