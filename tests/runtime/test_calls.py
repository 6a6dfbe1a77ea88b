"""Decorated functions keep their colour, their signature and their ways."""

from __future__ import annotations

import functools
import gc
import inspect
import pickle
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any

import anyio
import pytest

from concutil import RateLimiter

limiter = RateLimiter(max_concurrent=1)


@pytest.fixture(autouse=True)
def nobody_is_inside() -> Iterator[None]:
    """Every test leaves the places free."""
    assert limiter.stats().in_flight == 0
    yield
    gc.collect()
    assert limiter.stats().in_flight == 0


def inside() -> int:
    """Return how many hold a place."""
    return limiter.stats().in_flight


@limiter
def plain(a: int, /, b: int = 2, *, c: int = 3) -> tuple[int, int, int, int]:
    """Add nothing."""
    return a, b, c, inside()


@limiter
async def coloured(a: int) -> tuple[int, int]:
    """Wait a little."""
    await anyio.lowlevel.checkpoint()
    return a, inside()


@limiter
def numbers(stop: int) -> Generator[int, int, str]:
    """Give numbers, and take some."""
    got = 0
    for number in range(stop):
        try:
            got += (yield number + got) or 0
        except ValueError:
            got = 100
    return f"got {got}"


@limiter
async def later_numbers(stop: int) -> AsyncGenerator[int, int]:
    """Give numbers, and take some."""
    got = 0
    for number in range(stop):
        await anyio.lowlevel.checkpoint()
        try:
            got += (yield number + got) or 0
        except ValueError:
            got = 100


class Client:
    """Methods of all kinds."""

    @limiter
    def method(self, x: int) -> tuple[str, int, int]:
        return type(self).__name__, x, inside()

    @limiter
    @classmethod
    def of_class(cls, x: int) -> tuple[str, int, int]:
        return cls.__name__, x, inside()

    @limiter
    @staticmethod
    def of_none(x: int) -> tuple[str, int, int]:
        return "", x, inside()

    @limiter
    async def later(self, x: int) -> tuple[str, int, int]:
        return type(self).__name__, x, inside()


def test_functions() -> None:
    """A call runs inside of the limiter, with its arguments and its result."""
    assert plain(1, c=5) == (1, 2, 5, 1)


@pytest.mark.anyio
async def test_async_functions() -> None:
    """An async function stays one."""
    assert inspect.iscoroutinefunction(coloured)
    assert await coloured(7) == (7, 1)


@pytest.mark.anyio
async def test_methods() -> None:
    """Methods of every kind are bound as before."""
    client = Client()

    assert client.method(1) == ("Client", 1, 1)
    assert Client.of_class(2) == client.of_class(2) == ("Client", 2, 1)
    assert Client.of_none(3) == client.of_none(3) == ("", 3, 1)
    assert await client.later(4) == ("Client", 4, 1)


@pytest.mark.anyio
async def test_other_callables() -> None:
    """Objects with `__call__`, partials and builtins are called in their colour."""

    class Later:
        async def __call__(self, x: int) -> tuple[int, int]:
            return x, inside()

    assert limiter(functools.partial(plain.__wrapped__, 1))(3) == (1, 3, 3, 1)  # type: ignore[attr-defined]  # of wraps
    assert limiter(len)([1, 2]) == 2
    assert await limiter(Later())(5) == (5, 1)
    assert isinstance(limiter(Later)(), Later), "a class is no coroutine function"


def test_what_can_not_be_called_is_refused() -> None:
    """Only callables can be decorated."""
    with pytest.raises(TypeError, match="only a callable can be decorated, not 3"):
        limiter(3)  # type: ignore[arg-type]  # on purpose


def test_signature_and_names_are_kept() -> None:
    """Introspection sees what was decorated."""
    assert str(inspect.signature(plain)).startswith("(a: 'int', /, b: 'int' = 2, *")
    assert (plain.__name__, plain.__doc__) == ("plain", "Add nothing.")
    assert inspect.isgeneratorfunction(numbers)
    assert inspect.isasyncgenfunction(later_numbers)
    assert pickle.loads(pickle.dumps(plain)) is plain


def test_generators() -> None:
    """A generator holds its place from its first item to its end."""
    items = numbers(3)
    assert inside() == 0
    assert (next(items), inside()) == (0, 1)
    assert items.send(5) == 6
    assert items.throw(ValueError()) == 102
    with pytest.raises(StopIteration, match="got 100"):
        next(items)

    assert inside() == 0


@pytest.mark.parametrize("end", ["close", "drop", "error"])
def test_generators_that_are_left(end: str) -> None:
    """A generator that is closed, dropped or broken off gives its place back."""
    items = numbers(3)
    next(items)
    if end == "close":
        items.close()
    elif end == "error":
        with pytest.raises(KeyError):
            items.throw(KeyError())
    del items
    gc.collect()

    assert inside() == 0


@pytest.mark.anyio
async def test_async_generators() -> None:
    """An async generator holds its place likewise, and takes what is sent."""
    items = later_numbers(3)
    assert inside() == 0
    assert (await anext(items), inside()) == (0, 1)
    assert await items.asend(5) == 6
    assert await items.athrow(ValueError()) == 102
    with pytest.raises(StopAsyncIteration):
        await anext(items)

    assert inside() == 0


@pytest.mark.anyio
async def test_async_generators_that_are_closed_elsewhere() -> None:
    """One that another task closes gives its place back, after the inner clean-up."""
    ended = []

    @limiter
    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield inside()
        finally:
            ended.append(inside())

    items: Any = endless()
    assert await anext(items) == 1
    async with anyio.create_task_group() as group:  # noqa: ASYNC112 - another task
        group.start_soon(items.aclose)

    assert (ended, inside()) == ([1], 0)


@pytest.mark.anyio
async def test_errors_pass_through_async_generators() -> None:
    """What is thrown in reaches the inner generator, and comes out if it isn't met."""
    items = later_numbers(2)
    await anext(items)
    with pytest.raises(KeyError):
        await items.athrow(KeyError())

    assert inside() == 0


@pytest.mark.parametrize("call", [plain, numbers])
def test_wrong_arguments_are_reported_as_ever(call: Callable[..., Any]) -> None:
    """A call with wrong arguments is the function's own TypeError, and frees."""
    with pytest.raises(TypeError, match=call.__name__):
        for _ in call():
            pass
