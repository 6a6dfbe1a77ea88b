"""The header `Retry-After`, in all the forms that servers may send."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concutil import parse_retry_after

NOW = datetime(1994, 11, 6, 8, 49, 7, tzinfo=timezone.utc)


def at(*date: int) -> datetime:
    """Return a time of UTC."""
    return datetime(*date, tzinfo=timezone.utc)  # type: ignore[arg-type, misc]  # ints


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("007", 7),
        (" \t30 \t", 30),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 30),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 30),
        ("Sun Nov  6 08:49:37 1994", 30),
        ("Sun Nov 16 08:49:07 1994", 864_000),
        ("Sun, 06 Nov 1994 08:49:07 GMT", 0),
        ("Sun, 06 Nov 1994 08:49:06 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ],
)
def test_seconds_and_dates(header: str, seconds: float) -> None:
    """Seconds are taken as they are, dates of all forms from now on; at least 0."""
    found = parse_retry_after(header, now=NOW)

    assert found == seconds
    assert type(found) is float


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"120",
        120,
        "",
        " ",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "0x10",
        "1_000",
        "1, 2",
        "12\n",
        "١٢",
        "²",
        "Sun, ٠٦ Nov 1994 08:49:37 GMT",
        "9" * 400,
        " " + "9" * 5000,
        "soon",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Okt 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 31 Jun 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Fri, 31 Dec 9999 23:59:60 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
    ],
    ids=lambda header: repr(header)[:60],
)
def test_whatever_else_is_none(header: Any) -> None:
    """What is neither whole seconds nor an HTTP date asks for nothing."""
    assert parse_retry_after(header, now=NOW) is None


@given(st.text())
def test_no_text_is_an_error(header: str) -> None:
    """Whatever a server sends, the answer is a wait or None."""
    found = parse_retry_after(header, now=NOW)

    assert found is None or found >= 0


@pytest.mark.parametrize(
    ("now", "year", "seconds"),
    [
        (at(2026, 11, 6, 8, 49, 7), "26", 30),
        (at(2026, 11, 6, 8, 49, 7), "25", 0),
        (at(2026, 11, 6, 8, 49, 7), "27", 365 * 86_400 + 30),
        (at(2026, 11, 6, 8, 49, 7), "75", (49 * 365 + 12) * 86_400 + 30),
        (at(2026, 11, 6, 8, 49, 7), "76", 0),
        (at(2026, 11, 6, 8, 49, 7), "77", 0),
        (at(2026, 11, 6, 8, 49, 7), "99", 0),
        (at(1999, 11, 6, 8, 49, 7), "99", 30),
        (at(2000, 11, 6, 8, 49, 7), "00", 30),
    ],
)
def test_years_of_two_digits(now: datetime, year: str, seconds: float) -> None:
    """They are of this century, but what would be over 50 years ahead is past."""
    header = f"Friday, 06-Nov-{year} 08:49:37 GMT"

    assert parse_retry_after(header, now=now) == seconds


def test_a_leap_second() -> None:
    """The sixtieth second of a minute is there, and the next minute as well."""
    now = at(2016, 12, 31, 23, 59, 50)

    assert parse_retry_after("Sat, 31 Dec 2016 23:59:59 GMT", now=now) == 9
    assert parse_retry_after("Sat, 31 Dec 2016 23:59:60 GMT", now=now) == 10


def test_now_is_of_any_zone() -> None:
    """What is compared are instants, wherever the caller's clock hangs."""
    for hours in (-12, 0, 5.5, 14):
        now = NOW.astimezone(timezone(timedelta(hours=hours)))
        assert parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now=now) == 30


def test_a_fraction_of_a_second_counts() -> None:
    """Dates are of whole seconds, the time that they are compared with is not."""
    now = NOW + timedelta(milliseconds=250)

    assert parse_retry_after("Sun, 06 Nov 1994 08:49:08 GMT", now=now) == 0.75


def test_without_now_the_wall_clock_is_read() -> None:
    """A date of long ago is over, one of far ahead is not, by the clock of today."""
    assert parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT") == 0
    ahead = parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT")
    assert ahead is not None
    assert 0 < ahead < 8000 * 366 * 86_400


class Nowhere(tzinfo):
    """A zone that doesn't know its offset."""

    def utcoffset(self, _: datetime | None) -> None:
        return None


@pytest.mark.parametrize("header", ["5", None, "Sun, 06 Nov 1994 08:49:37 GMT"])
def test_wrong_times_are_refused(header: str | None) -> None:
    """A time without a zone or of another kind is an error whatever the header is."""
    for naive in (datetime(1994, 11, 6), datetime(1994, 11, 6, tzinfo=Nowhere())):  # noqa: DTZ001 - on purpose
        with pytest.raises(ValueError, match="now must have a time zone, not datetime"):
            parse_retry_after(header, now=naive)
    with pytest.raises(TypeError, match="now must be an aware datetime, or None"):
        parse_retry_after(header, now=5)  # type: ignore[arg-type]  # on purpose
