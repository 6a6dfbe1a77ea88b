"""Where the state of many keys is: small ledgers, each behind a lock of its own.

A key's ledger is told by its hash, so that no call ever looks at more than one of
them whole, and none grows so large that this takes long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from random import getrandbits
from typing import Final, final

from .._core.ledger import Ledger
from .._core.rates import Rate
from .._runtime.fork import renew_in_children
from .gate import Gate, Setting
from .room import Room

KEYS_EACH: Final = 128  # roughly, if all of max_keys are there
MOST_SHARDS: Final = 1 << 12
_MADE_AT_ONCE: Final = 1_000


@final
class Shards:
    """The ledgers of one limiter, and the room that they have in common.

    Args:
        rates: The rates that are kept for each key.
        limit: How many may be inside at once for each key, or None.
        slack: Seconds of lateness that are made up for.
        max_keys: How many keys there is room for.
        setting: What all gates share.
    """

    __slots__ = (
        "__weakref__",
        "_lock",
        "_mask",
        "_room",
        "_salt",
        "_shards",
        "limit",
        "max_keys",
        "now",
        "plain",
        "rates",
        "setting",
        "slack",
    )

    def __init__(
        self,
        rates: tuple[Rate, ...],
        limit: int | None,
        slack: float,
        *,
        max_keys: int,
        setting: Setting,
    ) -> None:
        self.rates: tuple[Rate, ...] = rates
        self.limit: int | None = limit
        self.slack: float = slack
        self.max_keys: int = max_keys
        self.setting: Setting = setting
        self.now: Callable[[], float] = setting.now
        # Whether a few numbers tell all that a block depends on.
        self.plain: bool = limit is None and not any(rate.exact for rate in rates)
        count = min(MOST_SHARDS, 1 << (max_keys // KEYS_EACH).bit_length())
        self._mask = count - 1
        # Nobody can choose keys that fall into one ledger.
        self._salt = getrandbits(64)
        self._shards: list[Shard | None] = [None] * count  # made when needed
        self._room = Room()
        self._lock = threading.Lock()  # guards the making of room and shards
        renew_in_children(self)

    def __len__(self) -> int:
        return self._room.used

    def of(self, key: Hashable) -> Shard:
        """Return where the state of *key* is, if there is any."""
        number = hash((key, self._salt)) & self._mask
        return self._shards[number] or self._made(number)

    def make_room(self) -> float:
        """Make room for another key, if there is none, by forgetting others.

        Returns:
            0, or if that is not possible the seconds until it is: inf if that is not
            only a matter of time.
        """
        now, room = self.now(), self._room
        if room.full_until <= now and not self._make_more():
            state = room.state
            shard = min(self._made_shards, key=_soonest)
            room.full = state, _soonest(shard)
            if _soonest(shard) <= now:
                shard.sweep(now)
        return max(0.0, room.full_until - now)

    def after_fork(self) -> None:
        """Go on in a forked child: nobody waits, nobody is inside."""
        self._lock = threading.Lock()
        for shard in self._made_shards:
            shard.after_fork()
        used = sum(len(shard.ledger) for shard in self._made_shards)
        self._room.restart(self._room.made - used)

    @property
    def _made_shards(self) -> list[Shard]:
        return [shard for shard in self._shards if shard is not None]

    def _make_more(self) -> bool:
        with self._lock:
            more = min(_MADE_AT_ONCE, self.max_keys - self._room.made)
            self._room.make(more)
        return more > 0

    def _made(self, number: int) -> Shard:
        ledger = Ledger(self.rates, self.limit, self.slack)
        made = Shard(ledger, self.setting, self._room)
        with self._lock:
            shard = self._shards[number] or made
            self._shards[number] = shard
        return shard


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
        if self._ended:
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
            use = self._use(key)
            if use is None and add and self._add(key, now):
                use = self._use(key)
            hold = None if use is None else Hold(self, use, lasting=lasting)
        if self._ended:
            self.settle()
        del ledger
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
            self._forget(now)
        if self._ended:
            self.settle()
        del ledger

    def settle(self) -> None:
        """Let the keys rest whose last holds are over, if the lock is free."""
        ended = self._ended
        while ended and self._lock.acquire(blocking=False):
            try:
                while ended:
                    stake = ended[0]
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
            self._forget(now)
        if not self._room.take():
            return False
        before = len(self.ledger)
        try:
            self.ledger.add(key)
        finally:
            self._room.give_back(before + 1 - len(self.ledger))
        return True

    def _forget(self, now: float) -> None:
        old = self.ledger
        self.ledger = old.without_free(now)
        self._room.give_back(len(old) - len(self.ledger))

    def _use(self, key: Hashable) -> _Use | None:
        use = self._uses.get(key)
        if use is None:
            admission = self.ledger.wake(key)
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
    """Keeps a key awake, and not forgotten, until it ends or is dropped."""

    __slots__ = ("_shard", "_stake", "gate")

    def __init__(self, shard: Shard, use: _Use, *, lasting: bool) -> None:
        self.gate: Gate = use.gate
        self._shard = shard
        self._stake = _Stake(use, lasting=lasting)
        use.stakes.add(self._stake)

    def end(self) -> None:
        """Need the key no more; a second call does nothing.

        Don't leave it to the collector: the traceback of an error may keep what its
        frames have used for long.
        """
        self._shard.end(self._stake)

    def __del__(self) -> None:  # noqa: HC11 - a permit may be dropped anywhere
        if self._stake in self._stake.use.stakes:
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


def _soonest(shard: Shard) -> float:
    return shard.ledger.soonest
