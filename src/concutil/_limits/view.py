"""The limiter of one key, whose state is held by the limiter of all keys."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from math import inf
from types import TracebackType
from typing import NoReturn, TypeVar, final

from .._core.admission import Admission
from .._core.cost import ONE, Cost
from .._core.options import shown
from .._core.rates import Rate
from .._core.ticket import Ticket
from .._errors import RateLimitExceeded
from .._runtime import waiters
from .._runtime.events import LimiterRefused, emit
from .face import Face
from .limiter import LimiterStats, shown_limits, shown_state, stats_of
from .shard import Hold
from .shards import Shards

T = TypeVar("T")


@final
class LimiterView(Face):
    """The limits of one key of a `KeyedRateLimiter`, used as a `RateLimiter` is.

    It holds no state and may be kept: it looks the state of its key up at each use,
    and any number of views of one key are one limiter. All that takes something is
    refused by `RateLimitExceeded` if the key is new and there is no room for it.

    Cancellation:
        As `RateLimiter`: while it waits. If cancelled, nothing stays booked.

    Threads:
        As `RateLimiter`: safe from any number of threads and event loops at once.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"
    __slots__ = ("__weakref__", "_inside", "_key", "_shard", "_shards")

    def __init__(self, shards: Shards, key: Hashable) -> None:
        self._shards = shards
        self._key = key
        self._shard = shards.of(key)
        # One for each open block, but any of them is as good as another.
        self._inside: list[Hold] = []

    def __enter__(self) -> None:
        if not self._enter_one():
            hold = self._hold_for(ONE, lasting=False)
            with hold:
                if not hold.gate.try_enter():
                    hold.gate.wait(Ticket())
            self._keep(hold)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shards.limit is not None:
            self._leave(kind)

    async def __aenter__(self) -> None:
        loop = waiters.running_loop()
        world = waiters.worlds.get(loop)
        # This asyncio task needn't yield if the others had a turn lately.
        if (
            world is not None
            and self._shards.now() - world.turn < self._shards.setting.yield_every
            and waiters.current_task(loop) is not None
            and self._enter_one()
        ):
            return
        hold = self._hold_for(ONE, lasting=False)
        with hold:
            await hold.gate.admit(waiters.running_world(), Ticket())
        self._keep(hold)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shards.limit is not None:
            self._leave(kind)

    def stats(self) -> LimiterStats:
        """Return counts and times as of now.

        The counts begin at 0 when the key is new, or was forgotten.

        Threads:
            Safe from any thread.

        .. versionadded:: 0.1
        """
        shards = self._shards
        now = shards.now()
        hold = self._shard.hold(self._key, now, add=False)
        if hold is None:
            new = Admission.of(shards.rates, shards.limit, shards.slack)
            return stats_of(new, now)
        stats = hold.gate.read(stats_of)
        hold.end()
        return stats

    def __repr__(self) -> str:
        shards = self._shards
        limits = shown_limits(shards.rates, shards.limit)
        state = shown_state(self.stats(), shards.limit)
        return f"<{shards.setting} for {shown(self._key)}, {limits}: {state}>"

    def __reduce__(self) -> str:
        raise TypeError(
            "a limiter can't be pickled or copied: the copy would be a second limit"
        )

    @property
    def _rates(self) -> tuple[Rate, ...]:
        return self._shards.rates

    def _hold_for(self, cost: Cost, *, lasting: bool) -> Hold:
        hold, wait = self._found(partial(self._shard.hold, lasting=lasting))
        return self._refuse(cost, wait) if hold is None else hold

    def _hold_if_room(self) -> Hold | None:
        return self._found(partial(self._shard.hold, lasting=True))[0]

    def _enter_one(self) -> bool:
        """Let a block in without a gate, if that is possible."""
        shards = self._shards
        if not shards.plain:
            return False
        entered = self._shard.enter_one(self._key, shards.now())
        if entered is None:
            entered, wait = self._found(self._shard.enter_one)
            if entered is None:
                self._refuse(ONE, wait)
        return entered

    def _found(
        self, find: Callable[[Hashable, float], T | None]
    ) -> tuple[T | None, float]:
        """Return what *find* does when there is room, or the seconds until there is."""
        while True:
            found = find(self._key, self._shards.now())
            wait = 0.0 if found is not None else self._shards.make_room()
            if found is not None or wait > 0:
                return found, wait

    def _refuse(self, cost: Cost, wait: float) -> NoReturn:
        shards = self._shards
        if wait == inf:
            # All are in use; from then on a key must wait for what a call owes.
            wait = max([rate.per / rate.limit for rate in shards.rates], default=0.0)
        name = shards.setting.name
        emit(LimiterRefused, limiter=name, cost=dict(cost), retry_after=wait)
        raise RateLimitExceeded(
            f"{shards.setting} has no room for {shown(self._key)}: none of"
            f" {len(shards)} keys can be forgotten yet, and max_keys= allows no more",
            retry_after=wait,
        )

    def _leave(self, kind: type[BaseException] | None) -> None:
        try:
            hold: Hold | None = self._inside.pop()
        except IndexError:  # entered through another view
            hold = self._shard.hold(self._key, self._shards.now(), add=False)
        if hold is not None:
            hold.gate.leave(kind)
            hold.end()

    def _keep(self, hold: Hold) -> None:
        """Need the gate until the block is left, if it has a place to give back."""
        if self._shards.limit is None:
            hold.end()
        else:
            self._inside.append(hold)
