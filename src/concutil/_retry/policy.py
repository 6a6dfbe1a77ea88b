"""What a policy knows: its options, checked, for all calls that use it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from math import inf
from typing import Any, Final, final

from .._core import options
from .._core.backoff import JITTERS, Backoff, Jitter, Plan, Verdict
from .._limits.face import Face
from .._runtime.clock import Clock, check_clock, reader
from .budget import Account, RetryBudget, account_of
from .matching import judge, matcher


@final
class Policy:
    """The options of a `Retry`, and what it has told already.

    Attributes:
        judge: Says of an error whether it is retried.
        judge_result: Says so of a result; None if all results are good.
        plan: Decides whether and when there is another attempt.
        timeout: Seconds for a whole call; inf for no limit.
        attempt_timeout: Seconds for one attempt; inf for no limit.
        endless: Whether there is no limit of time.
        limiter: What lets each attempt start, or None.
        account: What pays for retries, or None.
        plain: Whether a success at once needs nothing else.
        name: How it is called, or None.
        told_of_loop: Whether it has told that it blocks a loop.
        told_of_nesting: Whether it has told that it runs inside of another policy.
    """

    __slots__ = (
        "account",
        "attempt_timeout",
        "clock",
        "endless",
        "judge",
        "judge_result",
        "limiter",
        "name",
        "now",
        "plain",
        "plan",
        "shown",
        "timeout",
        "told_of_loop",
        "told_of_nesting",
    )

    # The arguments are those of `retry`, which tells of them.
    def __init__(  # noqa: DOC101, DOC103 - see above
        self,
        on: object,
        *,
        attempts: int | None,
        timeout: float | timedelta | None,
        attempt_timeout: float | timedelta | None,
        wait_initial: float | timedelta,
        wait_max: float | timedelta,
        backoff_factor: float,
        jitter: Jitter,
        on_result: object,
        limiter: object,
        budget: object,
        name: str | None,
        clock: object,
    ) -> None:
        self.judge: Callable[[Exception], Verdict] = matcher(on)
        self.judge_result: Callable[[Any], object] | None = _function(
            "on_result", on_result
        )
        most = None if attempts is None else options.count("attempts", attempts)
        backoff = Backoff(
            initial=options.duration_or_zero("wait_initial", wait_initial),
            factor=options.at_least_one("backoff_factor", backoff_factor),
            cap=options.duration("wait_max", wait_max),
            jitter=_jitter(jitter),
        )
        self.plan: Plan = Plan(attempts=most, backoff=backoff)
        self.timeout: float = _limit("timeout", timeout)
        self.attempt_timeout: float = _limit("attempt_timeout", attempt_timeout)
        self.endless: bool = self.timeout == self.attempt_timeout == inf
        self.limiter: Face | None = _limiter(limiter)
        self.account: Account | None = _account(budget)
        self.plain: bool = self.limiter is None and self.judge_result is None
        self.name: str | None = options.label("name", name)
        self.clock: Clock | None = check_clock(clock)
        self.now: Callable[[], float] = reader(self.clock)
        self.shown: str = self._text(on)
        self.told_of_loop: bool = False
        self.told_of_nesting: bool = False

    def __str__(self) -> str:
        return "retry" if self.name is None else f"retry {self.name!r}"

    def for_function(self, fn: object) -> Use:
        """Return the use of this policy for calls of *fn*."""
        return Use(self, getattr(fn, "__qualname__", None) or repr(fn))

    def refuse_attempt_timeout(self, what: str) -> None:
        """Raise if an attempt is to be cut that can't be."""
        if self.attempt_timeout != inf:
            raise TypeError(
                f"{self} has attempt_timeout={self.attempt_timeout:g}, and {what} can't"
                " be cut: use an async function, or a policy without it"
            )

    def refuse_on_result(self, what: str) -> None:
        """Raise if results are to be judged where there are none."""
        if self.judge_result is not None:
            raise TypeError(f"{self} has on_result=, and {what} has no result to judge")

    def _text(self, on: object) -> str:
        parts = [] if self.name is None else [repr(self.name)]
        types = on if isinstance(on, tuple) else (on,)
        shown = [getattr(it, "__qualname__", None) or options.shown(it) for it in types]
        parts.append(f"on {', '.join(shown)}:")
        most = self.plan.attempts
        parts.append("no limit of attempts" if most is None else f"{most} attempts")
        if self.timeout != inf:
            parts.append(f"in {self.timeout:g} s")
        return " ".join(parts)


@final
class Use:
    """What calls have in common that use one policy for one purpose.

    Args:
        policy: How they are retried.
        function: The name of what is called; None for blocks.
    """

    __slots__ = ("function", "policy")

    def __init__(self, policy: Policy, function: str | None) -> None:
        self.policy: Policy = policy
        self.function: str | None = function


def chance() -> float:
    """Draw from between 0 and 1; the source is seeded anew after a fork."""
    from random import random

    return random()  # noqa: S311 - no secret


def _limit(name: str, value: float | timedelta | None) -> float:
    return inf if value is None else options.duration(name, value)


def _jitter(value: object) -> Jitter:
    for jitter in JITTERS:
        if value == jitter:
            return jitter
    raise ValueError(
        f"jitter must be 'full', 'equal' or 'none', not {options.shown(value)}"
    )


def _function(name: str, value: object) -> Callable[[Any], object] | None:
    if value is None:
        return None
    if callable(value):
        return judge(name, value)
    raise TypeError(
        f"{name} must be a function of the result, or None, not {options.shown(value)}"
    )


def _limiter(value: object) -> Face | None:
    if value is None or isinstance(value, Face):
        return value
    raise TypeError(
        f"limiter must be a RateLimiter or a view of a KeyedRateLimiter, or None, not"
        f" {options.shown(value)}"
    )


def _account(value: object) -> Account | None:
    if value is None:
        return None
    if isinstance(value, RetryBudget):
        return account_of(value)
    raise TypeError(
        f"budget must be a RetryBudget, or None, not {options.shown(value)}"
    )


# What stands in for the use of a call that has ended: nothing of the caller's.
NOTHING: Final = Use(
    Policy(
        (Exception,),
        attempts=1,
        timeout=None,
        attempt_timeout=None,
        wait_initial=0,
        wait_max=1,
        backoff_factor=1,
        jitter="none",
        on_result=None,
        limiter=None,
        budget=None,
        name=None,
        clock=None,
    ),
    None,
)
