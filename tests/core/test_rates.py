"""A Rate says how often; its text forms are read or refused with the forms."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concutil import Rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/s", Rate(10)),
        ("500/min", Rate(500, 60)),
        ("2/500ms", Rate(2, 0.5)),
        ("5000/hour", Rate(5000, 3600)),
        ("5/min burst 5", Rate(5, 60, burst=5)),
        (" 7 / 2s ", Rate(7, 2)),
        ("1/1e-05s", Rate(1, 1e-05)),
        ("1.5/d", Rate(1.5, 86400)),
        ("100/MIN BURST 2.5", Rate(100, 60, burst=2.5)),
        ("1/3days", Rate(1, 3 * 86400)),
        ("1/0.5m", Rate(1, 30)),
        ("90000 tokens/min", Rate(90000, 60, unit="tokens")),
        ("9 tokens/s burst 3", Rate(9, unit="tokens", burst=3)),
        ("5/min exact", Rate(5, 60, exact=True)),
        ("7 calls/s", Rate(7)),
    ],
)
def test_texts_are_read(text: str, rate: Rate) -> None:
    """The documented forms give the rate that they say."""
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "10", "10/", "/s", "10/x", "ten/s", "10/s/s", "10 per s", "10/s 5"),
        *("10/s burst", "10/s burst x", "10/s burst 5 5", "10/s bursts 5", "1/1.2.3s"),
        *("90000 big tokens/min", "10/ss", "10/5", "5/s exact 3", "5/s exact burst 3"),
    ],
)
def test_other_texts_are_refused_with_the_forms(text: str) -> None:
    """What isn't understood is a ValueError that shows it and the accepted forms."""
    with pytest.raises(ValueError, match=r"can't read .* '5/min burst 5'") as info:
        Rate.parse(text)

    assert repr(text) in str(info.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("0/s", "limit"),
        ("-1/s", "limit"),
        ("nan/s", "limit"),
        ("inf/s", "limit"),
        ("5/0s", "per"),
        ("5/-1s", "per"),
        ("5/s burst 0.5", "burst"),
        ("5/s burst nan", "burst"),
    ],
)
def test_numbers_in_texts_are_checked(text: str, name: str) -> None:
    """A form that is right with a number that isn't names the argument."""
    with pytest.raises(ValueError, match=f"^{name} must be "):
        Rate.parse(text)


@pytest.mark.parametrize("text", [None, 10, b"10/s", Rate(1)])
def test_only_texts_are_parsed(text: Any) -> None:
    """Other kinds are a TypeError."""
    with pytest.raises(TypeError, match="a rate's text must be a string"):
        Rate.parse(text)


@pytest.mark.parametrize(
    ("args", "kind", "name"),
    [
        ((0,), ValueError, "limit"),
        ((-1,), ValueError, "limit"),
        ((True,), TypeError, "limit"),
        (("10",), TypeError, "limit"),
        ((10, 0), ValueError, "per"),
        ((10, timedelta(0)), ValueError, "per"),
        ((10, "s"), TypeError, "per"),
        ((10, 1, 0.9), ValueError, "burst"),
        ((10, 1, None), TypeError, "burst"),
        ((10, 1, 1, 1), TypeError, "exact must be True or False"),
        ((10, 1, 1, False, 3), TypeError, "unit must be a word"),
        ((10, 1, 1, False, ""), ValueError, "unit must be one word"),
        ((10, 1, 1, False, "a b"), ValueError, "unit must be one word"),
        ((10, 1, 1, False, "a/b"), ValueError, "unit must be one word"),
        ((1e-320, 1e300), ValueError, "range of a float"),
        ((1e308, 1e-308), ValueError, "range of a float"),
        ((1, 1e300, 1e300), ValueError, "range of a float"),
    ],
)
def test_bad_rates_are_refused(
    args: tuple[Any, ...], kind: type[Exception], name: str
) -> None:
    """Numbers out of range and wrong kinds are refused when the rate is made."""
    with pytest.raises(kind, match=name):
        Rate(*args[:2], **dict(zip(("burst", "exact", "unit"), args[2:], strict=False)))


def test_rates_are_values() -> None:
    """Rates are equal by what they allow, hash and pickle."""
    assert Rate(10, timedelta(minutes=1)) == Rate(10.0, 60)
    assert Rate(10) != Rate(10, burst=2)
    assert len({Rate(10), Rate(10.0)}) == 1
    assert pickle.loads(pickle.dumps(Rate(10, 2, burst=3))) == Rate(10, 2, burst=3)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (Rate(100), "100/s burst 1"),
        (Rate(500, 60, burst=5), "500/min burst 5"),
        (Rate(2, 0.5), "2/0.5s burst 1"),
        (Rate(1.5, 86400), "1.5/d burst 1"),
        (Rate(90, 60, burst=9, unit="tokens"), "90 tokens/min burst 9"),
        (Rate(5, 60, exact=True), "5/min exact"),
    ],
)
def test_rates_show_themselves(rate: Rate, text: str) -> None:
    """The text of a rate can be read back; the repr can be evaluated."""
    assert str(rate) == text
    assert Rate.parse(text) == rate
    assert eval(repr(rate)) == rate  # our own text


@given(limit=st.floats(1e-9, 1e9), per=st.floats(1e-6, 1e6), burst=st.floats(1, 1e9))
def test_text_and_repr_lose_nothing(limit: float, per: float, burst: float) -> None:
    """Any rate of ordinary numbers survives its text and its repr."""
    rate = Rate(limit, per, burst=burst)

    assert Rate.parse(str(rate)) == rate
    assert eval(repr(rate)) == rate  # our own text
