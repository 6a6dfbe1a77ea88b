"""Options are checked when a policy or a budget is made, and shown by it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from concutil import KeyedRateLimiter, RateLimiter, RetryBudget, retry
from concutil.testing import ManualClock

NAN = float("nan")
TIMES = ["timeout", "attempt_timeout", "wait_initial", "wait_max"]

WRONG = [
    *((name, -1, ValueError, "a finite number of seconds") for name in TIMES),
    *((name, NAN, ValueError, "a finite number of seconds") for name in TIMES),
    *((name, "5", TypeError, "a finite number of seconds") for name in TIMES),
    *((name, True, TypeError, "a finite number of seconds") for name in TIMES),
    *((name, timedelta(-1), ValueError, "a finite number") for name in TIMES),
    ("timeout", 0, ValueError, "a finite number of seconds above 0"),
    ("attempt_timeout", 0, ValueError, "a finite number of seconds above 0"),
    ("wait_initial", None, TypeError, "a finite number of seconds of at least 0"),
    ("wait_max", 0, ValueError, "a finite number of seconds above 0"),
    ("wait_max", None, TypeError, "a finite number of seconds above 0"),
    ("attempts", 0, ValueError, "a whole number of at least 1, or None"),
    ("attempts", 1.5, TypeError, "a whole number of at least 1, or None"),
    ("attempts", True, TypeError, "a whole number of at least 1, or None"),
    ("backoff_factor", 0.5, ValueError, "a finite number of at least 1"),
    ("backoff_factor", NAN, ValueError, "a finite number of at least 1"),
    ("backoff_factor", None, TypeError, "a finite number of at least 1"),
    ("jitter", "some", ValueError, "'full', 'equal' or 'none'"),
    ("jitter", None, ValueError, "'full', 'equal' or 'none'"),
    ("on_result", 5, TypeError, "a function of the result, or None"),
    ("limiter", "1/s", TypeError, "a RateLimiter or a view"),
    ("limiter", KeyedRateLimiter("1/s"), TypeError, "a RateLimiter or a view"),
    ("budget", 0.2, TypeError, "a RetryBudget, or None"),
    ("name", "", ValueError, "a string that isn't empty, or None"),
    ("name", 5, TypeError, "a string that isn't empty, or None"),
    ("clock", 5, TypeError, "the methods now"),
]


@pytest.mark.parametrize(
    ("name", "value", "kind", "expected"),
    WRONG,
    ids=[f"{name}-{value!r}"[:40] for name, value, _, _ in WRONG],
)
def test_wrong_options(
    name: str, value: Any, kind: type[Exception], expected: str
) -> None:
    """What is out of its range or of a wrong kind is refused with what was expected."""
    with pytest.raises(kind, match=f"^{name} must (be|have) {expected}.*, not "):
        retry(OSError, **{name: value})


@pytest.mark.parametrize(
    ("on", "kind", "message"),
    [
        ((), ValueError, "on must hold at least one exception type"),
        (5, TypeError, "on must be an exception type, several of them, or a function"),
        (None, TypeError, "on must be an exception type, several of them, or a func"),
        (int, TypeError, "on must hold exception types, not <class 'int'>"),
        ([OSError, 5], TypeError, "on must hold exception types, not 5"),
        ([OSError()], TypeError, r"on must hold exception types, not OSError\(\)"),
        ("OSError", TypeError, "on must hold exception types, not 'O'"),
        (BaseException, TypeError, "subclasses of Exception, not BaseException: what"),
        (KeyboardInterrupt, TypeError, "not KeyboardInterrupt: what ends a task, a"),
        ([OSError, SystemExit], TypeError, "subclasses of Exception, not SystemExit"),
        (GeneratorExit, TypeError, "subclasses of Exception, not GeneratorExit: what"),
    ],
    ids=repr,
)
def test_wrong_errors(on: Any, kind: type[Exception], message: str) -> None:
    """What can't be retried is refused before anybody relies on it."""
    with pytest.raises(kind, match=message):
        retry(on)


def test_options_are_keyword_only() -> None:
    """Nobody has to know an order."""
    with pytest.raises(TypeError, match="positional argument"):
        retry(OSError, 5)  # type: ignore[misc]  # on purpose
    with pytest.raises(TypeError, match="required positional argument: 'on'"):
        retry()  # type: ignore[call-arg]  # on purpose


