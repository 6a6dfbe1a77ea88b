"""What attempts have raised, and what is told of it."""

from __future__ import annotations

from types import TracebackType
from typing import Final, final

from .._core.backoff import Reason
from .._errors import note
from .._runtime.events import (
    RetryGaveUp,
    RetryNested,
    RetryScheduled,
    RetrySucceeded,
    emit,
)
from .policy import Policy, Use

_WHY: Final[dict[Reason, str]] = {
    "attempts": "no attempts are left",
    "budget": "the budget for retries is spent",
    "deadline": "no other attempt could begin before the deadline",
    "not_retryable": "this error is not retried",
}


@final
class History:
    """The attempts of one call, and of their errors the last.

    Args:
        use: What is called under which policy.
        begun: When that began, by the clock of the policy.

    Attributes:
        number: Which attempt it is, counted from 1.
        last: What the one before has raised; None if there is none, or if its result
            was not good enough.
    """

    __slots__ = ("_begun", "_earlier", "_trace", "_use", "last", "number")

    def __init__(self, use: Use, begun: float) -> None:
        self._use = use
        self._begun = begun
        self.number: int = 1
        self.last: Exception | None = None
        self._trace: TracebackType | None = None
        self._earlier: dict[str, int] = {}  # how many errors of which type

    def add(self, error: Exception | None) -> None:
        """Take in what the attempt has raised."""
        if self.last is not None:
            kind = type(self.last).__qualname__
            self._earlier[kind] = self._earlier.get(kind, 0) + 1
        older = self._trace if error is self.last else None
        self.last = error
        self._trace = None if error is None else error.__traceback__
        _cut_off(self._trace, older, once=self._use.function is not None)

    def forget(self) -> None:
        """Let go of the last error: it holds the frame that holds this."""
        self.last = self._trace = None

    def tell_scheduled(self, wait: float, outer: Policy | None) -> None:
        """Tell that there is another attempt in *wait* seconds, inside of *outer*."""
        policy, function = self._use.policy, self._use.function
        if outer is not None and not policy.told_of_nesting:
            policy.told_of_nesting = True
            emit(RetryNested, policy=policy.name, function=function, outer=outer.name)
        emit(
            RetryScheduled,
            policy=policy.name,
            function=function,
            attempt=self.number,
            error=self.last,
            wait=wait,
        )

    def give_up(self, reason: Reason) -> None:
        """Tell why this attempt is the last, and note it on what it has raised."""
        use, error, seconds = self._use, self.last, self._seconds()
        self.forget()
        if error is not None and (self.number > 1 or reason != "not_retryable"):
            note(error, f"{use.policy}: gave up after ", self._text(reason, seconds))
        emit(
            RetryGaveUp,
            policy=use.policy.name,
            function=use.function,
            attempts=self.number,
            seconds=seconds,
            error=error,
            reason=reason,
        )

    def succeed(self) -> None:
        """Tell that this attempt succeeded, if it isn't the first."""
        self.forget()
        if self.number > 1:
            emit(
                RetrySucceeded,
                policy=self._use.policy.name,
                function=self._use.function,
                attempts=self.number,
                seconds=self._seconds(),
            )

    def _seconds(self) -> float:
        return self._use.policy.now() - self._begun

    def _text(self, reason: Reason, seconds: float) -> str:
        attempts = "1 attempt" if self.number == 1 else f"{self.number} attempts"
        text = f"{attempts} in {seconds:.3g} s, since {_WHY[reason]}"
        kinds = self._earlier.items()
        before = ", ".join(f"{kind} x{n}" if n > 1 else kind for kind, n in kinds)
        return f"{text}; before: {before}" if before else text


def _cut_off(
    trace: TracebackType | None, older: TracebackType | None, *, once: bool
) -> None:
    """Cut off of *trace* what is of earlier attempts that raised the same error.

    Args:
        trace: Where it was raised: first in the frame that makes the attempts.
        older: What that was when the attempt before had raised it, if it was the same.
        once: Whether that frame is no more than *once* in an attempt: it is our own. A
            block is in its user's frame, which may have raised the error again.
    """
    maker = trace.tb_frame if once and trace is not None else None
    while trace is not None:
        following = trace.tb_next
        if following is not None and (
            following is older or following.tb_frame is maker
        ):
            trace.tb_next = None
            return
        trace = following
