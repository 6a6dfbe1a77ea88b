"""The state of some keys behind one lock, and the gates of those that are in use."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable
from itertools import repeat
from math import inf
from types import TracebackType
from typing import final

from .._core.ledger import Ledger
from .gate import Gate, Setting


@final
class Room:
    """How many more keys may be added, and until when there can be no more.

    Each is an item that goes from here to a ledger and back in one step, so that none
    is on its way while somebody finds none.
    """

    __slots__ = ("_items", "full", "made", "state")

    def __init__(self) -> None:
        self._items: deque[None] = deque()  # its methods need no lock
        self.made: int = 0
        # Another object after each change by which more can be had than was known.
        self.state: object = object()
        self.full: tuple[object, float] = (
            self.state,
            -inf,
        )  # the state that was looked at, and the outcome

    @property
    def used(self) -> int:
        """How many keys there are."""
        return self.made - len(self._items)

    @property
    def full_until(self) -> float:
        """Until when there is no room, if that is still so."""
        state, until = self.full
        return until if state is self.state else -inf

    def make(self, more: int) -> None:
        """Have room for so many more."""
        self._items.extend(repeat(None, more))
        self.made += more  # last, or there were fewer used than none

    def restart(self, more: int) -> None:
        """Have room for so many."""
        self._items = deque(repeat(None, more))
        self.state = object()

    def take(self) -> bool:
        """Take room for one key, if there is some."""
        try:
            self._items.pop()
        except IndexError:
            return False
        return True

    def give_back(self, more: int) -> None:
        """Have room for so many more, which was taken."""
        if more:
            self._items.extend(repeat(None, more))
            self.state = object()


@final
class Shard:
    """One ledger behind a lock, and the gates of those of its keys that are in use."""

    __slots__ = ("_ended", "_lock", "_room", "_setting", "_uses", "ledger")

    def __init__(self, ledger: Ledger, setting: Setting, room: Room) -> None:
        self.ledger: Ledger = ledger
        self._setting = setting
        self._room = room
        self._lock = threading.Lock()  # guards the ledger and _uses
        self._uses: dict[Hashable, _Use] = {}
        # Holds that are over, but still count; not empty only while somebody is about
        # to take the lock, or holds it.
        self._ended: list[_Stake] = []

    def enter_one(self, key: Hashable, now: float) -> bool | None:
        """Let a block of *key* in, if that needs no gate; None if there is no room."""
        with self._lock:
            ledger = self.ledger  # dropped after the lock, and forgotten keys with it
            entered = ledger.enter_one(key, now)
            if entered is None and self._add(key, now):
                entered = self.ledger.enter_one(key, now)
        self.settle()
        return entered

    def hold(
        self, key: Hashable, now: float, *, lasting: bool = False, add: bool = True
    ) -> Hold | None:
        """Return a hold of *key*; None if it has no row, and there is no room.

        Args:
            key: Whose gate is used.
            now: The time.
            lasting: Whether it may be used after a fork: else it is one call's.
            add: Whether a key without a row is given one.
        """
        with self._lock:
            ledger = self.ledger  # dropped after the lock, and forgotten keys with it
            use = self._use(ledger, key)
            if use is None and add and self._add(key, now):
                use = self._use(self.ledger, key)
            hold = None if use is None else Hold(self, use, lasting=lasting)
        self.settle()
        return hold

    def end(self, stake: _Stake) -> None:
        """Let the key rest if nobody else holds it, but never wait for the lock.

        The collector may call it, even in a thread that holds this very lock: whoever
        holds it goes on with it afterwards.
        """
        self._ended.append(stake)
        self.settle()

    def sweep(self, now: float) -> None:
        """Forget the keys that equal new ones at *now*."""
        with self._lock:
            ledger = self.ledger  # dropped after the lock, and forgotten keys with it
            self._forget(ledger, now)
        self.settle()

    def settle(self) -> None:
        """Let the keys rest whose last holds are over, if the lock is free."""
        ended = self._ended
        while ended and self._lock.acquire(blocking=False):
            try:
                for stake in tuple(ended):  # perhaps none: another was quicker
                    stake.use.stakes.discard(stake)
                    if not stake.use.stakes:
                        self._rest(stake.use)
                    ended.pop(0)
            finally:
                self._lock.release()

    def after_fork(self) -> None:
        """Go on in a forked child: nobody waits, nobody is inside."""
        self._lock = threading.Lock()
        self._ended = []
        ledger, uses = self.ledger, list(self._uses.values())
        ledger.after_fork()
        for use in uses:
            use.gate.renew(ledger.awake[use.key])
            use.stakes = {stake for stake in use.stakes if stake.lasting}
            if not use.stakes:
                self._rest(use)
        for key in [key for key in ledger.awake if key not in self._uses]:
            ledger.rest(key)

    def _add(self, key: Hashable, now: float) -> bool:
        """Give *key*, which has none, a row, if there is room."""
        if self.ledger.has_grown:
            self._forget(self.ledger, now)
        before = len(self.ledger)
        if not self._room.take():
            return False
        try:
            self.ledger.add(key)
        finally:
            self._room.give_back(before + 1 - len(self.ledger))
        return True

    def _forget(self, ledger: Ledger, now: float) -> None:
        self.ledger = ledger.without_free(now)
        self._room.give_back(len(ledger) - len(self.ledger))

    def _use(self, ledger: Ledger, key: Hashable) -> _Use | None:
        use = self._uses.get(key)
        if use is None:
            admission = ledger.wake(key)
            if admission is None:
                return None
            use = self._uses[key] = _Use(key, Gate(admission, self._setting, key))
        return use

    def _rest(self, use: _Use) -> None:
        if self._uses.get(use.key) is not use:
            return
        ledger, gate = self.ledger, use.gate
        before = ledger.soonest
        while gate.inbox:  # Ctrl-C has left it there
            gate.inbox.popleft()(gate.admission, gate.admission.last)
        ledger.rest(use.key)
        if ledger.soonest < before:
            self._room.state = object()
        del self._uses[use.key]


@final
class Hold:
    """Keeps a key awake, and not forgotten, until it ends or is dropped.

    As a block it ends if the block fails. Don't leave that to the collector: the
    traceback of an error may keep alive for long what its frames have used.
    """

    __slots__ = ("_shard", "_stake", "gate")

    def __init__(self, shard: Shard, use: _Use, *, lasting: bool) -> None:
        self.gate: Gate = use.gate
        self._shard = shard
        self._stake = _Stake(use, lasting=lasting)
        use.stakes.add(self._stake)

    def end(self) -> None:
        """Need the key no more; a second call does nothing."""
        self._shard.end(self._stake)

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.end()

    # A permit is dropped, not closed. It never blocks, so the collector may run it.
    def __del__(self) -> None:  # noqa: HC11 - there is no block that ends
        stake = getattr(self, "_stake", None)  # it may be interrupted as it is made
        if stake is not None and stake in stake.use.stakes:
            self.end()


@final
class _Use:
    """A key that is in use: its gate, and who needs it."""

    __slots__ = ("gate", "key", "stakes")

    def __init__(self, key: Hashable, gate: Gate) -> None:
        self.key: Hashable = key
        self.gate: Gate = gate
        self.stakes: set[_Stake] = set()


@final
class _Stake:
    """What stands for a hold, which itself may be dropped at any time."""

    __slots__ = ("lasting", "use")

    def __init__(self, use: _Use, *, lasting: bool) -> None:
        self.use: _Use = use
        self.lasting: bool = lasting
