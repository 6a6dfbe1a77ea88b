"""What type checkers make of `cached` and `memoize`: read by them, run by nobody.

Wrong uses are ignored, as in misuse.py: an ignore that has nothing to ignore fails.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from typing_extensions import assert_type

from concutil import Cache, cached, memoize

T = TypeVar("T")

# --- functions -----------------------------------------------------------------------


@cached
def area(width: int, height: int = 2, *, unit: str = "m") -> list[str]:
    """A function."""
    return [unit] * width * height


assert_type(area(1), list[str])
assert_type(area(1, height=3, unit="s"), list[str])
assert_type(area.__wrapped__(1, unit="s"), list[str])
assert_type(area.cache_info().hits, int)
assert_type(area.cache_info().maxsize, int | None)
assert_type(area.cache_clear(), None)
assert_type(area.cache_parameters(), dict[str, Any])
assert_type(area.cache_invalidate(1, unit="s"), bool)
assert_type(area.cache, Cache[Any, Any])
as_function: Callable[[int, int], list[str]] = area

area()  # type: ignore[call-arg]  # width is missing
area("1")  # type: ignore[arg-type]  # an int
area(1, 2, "s")  # type: ignore[call-arg]  # unit is keyword-only
area.cache_invalidate("1")  # type: ignore[arg-type]  # an int
area.cache_invalidate()  # type: ignore[call-arg]  # width is missing
area.cache_invalidate(1, size=5)  # type: ignore[call-arg]  # no such parameter
area.cache_refresh()  # type: ignore[attr-defined]  # no such method
area.cache = Cache()  # type: ignore[misc]  # it is only read
wrong: Callable[[str], list[str]] = area  # type: ignore[assignment]  # takes an int


@cached(maxsize=10, ttl=5, stale=timedelta(minutes=1), typed=True)
def with_options(width: int) -> float | None:
    """A function with options."""
    return width / 2 or None


@cached()
def without_options(width: int) -> float:
    """A function with none of them."""
    return width / 2


@cached
def generic(item: T, *, times: int = 1) -> list[T]:
    """A function of a type variable."""
    return [item] * times


shared: Cache[Any, Any] = Cache(100)


def user_of(user: str, **more: int) -> str:
    """Return what a call is known by."""
    return user.lower()


@cached(cache=shared, key=user_of)
def of_shared(user: str, **more: int) -> int:
    """A function that shares a cache."""
    return len(user) + len(more)


assert_type(with_options(1), float | None)
assert_type(with_options.cache_invalidate(1), bool)
assert_type(without_options(1), float)
assert_type(generic("a"), list[str])
assert_type(of_shared("a", b=1), int)
with_options("1")  # type: ignore[arg-type]  # an int
of_shared(1)  # type: ignore[arg-type]  # a str

cached(5)  # type: ignore[call-overload]  # say maxsize=5
cached(area, maxsize=5)  # type: ignore[call-overload]  # cached(maxsize=5)(area)
cached(maxsize="5")  # type: ignore[call-overload]  # a whole number
cached(ttl="5")  # type: ignore[call-overload]  # seconds, a timedelta or a function
cached(key=5)  # type: ignore[call-overload]  # a function
cached(cache={})  # type: ignore[call-overload]  # a Cache
cached(cache=shared, maxsize=5)  # type: ignore[call-overload]  # the cache has its own
cached(cache=shared, ttl=5)  # type: ignore[call-overload]  # the cache has its own
cached(maxsize=5)(5)  # type: ignore[arg-type]  # a function

# --- async functions -----------------------------------------------------------------


@cached
async def fetch(page: int, *, order: str = "up") -> str:
    """An async function."""
    return order * page


@cached(ttl=5)
async def fetch_again(page: int) -> str:
    """An async function with options."""
    return await fetch(page)


called: Coroutine[Any, Any, str] = fetch(1)


async def await_it() -> None:
    """It is awaited as before, and may be a task's."""
    assert_type(await fetch(1, order="down"), str)
    assert_type(await fetch_again(1), str)
    assert_type(fetch.cache_invalidate(1, order="down"), bool)
    task: asyncio.Task[str] = asyncio.create_task(fetch(1))  # noqa: ASYNC300 - awaited below
    assert_type(await task, str)
    text: str = fetch(1)  # type: ignore[assignment]  # not awaited
    await fetch(text)  # type: ignore[arg-type]  # an int