def test_all_options_at_once() -> None:
    """Every option has values that are taken."""
    limiters = KeyedRateLimiter("1/s", clock=ManualClock())
    for limiter in (RateLimiter("1/s"), limiters["Ada"], None):
        policy = retry(
            OSError,
            attempts=None,
            timeout=None,
            attempt_timeout=timedelta(seconds=1),
            wait_initial=timedelta(0),
            wait_max=timedelta(hours=1),
            backoff_factor=1,
            jitter="equal",
            on_result=bool,
            limiter=limiter,
            budget=RetryBudget(),
            name="api",
            clock=ManualClock(),
        )
        assert repr(policy) == "<Retry 'api' on OSError: no limit of attempts>"


def judge(_: Exception) -> bool:
    """Say no."""
    return False


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"on": OSError}, "<Retry on OSError: 5 attempts in 45 s>"),
        ({"on": (OSError, KeyError)}, "<Retry on OSError, KeyError: 5 attempts in 45"),
        ({"on": judge, "name": "x"}, "<Retry 'x' on judge: 5 attempts in 45 s>"),
        ({"on": OSError, "attempts": 1, "timeout": None}, "<Retry on OSError: 1 att"),
        ({"on": OSError, "attempts": None}, "<Retry on OSError: no limit of attempts"),
    ],
)
def test_a_repr(options: dict[str, Any], shown: str) -> None:
    """It shows the name, what is retried and how often."""
    assert repr(retry(**options)).startswith(shown)


@pytest.mark.parametrize("colour", ["sync", "generator"])
def test_sync_code_can_not_be_cut(colour: str) -> None:
    """An *attempt_timeout* is refused where a function is decorated or called."""
    policy = retry(OSError, attempt_timeout=2.5)

    def plain() -> int:
        return 1

    def items() -> Any:
        yield 1

    message = rf"retry has attempt_timeout=2.5, and a {colour} function can't be cut"
    with pytest.raises(TypeError, match=message):
        policy(plain if colour == "sync" else items)
    with pytest.raises(TypeError, match="a sync function can't be cut: use an async"):
        policy.call(plain)


def test_items_are_not_results() -> None:
    """An *on_result* is refused for generators of both colours."""
    policy = retry(OSError, on_result=bool, name="api")

    def items() -> Any:
        yield 1

    async def later_items() -> Any:
        yield 1

    message = "retry 'api' has on_result=, and a generator function has no result"
    for function in (items, later_items):
        with pytest.raises(TypeError, match=message):
            policy(function)


WRONG_BUDGETS = [
    ("ratio", 0, ValueError, "a finite number above 0"),
    ("ratio", -1, ValueError, "a finite number above 0"),
    ("ratio", NAN, ValueError, "a finite number above 0"),
    ("ratio", "1", TypeError, "a finite number above 0"),
    ("min_per_second", -1, ValueError, "a finite number of at least 0"),
    ("min_per_second", None, TypeError, "a finite number of at least 0"),
    ("window", 0, ValueError, "a finite number of seconds above 0"),
    ("window", 1e-308, ValueError, "at least 0.001 s"),
    ("window", timedelta(0), ValueError, "a finite number of seconds above 0"),
    ("window", None, TypeError, "a finite number of seconds above 0"),
]


@pytest.mark.parametrize(
    ("name", "value", "kind", "expected"),
    WRONG_BUDGETS,
    ids=[f"{name}-{value!r}" for name, value, _, _ in WRONG_BUDGETS],
)
def test_wrong_budgets(
    name: str, value: Any, kind: type[Exception], expected: str
) -> None:
    """A budget's options are checked likewise."""
    with pytest.raises(kind, match=f"^{name} must be {expected}.*, not "):
        RetryBudget(**{name: value})


def test_a_budget_is_shown() -> None:
    """Its repr tells what it allows, and what was spent of that."""
    default = "<RetryBudget of 0.2 of requests and 1/s over 10 s: 0 of 10 spent>"

    assert repr(RetryBudget()) == default
    other = RetryBudget(1, min_per_second=0, window=timedelta(minutes=1))
    text = "<RetryBudget of 1 of requests and 0/s over 60 s: 0 of 0 spent>"
    assert repr(other) == text
