"""The block form: `for attempt in policy: with attempt: ...`."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from math import inf
from types import TracebackType
from typing import Literal, final

from .call import Call
from .policy import NOTHING, Policy, Use

if sys.version_info >= (3, 11):
    from typing import Self
else:
    from typing_extensions import Self

State = Literal["new", "inside", "failed", "over"]


@final
class Attempt:
    """One attempt of a block: enter it by `with`, or under `async for` by `async with`.

    An error that is retried ends the block silently, and the loop goes round. When the
    block is left in any other way the loop ends with it.

    Attributes:
        number: Which attempt it is, counted from 1.

    Raises:
        RuntimeError: If its block is entered a second time.
        TypeError: If it is entered by `with` under `async for` although the policy has
            an *attempt_timeout*, or by `async with` under `for`.

    Cancellation:
        While it waits for its limiter, and whatever its block does. Nothing stays
        taken then.

    Threads:
        It belongs to the thread or task that got it.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"
    __slots__ = ("_awaited", "_call", "_cut", "_policy", "_state", "number")

    # Attempts aren't made by users.
    def __init__(self, call: Call, *, awaited: bool) -> None:  # noqa: DOC101, DOC103 - see above
        course = call.open_course()
        self.number: int = course.history.number
        self._call = call
        self._policy: Policy = course.use.policy
        self._awaited = awaited
        self._state: State = "new"

    @property
    def last_exception(self) -> Exception | None:
        """What the attempt before this one has raised; None after the end.

        .. versionadded:: 0.1
        """
        return self._call.open_course().history.last

    @property
    def next_wait(self) -> float:
        """Seconds until the next attempt, should this one fail and no server ask more.

        .. versionadded:: 0.1
        """
        return self._call.open_course().wait()

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, at least 0; None if there is none.

        .. versionadded:: 0.1
        """
        policy, call = self._policy, self._call
        # A call that has ended knows of no deadline any more, but its attempts do.
        left = min(call.left(), call.begun + policy.timeout - policy.now())
        return None if left == inf else max(0.0, left)

    def __enter__(self) -> Self:
        if self._awaited:
            self._policy.refuse_attempt_timeout("a block entered by `with`")
        self._enter()
        try:
            self._call.open_course().admit()
        except BaseException:
            self._call.end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        return self._left(error)

    async def __aenter__(self) -> Self:
        if not self._awaited:
            raise TypeError("`async with attempt` needs `async for attempt in policy`")
        self._enter()
        try:
            await self._call.open_course().aadmit()
            self._cut: AbstractContextManager[object] = self._call.cut()
            self._cut.__enter__()
        except BaseException:
            self._call.end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        try:
            self._cut.__exit__(kind, error, trace)
        except Exception as other:  # it was cut, or a part of its group was
            if self._left(other):
                return True
            raise
        except BaseException as other:
            self._left(other)
            raise
        return self._left(error)

    def _enter(self) -> None:
        if self._state != "new":
            raise RuntimeError(f"an attempt is entered once, not again: {self!r}")
        self._state = "inside"
        self._call.go_on()

    def _left(self, error: BaseException | None) -> bool:
        """Judge how the block has ended; whether the error is to be swallowed."""
        call = self._call
        self._state = "over"
        try:
            if error is None:
                call.open_course().accepts(None)
            elif isinstance(error, Exception) and call.open_course().retries(error):
                self._state = "failed"
        finally:
            if self._state == "failed":
                call.use = NOTHING
            else:
                call.end()
        return self._state == "failed"

    def __repr__(self) -> str:
        return f"<Attempt {self.number} of {self._policy}: {self._state}>"


class _Rounds:
    """Goes round while attempts fail and are to be made again."""

    __slots__ = ("_attempt", "_awaited", "_call")

    def __init__(self, policy: Policy, *, awaited: bool) -> None:
        self._call = Call(Use(policy, None))
        self._awaited = awaited
        self._attempt: Attempt | None = None

    # A loop may be left after an attempt that failed, and tells nobody. The collector
    # may call this, so it waits for nothing.
    def __del__(self) -> None:  # noqa: HC11 - see above
        self._call.end(GeneratorExit)

    def _ended(self) -> bool:
        """Whether there is no other round."""
        attempt = self._attempt
        if attempt is None:
            return False
        state = attempt._state  # noqa: SLF001 - the same module
        if state in {"new", "inside"}:
            raise RuntimeError(
                f"{attempt!r} was not entered, or not left: each round of the loop"
                " needs its own `with attempt:` around all that may fail"
            )
        return state == "over"

    def _following(self) -> Attempt:
        self._attempt = Attempt(self._call, awaited=self._awaited)
        return self._attempt


@final
class SyncRounds(_Rounds):
    """The attempts of a `for` loop."""

    __slots__ = ()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Attempt:
        if self._ended():
            raise StopIteration
        if self._attempt is not None:
            self._call.open_course().rest()
        return self._following()


@final
class AsyncRounds(_Rounds):
    """The attempts of an `async for` loop."""

    __slots__ = ()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Attempt:
        if self._ended():
            raise StopAsyncIteration
        if self._attempt is not None:
            await self._call.open_course().arest()
        return self._following()
