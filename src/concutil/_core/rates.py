"""How often something may happen: `Rate`, its text forms, and its arithmetic."""

from __future__ import annotations

import sys
from datetime import timedelta
from math import inf, isfinite
from string import ascii_lowercase
from typing import Final, final

from .options import at_least_one, duration, positive, shown
from .record import Record

if sys.version_info >= (3, 11):
    from typing import Self
else:
    from typing_extensions import Self

_UNITS_S: Final = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
_UNIT_NAMES: Final = {1.0: "s", 60.0: "min", 3600.0: "h", 86400.0: "d"}
_FORMS: Final = "'10/s', '500/min', '5000/hour', '2/500ms', '5/min burst 5'"


@final
class Rate(Record):
    """Allow *limit* calls *per* seconds, spaced evenly after a burst.

    Args:
        limit: Calls in each period; may be fractional.
        per: Length of the period: seconds or a `datetime.timedelta`.
        burst: Calls that may start at once after an idle spell; at least 1, may be
            fractional.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If *limit* or *per* is not above 0, *burst* is below 1, one of
            them is not finite, or their quotient is too small or too big for a
            float.

    Threads:
        Immutable; share it freely.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"
    __slots__ = ("burst", "limit", "per")

    limit: float
    per: float
    burst: float

    def __init__(
        self, limit: float, per: float | timedelta = 1.0, *, burst: float = 1.0
    ) -> None:
        fields = {
            "limit": positive("limit", limit),
            "per": duration("per", per),
            "burst": at_least_one("burst", burst),
        }
        interval = fields["per"] / fields["limit"]
        if not (interval > 0 and isfinite(interval * fields["burst"])):
            raise ValueError(
                f"limit={shown(limit)}, per={shown(per)}, burst={shown(burst)} are out"
                " of the range of a float: choose a longer or a shorter period"
            )
        super().__init__(**fields)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a rate from *text*, such as `"500/min"` or `"5/min burst 5"`.

        Args:
            text: `LIMIT/PERIOD`, optionally followed by `burst BURST`. The period is
                a unit (ms, s, min, h or hour, d or day, and their long names),
                optionally with a number before it.

        Raises:
            TypeError: If *text* is not a string.
            ValueError: If *text* has another form; the message lists the forms.

        .. versionadded:: 0.1
        """
        if not isinstance(text, str):
            raise TypeError(f"a rate's text must be a string, not {shown(text)}")
        limit, _, rest = text.partition("/")
        period, *words = rest.lower().split() or [""]
        burst = "1"
        if len(words) == 2 and words[0] == "burst":  # noqa: PLR2004  # "burst", number
            burst = words.pop()
            words.pop()
        quantity = period.rstrip(ascii_lowercase)
        unit = period[len(quantity) :]
        if words or unit not in _UNITS_S:
            raise ValueError(_unreadable(text))
        try:
            numbers = float(limit), float(quantity or "1"), float(burst)
        except ValueError:
            raise ValueError(_unreadable(text)) from None
        return cls(numbers[0], numbers[1] * _UNITS_S[unit], burst=numbers[2])

    def __str__(self) -> str:
        unit = _UNIT_NAMES.get(self.per, f"{_plain(self.per)}s")
        return f"{_plain(self.limit)}/{unit} burst {_plain(self.burst)}"

    def __repr__(self) -> str:
        limit, per, burst = map(_plain, (self.limit, self.per, self.burst))
        return f"Rate({limit}, per={per}, burst={burst})"


def _plain(number: float) -> str:
    """Return the shortest text of *number* that loses nothing."""
    text = f"{number:g}"
    return text if float(text) == number else repr(number)  # noqa: RUF069  # exact


def _unreadable(text: str) -> str:
    return f"can't read {shown(text)} as a rate; the forms are {_FORMS}"


@final
class Gcra:
    """What one rate has granted so far, as one point in time.

    The generic cell rate algorithm: *tat*, the theoretical arrival time, is when the
    bucket will be full again. A timer that fires late would lose rate for ever, so
    *tat* may lag behind `now` by *slack* seconds and is caught up with.

    In any window of w seconds at most `burst + rate * (w + slack)` are granted.

    Source: ITU-T I.371, virtual scheduling; the slack after go.uber.org/ratelimit.
    """

    __slots__ = ("_credit", "_interval", "_lead", "_slack", "_spent", "_tat")

    def __init__(self, rate: Rate, *, slack: float) -> None:
        self._interval = rate.per / rate.limit
        self._credit = rate.burst * self._interval
        self._lead = self._credit - self._interval
        self._slack = slack
        self._tat = -inf
        self._spent = 0.0  # the cost of all grants: see give_back

    @property
    def spent(self) -> float:
        """The cost of all grants so far: remember it before one to give that back."""
        return self._spent

    def due(self, cost: float) -> float:
        """Return when *cost* may be granted, if nothing else is before."""
        return self._tat + cost * self._interval - self._credit

    def due_behind(self, queued: float, cost: float, now: float) -> float:
        """Return when *cost* may be granted, once *queued* has been, from *now* on."""
        start = max(self._tat, now - self._slack)
        return start + (queued + cost) * self._interval - self._credit

    def take(self, cost: float, now: float) -> float:
        """Grant *cost* at *now*, and return when a cost of 1 will be due."""
        tat = self._tat
        floor = now - self._slack
        if tat < floor:  # noqa: PLR1730  # max() costs a third of all this
            tat = floor
        self._tat = tat = tat + cost * self._interval
        self._spent += cost
        return tat - self._lead

    def give_back(self, cost: float, spent: float, last: float) -> None:
        """Undo a grant of *cost*.

        Later grants may have used the time of this one already: whatever a replay of
        history without it would not leave, stays spent. *spent* is what had been
        granted before it, *last* the time of the latest grant.
        """
        # Where tat would stand had nothing been granted since, except for the idle
        # time that passed: tat minus all that was granted from *spent* on.
        before = self._tat - (self._spent - spent) * self._interval
        used = max(0.0, last - self._slack - before)
        self._tat -= max(0.0, cost * self._interval - used)
        # Those after it remember what was spent before them: only the latest may be
        # forgotten. Otherwise the sum stays too high, and less is given back.
        if self._spent == spent + cost:
            self._spent = spent
