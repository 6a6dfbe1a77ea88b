"""What many keys owe: a row of numbers for each, objects for those in use."""

from __future__ import annotations

from array import array
from collections.abc import Hashable
from math import inf
from typing import Final, final

from .admission import Admission
from .buckets import Gcra
from .cost import CALLS
from .rates import Rate

FEW: Final = 32  # that many new keys aren't worth a look at all


@final
class Ledger:
    """The state of a limiter for each of many keys.

    A key sleeps in its row, or is awake: then it has an `Admission`, which alone
    tells its state. Who woke a key tells when nobody uses its admission any more.

    It is known at any time from when on one of them, the soonest, equals a new key.
    """

    __slots__ = (
        "_calls",
        "_columns",
        "_counts",
        "_free",
        "_last",
        "_owed",
        "_rows",
        "_slack",
        "_sweep_at",
        "awake",
        "limit",
        "rates",
        "soonest",
    )

    def __init__(
        self, rates: tuple[Rate, ...], limit: int | None, slack: float
    ) -> None:
        self.rates: tuple[Rate, ...] = rates
        self.limit: int | None = limit
        self._slack = slack
        # The columns follow the order of this dict, and may be longer only while a
        # key is added: see _mend.
        self._rows: dict[Hashable, int] = {}
        # From when on a key equals a new one; inf while that can't be told.
        self._free: array[float] = array("d")
        self._counts: tuple[array[float], ...] = (array("d"), array("d"), array("d"))
        self._owed: tuple[array[float], ...] = tuple([array("d") for _ in rates])
        # They speak for one row at a time, whose number they are given.
        self._calls = [
            (Gcra(rate, slack), column)
            for rate, column in zip(rates, self._owed, strict=True)
            if rate.unit == CALLS
        ]
        self._columns = (self._free, *self._counts, *self._owed)
        self._last = -inf  # the latest time seen: time never runs backwards here
        self._sweep_at = FEW
        self.awake: dict[Hashable, Admission] = {}
        self.soonest: float = inf  # the least of _free

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def has_grown(self) -> bool:
        """Whether it is time for `without_free` by its growth alone."""
        return len(self._rows) >= self._sweep_at

    def enter_one(self, key: Hashable, now: float) -> bool | None:
        """Book one call of *key*, which sleeps; None if it has no row.

        For rates that aren't exact, and without a limit to what runs at once.
        """
        row = self._rows.get(key)
        if row is None:
            return None
        if self.awake and key in self.awake:
            return False
        if now < self._last:  # noqa: PLR1730  # max() costs a third of all this
            now = self._last  # an old time counts as the latest one seen
        for bucket, owed in self._calls:
            bucket.tat = owed[row]
            if now < bucket.due(1.0) - bucket.slip:
                return False
        self._last = now
        free_at = self._free[row]
        for bucket, _ in self._calls:
            bucket.take(1.0, now)
            free_at = max(free_at, bucket.free_at())
        # A fork may come between any two of these, and must not lose what is owed.
        self._set_free(row, free_at)
        for bucket, owed in self._calls:
            owed[row] = bucket.tat
        self._counts[0][row] += 1
        return True

    def add(self, key: Hashable) -> None:
        """Give *key* a row, if it has none."""
        self._mend()
        if key not in self._rows:
            for column in self._columns:
                column.append(0)
            for column in (self._free, *self._owed):
                column[-1] = self.soonest = -inf
            self._rows[key] = len(self._rows)  # last: see _mend

    def wake(self, key: Hashable) -> Admission | None:
        """Return the admission of *key*, for use until `rest`; None without a row."""
        row = self._rows.get(key)
        if row is None:
            return None
        admission = self.awake.get(key)
        if admission is None:
            admission = Admission.of(self.rates, self.limit, self._slack)
            counts = tuple([column[row] for column in self._counts])
            admission.resume([owed[row] for owed in self._owed], counts, self._last)
            self.awake[key] = admission
        self._set_free(row, inf)
        return admission

    def rest(self, key: Hashable) -> None:
        """Take back the admission of *key*: nobody uses it any more.

        It goes on as an object while somebody is inside, while a pause is in force,
        and for as long as an exact rate remembers grants.
        """
        admission = self.awake.get(key)
        if admission is None:
            return
        row = self._rows[key]
        self._last = max(self._last, admission.last)
        numbers = admission.numbers(self._last)
        if admission.running:
            return
        if numbers is not None:
            for owed, number in zip(self._owed, numbers, strict=True):
                owed[row] = number
        for column, count in zip(self._counts, admission.counts, strict=True):
            column[row] = count
        self._set_free(row, admission.free_at())
        if numbers is not None:
            del self.awake[key]

    def without_free(self, now: float) -> Ledger:
        """Return what goes on without the keys that equal new ones at *now*.

        It is this very object if there are none.
        """
        self._mend()
        self._last = max(self._last, now)
        kept = [row for row, free_at in enumerate(self._free) if free_at > now]
        self._sweep_at = FEW + len(kept) + len(kept) // 2
        if len(kept) == len(self._rows):
            return self
        keys = list(self._rows)
        rest = Ledger(self.rates, self.limit, self._slack)
        rest._rows = {keys[row]: new for new, row in enumerate(kept)}
        for column, old in zip(rest._columns, self._columns, strict=True):
            column.extend([old[row] for row in kept])
        rest.awake = {key: it for key, it in self.awake.items() if key in rest._rows}
        rest.soonest = min(rest._free, default=inf)
        rest._last = self._last
        rest._sweep_at = self._sweep_at
        return rest

    def after_fork(self) -> None:
        """Go on in a forked child: nobody is inside, and rows that were half there."""
        self._mend()
        self.awake = {key: it.in_child() for key, it in self.awake.items()}

    def _mend(self) -> None:
        """Cut off what is there of a key that was not added to the end.

        Its comparison with another has failed, or Ctrl-C or a fork came between.
        """
        rows = len(self._rows)
        if len(self._free) > rows:  # the first that grows, and the last that is cut
            for column in reversed(self._columns):
                del column[rows:]
            self.soonest = min(self._free, default=inf)

    def _set_free(self, row: int, when: float) -> None:
        before, self._free[row] = self._free[row], when
        if before <= self.soonest:
            self.soonest = min(self._free)
        elif when < self.soonest:
            self.soonest = when
