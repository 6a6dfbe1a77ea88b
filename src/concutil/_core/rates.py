"""How often something may happen: `Rate`, and its text forms."""

from __future__ import annotations

import sys
from datetime import timedelta
from math import isfinite
from string import ascii_lowercase
from typing import Final, final

from .options import at_least_one, duration, flag, positive, shown
from .record import Record

if sys.version_info >= (3, 11):
    from typing import Self
else:
    from typing_extensions import Self

_LENGTHS_S: Final = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
_LENGTH_NAMES: Final = {1.0: "s", 60.0: "min", 3600.0: "h", 86400.0: "d"}
_FORMS: Final = (
    "'10/s', '500/min', '5000/hour', '2/500ms', '5/min burst 5', '5/min exact',"
    " '90000 tokens/min'"
)


@final
class Rate(Record):
    """Allow *limit* calls *per* seconds, spaced evenly after a burst.

    Args:
        limit: Calls in each period; may be fractional.
        per: Length of the period: seconds or a `datetime.timedelta`.
        burst: Calls that may start at once after an idle spell; at least 1, may be
            fractional. Means nothing if *exact*.
        exact: Never more than *limit* in any period whatsoever, and up to that many
            at once, instead of even spacing. Remembers every grant of a period.
        unit: What is counted: "calls", or a name of your own such as "tokens" whose
            amounts `RateLimiter.permit` is told.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If *limit* or *per* is not above 0, *burst* is below 1, one of
            them is not finite, their quotient is too small or too big for a float,
            or *unit* is empty or has spaces or slashes.

    Threads:
        Immutable; share it freely.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"
    __slots__ = ("burst", "exact", "limit", "per", "unit")

    limit: float
    per: float
    burst: float
    exact: bool
    unit: str

    def __init__(
        self,
        limit: float,
        per: float | timedelta = 1.0,
        *,
        burst: float = 1.0,
        exact: bool = False,
        unit: str = "calls",
    ) -> None:
        super().__init__(
            limit=positive("limit", limit),
            per=duration("per", per),
            burst=at_least_one("burst", burst),
            exact=flag("exact", exact),
            unit=_checked_unit(unit),
        )
        interval = self.per / self.limit
        if not (interval > 0 and isfinite(interval * self.burst)):
            raise ValueError(
                f"limit={shown(limit)}, per={shown(per)}, burst={shown(burst)} are out"
                " of the range of a float: choose a longer or a shorter period"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a rate from *text*, such as `"500/min"` or `"5/min burst 5"`.

        Args:
            text: `LIMIT [UNIT]/PERIOD`, optionally followed by `burst BURST` or
                `exact`. The period is a length of time (ms, s, min, h or hour, d or
                day, and their long names), optionally with a number before it.

        Raises:
            TypeError: If *text* is not a string.
            ValueError: If *text* has another form; the message lists the forms.

        .. versionadded:: 0.1
        """
        if not isinstance(text, str):
            raise TypeError(f"a rate's text must be a string, not {shown(text)}")
        amount, _, rest = text.partition("/")
        limit, *counted = amount.split() or [""]
        period, *words = rest.lower().split() or [""]
        burst, exact = "1", words == ["exact"]
        if len(words) == 2 and words[0] == "burst":  # noqa: PLR2004  # "burst", number
            burst = words[1]
        elif words and not exact:
            raise ValueError(_unreadable(text))
        quantity = period.rstrip(ascii_lowercase)
        length = period[len(quantity) :]
        if counted[1:] or length not in _LENGTHS_S:
            raise ValueError(_unreadable(text))
        try:
            numbers = float(limit), float(quantity or "1"), float(burst)
        except ValueError:
            raise ValueError(_unreadable(text)) from None
        per = numbers[1] * _LENGTHS_S[length]
        unit = counted[0] if counted else "calls"
        return cls(numbers[0], per, burst=numbers[2], exact=exact, unit=unit)

    def __str__(self) -> str:
        length = _LENGTH_NAMES.get(self.per, f"{_plain(self.per)}s")
        unit = "" if self.unit == "calls" else f" {self.unit}"
        kind = "exact" if self.exact else f"burst {_plain(self.burst)}"
        return f"{_plain(self.limit)}{unit}/{length} {kind}"

    def __repr__(self) -> str:
        parts = [_plain(self.limit), f"per={_plain(self.per)}"]
        parts.append("exact=True" if self.exact else f"burst={_plain(self.burst)}")
        parts += [] if self.unit == "calls" else [f"unit={self.unit!r}"]
        return f"Rate({', '.join(parts)})"


def most_at_once(rate: Rate) -> float:
    """Return the greatest amount that *rate* ever admits, however long one waits."""
    return rate.limit if rate.exact else rate.burst


def _checked_unit(unit: object) -> str:
    if not isinstance(unit, str):
        raise TypeError(f"unit must be a word such as 'tokens', not {shown(unit)}")
    if unit.split() != [unit] or "/" in unit:
        raise ValueError(f"unit must be one word such as 'tokens', not {shown(unit)}")
    return unit


def _plain(number: float) -> str:
    """Return the shortest text of *number* that loses nothing."""
    text = f"{number:g}"
    return text if float(text) == number else repr(number)  # noqa: RUF069  # exact


def _unreadable(text: str) -> str:
    return f"can't read {shown(text)} as a rate; the forms are {_FORMS}"
