"""The wrappers of decorated functions, one for each colour."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast, final

from .._runtime.calls import Colours, relaying
from .call import Call, publish
from .policy import NOTHING, Policy, Use

P = ParamSpec("P")
R = TypeVar("R")


def sync(policy: Policy, fn: Callable[P, R]) -> Callable[P, R]:
    """Return *fn*, called again as *policy* says."""
    use = _use_of_sync(policy, fn)

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        call = Call(use)
        course = call.course
        try:
            publish(call)
            while course is None or course.admit():
                try:
                    result = fn(*args, **kwargs)
                except Exception as error:  # only these are ever retried
                    course = call.open_course()
                    if not course.retries(error):
                        raise
                else:
                    if course is None or course.accepts(result):
                        return result
                course.rest()
            return cast("R", course.result)
        finally:
            call.use = NOTHING
            if call.course is not None:
                call.end()

    return call


def _use_of_sync(policy: Policy, fn: object) -> Use:
    policy.refuse_attempt_timeout("a sync function")
    return policy.for_function(fn)


def coroutine(
    policy: Policy, fn: Callable[P, Awaitable[R]]
) -> Callable[P, Awaitable[R]]:
    """Return the async function *fn*, called again as *policy* says."""
    use = policy.for_function(fn)

    async def call(*args: P.args, **kwargs: P.kwargs) -> R:  # noqa: HC2 - the async face
        """Do the same in a task."""
        call = Call(use)
        course = call.course
        try:
            publish(call)
            while course is None or await course.aadmit():
                try:
                    attempt = fn(*args, **kwargs)
                    result = await (attempt if call.endless else _cut(call, attempt))
                except Exception as error:
                    course = call.open_course()
                    if not course.retries(error):
                        raise
                else:
                    if course is None or course.accepts(result):
                        return result
                await course.arest()
            return cast("R", course.result)
        finally:
            call.end()

    return call


async def _cut(call: Call, attempt: Awaitable[R]) -> R:
    """Return what *attempt* gives, if that comes in time."""
    with call.cut():
        return await attempt


def generator(
    policy: Policy, fn: Callable[P, Generator[Any, Any, Any]]
) -> Callable[P, Generator[Any, Any, Any]]:
    """Return the generator function *fn*, begun again until its first item is there."""
    use = _use_of_sync_items(policy, fn)

    def iterate(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, Any]:
        course = (call := Call(use)).open_course()
        try:
            publish(call)
            while True:
                course.admit()
                inner = fn(*args, **kwargs)
                try:
                    first = next(inner)
                except StopIteration as done:
                    course.begun()
                    return done.value
                except Exception as error:
                    if not course.retries(error):
                        raise
                else:
                    course.begun()
                    return (yield from _Begun(first, inner))
                course.rest()
        finally:
            call.end()

    return iterate


def _use_of_sync_items(policy: Policy, fn: object) -> Use:
    policy.refuse_attempt_timeout("a generator function")
    return _use_of_items(policy, fn)


def _use_of_items(policy: Policy, fn: object) -> Use:
    policy.refuse_on_result("a generator function")
    return policy.for_function(fn)


@final
class _Begun:
    """A generator whose first item was taken out, and is delivered first."""

    __slots__ = ("_first", "_inner", "close", "send", "throw")

    def __init__(self, first: object, inner: Generator[Any, Any, Any]) -> None:
        self._first = [first]
        self._inner = inner
        self.send = inner.send
        self.throw = inner.throw
        self.close = inner.close

    def __iter__(self) -> _Begun:
        return self

    def __next__(self) -> object:
        return self._first.pop() if self._first else next(self._inner)


def async_generator(
    policy: Policy, fn: Callable[P, AsyncGenerator[Any, Any]]
) -> Callable[P, AsyncGenerator[Any, Any]]:
    """Return the async generator function *fn*, begun again until its first item."""
    use = _use_of_items(policy, fn)
    return relaying(
        lambda *args, **kwargs: _Stream(Call(use), lambda: fn(*args, **kwargs))
    )


@final
class _Stream:
    """An async generator that is begun again until its first item is there."""

    __slots__ = ("_begin", "_call", "_inner")

    def __init__(
        self, call: Call, begin: Callable[[], AsyncGenerator[Any, Any]]
    ) -> None:
        self._call = call
        self._begin = begin
        self._inner: AsyncGenerator[Any, Any] | None = None

    async def __aenter__(self) -> _Stream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call.end()

    def asend(self, value: object) -> Awaitable[Any]:
        return self._first() if self._inner is None else self._inner.asend(value)

    def athrow(self, error: BaseException) -> Awaitable[Any]:
        assert self._inner is not None, "nothing is thrown in before the first item"
        return self._inner.athrow(error)

    async def aclose(self) -> None:
        if self._inner is not None:
            await self._inner.aclose()

    async def _first(self) -> object:
        course = self._call.open_course()
        publish(self._call)
        while True:
            await course.aadmit()
            inner = self._begin()
            try:
                with self._call.cut():
                    first = await anext(inner)
            except StopAsyncIteration:
                course.begun()
                raise
            except Exception as error:
                if not course.retries(error):
                    raise
            else:
                self._inner = inner
                course.begun()
                return first
            await course.arest()


def colours_of(policy: Policy) -> Colours:
    """Return how *policy* wraps a function of each colour."""
    return Colours(
        sync=lambda fn: sync(policy, fn),
        coroutine=lambda fn: coroutine(policy, fn),
        generator=lambda fn: generator(policy, fn),
        async_generator=lambda fn: async_generator(policy, fn),
    )
