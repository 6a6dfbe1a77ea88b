"""What all decorators share: the colour and the signature of what they decorate."""

from __future__ import annotations

import functools
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar, cast

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


class Relayed(Protocol):
    """What is asked of an async generator whose items are passed on."""

    def asend(self, value: Any) -> Awaitable[Any]:
        """Send *value* in, and return the next item."""
        ...

    def athrow(self, error: BaseException) -> Awaitable[Any]:
        """Raise *error* in there, and return the next item."""
        ...

    def aclose(self) -> Awaitable[None]:
        """End it."""
        ...


class Colours(NamedTuple):
    """How to wrap a function of each colour: each takes it and returns its wrapper."""

    sync: Callable[[Callable[..., Any]], Callable[..., Any]]
    coroutine: Callable[[Callable[..., Any]], Callable[..., Any]]
    generator: Callable[[Callable[..., Any]], Callable[..., Any]]
    async_generator: Callable[[Callable[..., Any]], Callable[..., Any]]


def wrapped(fn: Callable[P, R], colours: Colours) -> Callable[P, R]:
    """Return the wrapper of *fn* for its colour, which looks like *fn*.

    Args:
        fn: A function, async function, generator or async generator function, a
            static or class method, or any other callable.
        colours: How to wrap it.

    Raises:
        TypeError: If *fn* can't be called.
    """
    if isinstance(fn, (staticmethod, classmethod)):
        method = type(fn)(wrapped(fn.__func__, colours))
        return cast("Callable[P, R]", method)
    if not callable(fn):
        raise TypeError(f"only a callable can be decorated, not {fn!r}")
    wrapper = _wrap_of(fn, colours)(fn)
    return cast("Callable[P, R]", functools.wraps(fn)(wrapper))


def _wrap_of(
    fn: Callable[..., Any], colours: Colours
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    from inspect import isasyncgenfunction, isgeneratorfunction

    if is_async(fn):
        return colours.coroutine
    call = type(fn).__call__
    if isasyncgenfunction(fn) or isasyncgenfunction(call):
        return colours.async_generator
    if isgeneratorfunction(fn) or isgeneratorfunction(call):
        return colours.generator
    return colours.sync


def is_generator(fn: Callable[..., Any]) -> bool:
    """Whether *fn* is a generator function, sync or async, or is called like one."""
    from inspect import isasyncgenfunction, isgeneratorfunction

    each = fn, type(fn).__call__
    return any(isgeneratorfunction(it) or isasyncgenfunction(it) for it in each)


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether *fn* is an async function, or an object that is called like one."""
    from inspect import iscoroutinefunction

    return iscoroutinefunction(fn) or iscoroutinefunction(type(fn).__call__)


def guarded(fn: Callable[P, R], guard: Callable[..., Guard]) -> Callable[P, R]:
    """Return *fn* with every call inside of the block that *guard* returns for it.

    Args:
        fn: What `wrapped` takes. Generators enter the block when they are first
            advanced and leave it when they end, are closed or are dropped.
        guard: Called with the arguments of each call.

    Raises:
        TypeError: If *fn* can't be called.
    """
    return wrapped(
        fn,
        Colours(
            sync=lambda fn: _sync(fn, guard),
            coroutine=lambda fn: _async(fn, guard),
            generator=lambda fn: _generator(fn, guard),
            async_generator=lambda fn: _async_generator(fn, guard),
        ),
    )


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
    @asynccontextmanager
    async def opened(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async with guard(*args, **kwargs):
            yield fn(*args, **kwargs)

    return relaying(opened)


def relaying(
    opened: Callable[..., AbstractAsyncContextManager[Relayed]],
) -> Callable[..., AsyncGenerator[Any, Any]]:
    """Return an async generator function that passes on, both ways, what another does.

    Args:
        opened: Called with the arguments of each call; the other generator is what its
            block is given, and is closed before that ends.
    """

    async def iterate(  # noqa: ASYNC900 - as what it stands for
        *args: Any, **kwargs: Any
    ) -> AsyncGenerator[Any, Any]:
        """Pass on what the other one does."""
        async with opened(*args, **kwargs) as inner:
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
