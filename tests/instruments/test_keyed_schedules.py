"""Under every schedule of its first or last two users, a keyed limiter is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from concutil import KeyedRateLimiter
from concutil._limits import shard, shards

from .battery import Call, Plan, Subject, exhaust_one


class New(Subject, targets=(shards,), alphabet=("one", "other"), core=("one",)):
    """A new limiter with room for two keys, each of which may be let in once."""

    def __init__(self) -> None:
        self.limiters = KeyedRateLimiter("1/h", slack=0, max_keys=2)

    def one(self) -> bool:
        return self.limiters["one"].try_permit() is not None

    def other(self) -> bool:
        return self.limiters["other"].try_permit() is not None

    def check(self, calls: Sequence[Call]) -> None:
        granted = [call.name for call in calls if call.result]
        assert sorted(granted) == sorted({call.name for call in calls})

    def settled(self) -> None:
        for key in ("one", "other", "third"):
            self.limiters[key].try_permit()
        assert len(self.limiters) == 2


@pytest.mark.parametrize("plan", [(("one",), ("one",)), (("one",), ("other",))])
def test_who_comes_first_is_the_only_one(
    plan: Plan, tell: Callable[[object], None]
) -> None:
    """Two who come at once make one table, and no more room than there is."""
    tell(exhaust_one(New, plan, bound=1, held=0.0, grain="bytecode"))


class Held(Subject, targets=(shard,), alphabet=("end",), core=("end",)):
    """Two keys, each of which is held once."""

    def __init__(self) -> None:
        limiters = KeyedRateLimiter("1/h", max_keys=2)
        self.shard = limiters["one"]._shard
        self.holds = [limiters[key]._hold_if_room() for key in ("one", "other")]

    def end(self) -> None:
        hold = self.holds.pop()
        assert hold is not None
        hold.end()

    def check(self, calls: Sequence[Call]) -> None:
        assert (self.shard._ended, self.shard._uses) == ([], {})

    def settled(self) -> None: ...


def test_keys_rest_as_soon_as_nobody_holds_them(tell: Callable[[object], None]) -> None:
    """Whoever ends a hold under another's lock leaves it to them, and it is done."""
    tell(exhaust_one(Held, (("end",), ("end",)), bound=1, held=0.0, grain="bytecode"))