# --- methods -------------------------------------------------------------------------


class Client:
    """Methods of every kind."""

    @cached
    def method(self, page: int) -> str:
        """A method."""
        return f"{self}{page}"

    @cached(key=abs)
    async def async_method(self, page: int) -> str:
        """An async method."""
        return f"{self}{page}"

    @cached
    @classmethod
    def class_method(cls, page: int) -> str:
        """A class method."""
        return f"{cls}{page}"

    @classmethod
    @memoize
    def memoized_of_class(cls, page: int) -> str:
        """A memoized class method."""
        return f"{cls}{page}"

    @staticmethod
    @cached
    def static_method(page: int) -> str:
        """A static method."""
        return str(page)

    @property
    @cached
    def attribute(self) -> str:
        """A property."""
        return str(self)

    @memoize
    def memoized(self, page: int) -> str:
        """A memoized method."""
        return f"{self}{page}"


client = Client()
assert_type(client.method(1), str)
assert_type(client.method(page=1), str)
assert_type(client.method.cache_info().hits, int)
assert_type(client.method.cache_invalidate(1), bool)
assert_type(client.method.cache, Cache[Any, Any])
assert_type(Client.method.cache_info().hits, int)
assert_type(Client.class_method(1), str)
assert_type(client.class_method(1), str)
assert_type(Client.class_method.cache_invalidate(1), bool)
assert_type(Client.memoized_of_class(1), str)
assert_type(client.attribute, str)
assert_type(client.memoized(1), str)
assert_type(client.memoized.cache_info().hits, int)
bound: Callable[[int], str] = client.method
bound_later: Callable[[int], Coroutine[Any, Any, str]] = client.async_method

client.method()  # type: ignore[call-arg]  # page is missing
client.method("1")  # type: ignore[arg-type]  # an int
client.method.cache_invalidate(client, 1)  # type: ignore[call-arg,arg-type]  # bound
client.method.cache_invalidate("1")  # type: ignore[arg-type]  # an int


async def await_method() -> None:
    """It is awaited as before."""
    assert_type(await client.async_method(1), str)
    assert_type(client.async_method.cache_invalidate(1), bool)


# --- memoize -------------------------------------------------------------------------


@memoize
def size(width: int, *, unit: str = "m") -> list[str]:
    """A function."""
    return [unit] * width


@memoize(100)
def size_of_some(width: int) -> float:
    """A function with one option."""
    return float(width)


@memoize(maxsize=None, typed=True)
def size_of_all(width: int) -> float:
    """A function with both."""
    return float(width)


assert_type(size(1, unit="s"), list[str])
assert_type(size.cache_info().hits, int)
assert_type(size.cache_clear(), None)
assert_type(size.cache_parameters(), dict[str, Any])
assert_type(size.__wrapped__(1), list[str])
assert_type(size_of_some(1), float)
assert_type(size_of_all(1), float)
assert_type(memoize()(size_of_all)(1), float)
assert_type(memoize(len)([]), int)

size("1")  # type: ignore[arg-type]  # an int
size(1, "s")  # type: ignore[call-arg]  # unit is keyword-only
size_of_some("1")  # type: ignore[arg-type]  # an int
size.cache_invalidate(1)  # type: ignore[attr-defined]  # that is what cached has
size.cache.clear()  # type: ignore[attr-defined]  # that is what cached has
memoize("5")  # type: ignore[call-overload]  # a whole number
memoize(5, typed="yes")  # type: ignore[call-overload]  # True or False
memoize(5, ttl=5)  # type: ignore[call-overload]  # that is what cached has
memoize(5)(5)  # type: ignore[arg-type]  # a function
