"""What `on=` and `on_result=` say of an outcome."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

from .._core import options
from .._core.backoff import Verdict
from .._runtime.calls import is_async

Answer = bool | float | timedelta | None
On = type[Exception] | Iterable[type[Exception]] | Callable[[Exception], Answer]

_EXPECTED: Final = (
    "True, False, None, a number of seconds of at least 0, or a timedelta"
)


def matcher(on: object) -> Callable[[Exception], Verdict]:
    """Return the function that judges errors as *on* says."""
    if isinstance(on, type):
        return _matcher_of_types((on,))
    if callable(on):
        ask = judge("on", on)
        return lambda error: verdict("on", ask(error))
    if isinstance(on, Iterable):
        return _matcher_of_types(tuple(on))
    raise TypeError(
        "on must be an exception type, several of them, or a function of the error,"
        f" not {options.shown(on)}"
    )


def judge(name: str, function: Callable[..., object]) -> Callable[..., object]:
    """Return the caller's *function*, the option *name*, if it is a sync one."""
    if is_async(function):
        raise TypeError(
            f"{name} must be a sync function, not {options.shown(function)}"
        )
    return function


def verdict(name: str, answer: object) -> Verdict:
    """Return the *answer* of the caller's function *name* as a verdict."""
    if isinstance(answer, bool):
        return answer
    if answer is None:
        return False
    if getattr(getattr(answer, "dtype", None), "kind", None) == "b":  # numpy's
        return bool(answer)
    return options.duration_or_zero(f"the answer of {name}", answer, _EXPECTED)


def _matcher_of_types(types: tuple[object, ...]) -> Callable[[Exception], Verdict]:
    for kind in types:
        if not isinstance(kind, type) or not issubclass(kind, BaseException):
            raise TypeError(f"on must hold exception types, not {options.shown(kind)}")
        if not issubclass(kind, Exception):
            raise TypeError(
                f"on must hold subclasses of Exception, not {kind.__name__}: what ends"
                " a task, a thread or the program is never retried"
            )
    if not types:
        raise ValueError("on must hold at least one exception type")
    wanted: tuple[type[Exception], ...] = types  # type: ignore[assignment]  # as seen
    return lambda error: isinstance(error, wanted) or _all_match(error, wanted)


def _all_match(error: BaseException, wanted: tuple[type[Exception], ...]) -> bool:
    """Whether *error* is a group whose leaves all match."""
    group = _group_type()
    if group is None or not isinstance(error, group):
        return False
    parts: tuple[BaseException, ...] = error.exceptions  # type: ignore[attr-defined]  # a group has them
    return all(isinstance(it, wanted) or _all_match(it, wanted) for it in parts)


def _group_type() -> type[BaseException] | None:
    """Return the type of all groups; None if there can't be one."""
    # 3.10 has groups only by the backport, once somebody has imported it.
    home = sys.modules.get("exceptiongroup", builtins)
    return getattr(home, "BaseExceptionGroup", None)
