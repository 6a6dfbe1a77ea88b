"""Where the state of many keys is: small ledgers, each behind a lock of its own.

A key's ledger is told by its hash, so that no call ever looks at more than one of
them whole, and none grows so large that this takes long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Final, final

from .._core.ledger import Ledger
from .._core.rates import Rate
from .._runtime.fork import renew_in_children
from .gate import Setting
from .shard import Room, Shard

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
        from random import getrandbits  # its first import is slow

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
        state = room.state  # before the look: what comes free meanwhile changes it
        if room.full_until <= now and not self._make_more():
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
        """Whether there is room, after more was made if that was needed and may be."""
        room = self._room
        with self._lock:
            if room.used == room.made:  # nobody else has made some meanwhile
                room.make(min(_MADE_AT_ONCE, self.max_keys - room.made))
            return room.used < room.made

    def _made(self, number: int) -> Shard:
        ledger = Ledger(self.rates, self.limit, self.slack)
        made = Shard(ledger, self.setting, self._room)
        with self._lock:
            shard = self._shards[number] or made
            self._shards[number] = shard
        return shard


def _soonest(shard: Shard) -> float:
    return shard.ledger.soonest
