"""The HTTP header `Retry-After`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from math import isfinite
from typing import Final

from .options import shown

_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_DAY: Final = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_WEEKDAY: Final = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_TIME: Final = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_MONTH: Final = f"(?P<month>{'|'.join(_MONTHS)})"

_SECONDS: Final = re.compile(r"\d+", re.ASCII)
# RFC 9110, section 5.6.7: one form to write, and two old ones to read.
_DATES: Final = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"{_DAY}, (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"{_WEEKDAY}, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
        rf"{_DAY} {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)
_CENTURY_YEARS: Final = 100
# A date whose year has two digits is not further ahead than this.
_AHEAD: Final = timedelta(days=50 * 365.2425)
_LEAP_SECOND: Final = 60


def parse_retry_after(
    header: str | None, *, now: datetime | None = None
) -> float | None:
    """Return the seconds that a `Retry-After` header asks to wait.

    Args:
        header: Its value: whole seconds or an HTTP date, by RFC 9110, section 10.2.3.
            None, for a response without it, gives None.
        now: What a date is compared with, an aware datetime; None reads the wall clock.

    Returns:
        Seconds, at least 0; None for whatever is neither of both forms.

    Raises:
        TypeError: If *now* is no datetime.
        ValueError: If *now* has no time zone.

    .. versionadded:: 0.1
    """
    if now is not None and not isinstance(now, datetime):
        raise TypeError(f"now must be an aware datetime, or None, not {shown(now)}")
    if now is not None and now.utcoffset() is None:
        raise ValueError(f"now must have a time zone, not {shown(now)}")
    if not isinstance(header, str):
        return None
    text = header.strip(" \t")
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        return seconds if isfinite(seconds) else None
    try:
        present = (now or datetime.now(timezone.utc)).astimezone(timezone.utc)
        date = _date_of(text, present)
    except (ValueError, OverflowError):  # the 31st of June, or the end of all years
        return None
    return None if date is None else max(0.0, (date - present).total_seconds())


parse_retry_after.__module__ = "concutil"


def _date_of(text: str, now: datetime) -> datetime | None:
    for form in _DATES:
        found = form.fullmatch(text)
        if found is not None:
            return _date(found, now)
    return None


def _date(found: re.Match[str], now: datetime) -> datetime:
    names = ("year", "day", "hour", "minute", "second")
    year, day, hour, minute, second = (int(found[name]) for name in names)
    short = len(found["year"]) == len("99")
    if short:
        year += now.year - now.year % _CENTURY_YEARS
    leap = second == _LEAP_SECOND
    month = _MONTHS.index(found["month"]) + 1
    clock = hour, minute, second - leap
    date = datetime(year, month, day, *clock, tzinfo=timezone.utc)
    date += timedelta(seconds=leap)
    if short and date - now > _AHEAD:
        return date.replace(year=year - _CENTURY_YEARS)
    return date
