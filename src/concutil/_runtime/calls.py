"""What all decorators share: the colour and the signature of what they decorate."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Generator
from types import TracebackType
from typing import Any, ParamSpec, Protocol, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


class Guard(Protocol):
    """A block that can be entered from threads and from tasks."""

    def __enter__(self) -> object: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    async def __aenter__(self) -> object: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def guarded(fn: Callable[P, R], guard: Callable[..., Guard]) -> Callable[P, R]:
    """Return *fn* with every call inside of the block that *guard* returns for it.

    Args:
        fn: A function, async function, generator or async generator function, a
            static or class method, or any other callable. Generators enter the
            block when they are first advanced and leave it when they end, are
            closed or are dropped.
        guard: Called with the arguments of each call.

    Raises:
        TypeError: If *fn* can't be called.
    """
    if isinstance(fn, (staticmethod, classmethod)):
        method = type(fn)(guarded(fn.__func__, guard))
        return cast("Callable[P, R]", method)
    if not callable(fn):
        raise TypeError(f"only a callable can be decorated, not {fn!r}")
    wrapper = _wrapper_of(fn, guard)
    return cast("Callable[P, R]", functools.wraps(fn)(wrapper))


def _wrapper_of(
    fn: Callable[..., Any], guard: Callable[..., Guard]
) -> Callable[..., Any]:
    from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction

    call = type(fn).__call__  # an object with __call__ has the colour of that
    for has_colour, wrap in (
        (iscoroutinefunction, _async),
        (isasyncgenfunction, _async_generator),
        (isgeneratorfunction, _generator),
    ):
        if has_colour(fn) or has_colour(call):
            return wrap(fn, guard)
    return _sync(fn, guard)


def _sync(fn: Callable[..., Any], guard: Callable[..., Guard]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with guard(*args, **kwargs):
            return fn(*args, **kwargs)

    return call


def _async(fn: Callable[..., Any], guard: Callable[..., Guard]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        async with guard(*args, **kwargs):
            return await fn(*args, **kwargs)

    return call


def _generator(
    fn: Callable[..., Generator[Any, Any, Any]], guard: Callable[..., Guard]
) -> Callable[..., Any]:
    def iterate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with guard(*args, **kwargs):
            return (yield from fn(*args, **kwargs))

    return iterate


def _async_generator(
    fn: Callable[..., AsyncGenerator[Any, Any]], guard: Callable[..., Guard]
) -> Callable[..., Any]:
    async def iterate(  # noqa: ASYNC900 - as what it stands for
        *args: Any, **kwargs: Any
    ) -> AsyncGenerator[Any, Any]:
        async with guard(*args, **kwargs):
            inner = fn(*args, **kwargs)
            try:
                step = inner.asend(None)
                while True:  # noqa: ASYNC913 - the inner one decides
                    try:
                        item = await step
                    except StopAsyncIteration:
                        return
                    try:
                        sent = yield item  # noqa: ASYNC119  # as documented
                    except GeneratorExit:
                        raise  # the inner one is closed below
                    except BaseException as error:  # noqa: ASYNC103, BLE001, HC10 - goes in
                        step = inner.athrow(error)
                    else:
                        step = inner.asend(sent)
            finally:
                await inner.aclose()

    return iterate
