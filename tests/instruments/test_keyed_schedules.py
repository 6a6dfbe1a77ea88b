"""Under every schedule of its first two users, a keyed limiter is one limiter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from concutil import KeyedRateLimiter
from concutil._limits import shards

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
