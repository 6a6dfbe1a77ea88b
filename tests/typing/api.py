"""What type checkers make of the public API: read by them, run by nobody.

`assert_type` fails in mypy and pyright unless a type is exactly the one named.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterator,
    Mapping,
)
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any, Literal, TypeVar

from typing_extensions import assert_type

import concutil
import concutil.events
import concutil.testing
from concutil import (
    Attempt,
    Cache,
    CacheStats,
    ConcutilError,
    KeyedRateLimiter,
    LimiterStats,
    LimiterView,
    Permit,
    Rate,
    RateLimiter,
    RateLimitExceeded,
    RecursiveComputeError,
    Retry,
    RetryBudget,
    parse_retry_after,
    retry,
)
from concutil.events import (
    CacheRefreshFailed,
    Event,
    LimiterPaused,
    LimiterRefused,
    LimiterWaited,
    LoopBlocked,
    RetryGaveUp,
    RetryNested,
    RetryScheduled,
    RetrySucceeded,
    Subscription,
    subscribe,
)
from concutil.testing import Clock, ManualClock, cancelled_at, no_waiting

T = TypeVar("T")

# --- rates ---------------------------------------------------------------------------

assert_type(Rate(100), Rate)
assert_type(Rate(0.5, timedelta(minutes=1), burst=2.5), Rate)
assert_type(Rate(limit=100, per=60), Rate)
assert_type(Rate(90_000, 60, burst=8_000, unit="tokens"), Rate)
assert_type(Rate(60, 60, exact=True), Rate)
assert_type(Rate.parse("500/min"), Rate)
assert_type(Rate(100).limit, float)
assert_type(Rate(100).per, float)
assert_type(Rate(100).burst, float)
assert_type(Rate(100).exact, bool)
assert_type(Rate(100).unit, str)
assert_type(Rate(100) == Rate(100), bool)
assert_type({Rate(100): "hashable"}, dict[Rate, str])

# --- limiters ------------------------------------------------------------------------

limiter = RateLimiter("100/s", Rate(5000, 3600, burst=10), max_concurrent=10)
assert_type(limiter, RateLimiter)
assert_type(RateLimiter(calls_per_second=0.5, burst=3), RateLimiter)
assert_type(RateLimiter(max_concurrent=1), RateLimiter)
assert_type(RateLimiter("1/s", slack=timedelta(0), name="api"), RateLimiter)
assert_type(RateLimiter("1/s", slack=0, name=None, clock=None), RateLimiter)
from_settings: list[Rate | str] = ["1/s", Rate(2)]
assert_type(RateLimiter(*from_settings), RateLimiter)

_ = assert_type(limiter.permit(), Permit)
_ = assert_type(limiter.permit(2.5, timeout=timedelta(seconds=1)), Permit)
_ = assert_type(limiter.permit(cost=2, timeout=None), Permit)
assert_type(limiter.try_permit(cost=2), Permit | None)
_ = assert_type(limiter.permit({"tokens": 1200, "calls": 0.5}), Permit)
tokens: dict[str, int] = {"tokens": 1200}
_ = assert_type(limiter.permit(cost=tokens, timeout=0), Permit)
assert_type(limiter.try_permit(tokens), Permit | None)
assert_type(limiter.pause(1.5), None)
assert_type(limiter.pause(timedelta(minutes=1)), None)
assert_type(limiter.update("100/min", Rate(5)), None)
assert_type(limiter.update(*from_settings, max_concurrent=5), None)
assert_type(limiter.update(max_concurrent=None), None)
assert_type(limiter.stats(), LimiterStats)

stats = limiter.stats()
assert_type(stats.waiting, int)
assert_type(stats.in_flight, int)
assert_type(stats.granted, int)
assert_type(stats.cancelled, int)
assert_type(stats.waited_total, float)
assert_type(stats.next_in, float)


def block() -> int:
    """A block gives nothing, and swallows no exception: this needs no other return."""
    with limiter as entered:
        assert_type(entered, None)
        return 1


async def async_block() -> int:
    """The same with `async with`."""
    async with limiter as entered:
        assert_type(entered, None)
        return 1


as_block: AbstractContextManager[None] = limiter
as_async_block: AbstractAsyncContextManager[None] = limiter

# --- permits -------------------------------------------------------------------------


def permit_in_a_thread(permit: Permit) -> float:
    """Each face gives the permit."""
    _ = assert_type(permit.wait(), Permit)
    assert_type(permit.waited, float)
    assert_type(permit.release(), None)
    assert_type(permit.refund(), None)
    assert_type(permit.adjust(3.5), None)
    assert_type(permit.adjust(tokens), None)
    with permit as entered:
        _ = assert_type(entered, Permit)
        return entered.waited


async def permit_in_a_task(permit: Permit) -> float:
    """The same in a task."""
    _ = assert_type(await permit, Permit)
    _ = assert_type(await limiter.permit(timeout=1), Permit)
    async with permit as entered:
        _ = assert_type(entered, Permit)
        return entered.waited


def permit_if_any() -> str:
    """What may be None has to be looked at."""
    if permit := limiter.try_permit():
        with permit:
            return "done"
    return "skipped"


as_awaitable: Awaitable[Permit] = limiter.permit()

# --- decorators keep colour and signature --------------------------------------------


@limiter
def plain(page: int, /, *sizes: int, order: str = "up", **more: bytes) -> list[str]:
    """A function of all kinds of parameters."""
    return [order] * (page + len(sizes) + len(more))


assert_type(plain(1), list[str])
assert_type(plain(1, 2, 3, order="down", more=b""), list[str])


@limiter
async def coroutine(page: int, *, order: str = "up") -> str:
    """An async function."""
    await asyncio.sleep(0)
    return order * page


async def await_it(client: Client) -> None:
    """What was decorated may be awaited, and be made a task of."""
    assert_type(await coroutine(1, order="down"), str)
    assert_type(await client.async_method(page=1), str)
    task: asyncio.Task[str] = asyncio.create_task(coroutine(1))  # noqa: ASYNC300 - awaited below
    assert_type(await task, str)


called: Coroutine[Any, Any, str] = coroutine(1)


@limiter
def iterator(pages: int) -> Iterator[str]:
    """A generator function that shows an iterator."""
    yield from map(str, range(pages))


@limiter
def generator(pages: int) -> Generator[str, bytes, float]:
    """A generator function that can be sent to."""
    sent = yield str(pages)
    return float(len(sent))


@limiter
async def async_iterator(pages: int) -> AsyncIterator[str]:
    """An async generator function that shows an iterator."""
    yield await coroutine(pages)


@limiter
async def async_generator(pages: int) -> AsyncGenerator[str, bytes]:
    """An async generator function that can be sent to."""
    yield await coroutine(pages)


assert_type(iterator(1), Iterator[str])
assert_type(generator(1), Generator[str, bytes, float])
assert_type(async_iterator(1), AsyncIterator[str])
assert_type(async_generator(1), AsyncGenerator[str, bytes])


@limiter
def generic(item: T, *, times: int = 1) -> list[T]:
    """A function of a type variable."""
    return [item] * times


assert_type(generic("a"), list[str])
assert_type(generic(1.5, times=2), list[float])


class Client:
    """Methods of every kind."""

    @limiter
    def method(self, page: int) -> str:
        """A method."""
        return f"{self}{page}"

    @limiter
    async def async_method(self, page: int) -> str:
        """An async method."""
        return f"{self}{await coroutine(page)}"

    @classmethod
    @limiter
    def class_method(cls, page: int) -> Client:
        """A class method."""
        return cls() if page else Client()

    @staticmethod
    @limiter
    def static_method(page: int) -> str:
        """A static method."""
        return str(page)

    @property
    @limiter
    def attribute(self) -> str:
        """A property."""
        return str(self)

    @limiter
    def pages(self) -> Iterator[str]:
        """A generator method."""
        yield str(self)


client = Client()
assert_type(client.method(1), str)
assert_type(Client.method(client, 1), str)
assert_type(client.class_method(1), Client)
assert_type(Client.class_method(1), Client)
assert_type(Client.static_method(1), str)
assert_type(client.attribute, str)
assert_type(client.pages(), Iterator[str])


# --- decorators with a cost and a patience -------------------------------------------


@limiter.by(2, timeout=timedelta(seconds=1))
def costly(page: int, *, order: str = "up") -> str:
    """A function of a fixed cost."""
    return order * page


def tokens_of(prompt: str, *, most: int = 500) -> Mapping[str, float]:
    """Return what a call may cost."""
    return {"tokens": len(prompt) + most}


@limiter.by(cost=tokens_of)
async def complete(prompt: str, *, most: int = 500) -> str:
    """An async function whose arguments tell its cost."""
    return prompt * (await coroutine(most)).count("")


@limiter.by()
def numbers(most: int) -> Iterator[int]:
    """A generator function."""
    yield from range(most)


class Account:
    """A method's cost may look at the object."""

    def weight(self, rows: list[str]) -> int:
        """Return what a call costs."""
        return len(rows) + len(f"{self}")

    @limiter.by(weight)
    def insert(self, rows: list[str]) -> bool:
        """Insert rows."""
        return bool(self.weight(rows))


assert_type(costly(1, order="down"), str)
assert_type(numbers(3), Iterator[int])
assert_type(Account().insert(["a"]), bool)


async def await_completion() -> None:
    """It is awaited as before."""
    assert_type(await complete("a", most=3), str)


# --- limiters by key -----------------------------------------------------------------

limiters = KeyedRateLimiter("5/s burst 5", Rate(1000, 60), max_keys=1_000, name="users")
assert_type(limiters, KeyedRateLimiter)
assert_type(KeyedRateLimiter(calls_per_second=5, burst=2, slack=0), KeyedRateLimiter)
assert_type(KeyedRateLimiter(max_concurrent=2, clock=ManualClock()), KeyedRateLimiter)
assert_type(len(limiters), int)
of_one = assert_type(limiters["Ada"], LimiterView)
of_a_pair = limiters["Ada", 5]
_ = assert_type(of_one.permit({"tokens": 5}, timeout=1), Permit)
assert_type(of_a_pair.try_permit(), Permit | None)
assert_type(of_one.stats(), LimiterStats)
assert_type(of_one.pause(1), None)
view_as_block: AbstractContextManager[None] = of_one
view_as_async_block: AbstractAsyncContextManager[None] = of_one


def block_of_a_key() -> int:
    """A block gives nothing, and swallows no exception."""
    with limiters["Ada"] as entered:
        assert_type(entered, None)
        return 1


async def async_block_of_a_key() -> int:
    """The same with `async with`."""
    async with limiters["Ada"] as entered:
        assert_type(entered, None)
        return 1


def user_of(user: str, text: str) -> str:
    """Return whose call it is."""
    return user or text


def size_of(user: str, text: str) -> float:
    """Return what the call costs."""
    return len(text) + len(user)


@limiters.by(user_of, size_of, timeout=0.5)
def post(user: str, text: str) -> bool:
    """A function whose arguments tell the key and the cost."""
    return user != text


@limiters.by(user_of, cost=2)
async def post_soon(user: str, text: str) -> bool:
    """An async function."""
    return await complete(user) != text


@limiters["Ada"]
def for_ada(page: int) -> str:
    """A function for one key."""
    return str(page)


assert_type(post("Ada", text="hello"), bool)
assert_type(for_ada(1), str)


async def await_post() -> None:
    """It is awaited as before."""
    assert_type(await post_soon("Ada", "hello"), bool)


method: Callable[[int], str] = client.method
decorated: Callable[[Fraction], str] = limiter(str)

# --- retry ---------------------------------------------------------------------------


def worth_it(error: Exception) -> bool | float | timedelta | None:
    """Return whether, and when, to try again."""
    return parse_retry_after(str(error)) or timedelta(seconds=1)


policy = retry(ConnectionError)
assert_type(policy, Retry)
assert_type(retry((ConnectionError, TimeoutError), attempts=None, timeout=None), Retry)
assert_type(retry([ConnectionError], wait_initial=0, wait_max=timedelta(1)), Retry)
assert_type(retry(worth_it, attempt_timeout=2.5, backoff_factor=3, name="api"), Retry)
assert_type(retry(lambda error: "429" in str(error), jitter="equal"), Retry)
assert_type(retry(OSError, on_result=lambda result: result is None), Retry)
assert_type(retry(OSError, limiter=limiter, budget=RetryBudget()), Retry)
assert_type(retry(OSError, limiter=limiters["Ada"], clock=ManualClock()), Retry)
assert_type(
    RetryBudget(0.1, min_per_second=2, window=timedelta(minutes=1)), RetryBudget
)
assert_type(parse_retry_after("120"), float | None)
assert_type(parse_retry_after(None, now=datetime.now(timezone.utc)), float | None)


@policy
def fetch(page: int, *, order: str = "up") -> str:
    """A function."""
    return order * page


@policy
async def fetch_soon(page: int) -> str:
    """An async function."""
    return fetch(page)


@policy
def fetch_all(pages: int) -> Generator[str, bytes, float]:
    """A generator function."""
    sent = yield str(pages)
    return float(len(sent))


@policy
async def fetch_all_soon(pages: int) -> AsyncIterator[str]:
    """An async generator function."""
    yield await fetch_soon(pages)


@policy
def fetch_any(item: T, *, times: int = 1) -> list[T]:
    """A function of a type variable."""
    return [item] * times


class Server:
    """Methods of every kind."""

    @policy
    def method(self, page: int) -> str:
        """A method."""
        return f"{self}{page}"

    @policy
    async def async_method(self, page: int) -> str:
        """An async method."""
        return f"{self}{page}"

    @classmethod
    @policy
    def class_method(cls, page: int) -> Server:
        """A class method."""
        return cls() if page else Server()

    @staticmethod
    @policy
    def static_method(page: int) -> str:
        """A static method."""
        return str(page)


assert_type(fetch(1, order="down"), str)
assert_type(fetch_all(1), Generator[str, bytes, float])
assert_type(fetch_all_soon(1), AsyncIterator[str])
assert_type(fetch_any(1.5, times=2), list[float])
assert_type(Server().method(1), str)
assert_type(Server.class_method(1), Server)
assert_type(Server().static_method(1), str)
assert_type(policy.call(fetch, 1, order="down"), str)
assert_type(policy.call(fetch_any, "a"), list[str])
fetched: Coroutine[Any, Any, str] = fetch_soon(1)
fetcher: Callable[[int], str] = Server().method


async def retry_in_a_task() -> None:
    """What is async is awaited as before."""
    assert_type(await fetch_soon(1), str)
    assert_type(await Server().async_method(1), str)
    assert_type(await policy.acall(fetch_soon, page=1), str)
    async for attempt in policy:
        assert_type(attempt, Attempt)
        async with attempt as entered:
            assert_type(entered, Attempt)
    async for attempt in policy:
        with attempt:
            pass


with no_waiting():
    for attempt in policy:
        assert_type(attempt, Attempt)
        with attempt as entered_attempt:
            assert_type(entered_attempt, Attempt)
            assert_type(attempt.number, int)
            assert_type(attempt.last_exception, Exception | None)
            assert_type(attempt.next_wait, float)
            assert_type(attempt.remaining, float | None)

# --- caches --------------------------------------------------------------------------

pages: Cache[str, bytes] = Cache()
assert_type(Cache[str, bytes](100), Cache[str, bytes])
assert_type(Cache[int, str](None, ttl=5, stale=timedelta(1)), Cache[int, str])
assert_type(Cache[int, str](maxsize=0, name="ids", clock=None), Cache[int, str])
assert_type(
    Cache[tuple[int, str], float | None](), Cache[tuple[int, str], float | None]
)


def lasting(key: str, value: bytes) -> float | timedelta | None:
    """Say how long a value is fresh."""
    return None


def weight(key: str, value: bytes) -> int:
    """Say what a value weighs."""
    return len(value)


def told(
    key: str, value: bytes, cause: Literal["size", "expired", "replaced", "removed"]
) -> None:
    """Hear of what is held no longer."""


assert_type(Cache(ttl=lasting, weigh=weight, on_evict=told), Cache[str, bytes])
inferred: Cache[str, bytes] = Cache(
    10_000, ttl=lambda key, value: len(value), on_evict=lambda key, value, cause: None
)

assert_type(pages["a"], bytes)
pages["a"] = b""
del pages["a"]
assert_type("a" in pages, bool)
assert_type(5 in pages, bool)
assert_type(len(pages), int)
assert_type(bool(pages), bool)
assert_type(iter(pages), Iterator[str])
assert_type(list(pages), list[str])
assert_type(pages.get("a"), bytes | None)
assert_type(pages.get("a", None), bytes | None)
assert_type(pages.get("a", b""), bytes)
assert_type(pages.get("a", 5), bytes | int)
assert_type(pages.peek("a"), bytes | None)
assert_type(pages.peek("a", default=b""), bytes)
assert_type(pages.peek("a", 5), bytes | int)
assert_type(pages.set("a", b""), None)
assert_type(pages.set("a", b"", ttl=None), None)
assert_type(pages.set("a", b"", ttl=timedelta(1)), None)
assert_type(pages.set("a", b"", ttl=lasting), None)
assert_type(pages.invalidate("a", "b"), int)
assert_type(pages.clear(), None)
assert_type(pages.snapshot(), dict[str, bytes])
assert_type(pages.stats(), CacheStats)


def read() -> bytes:
    """Compute a value."""
    return b""


async def read_soon() -> bytes:
    """Compute a value in a task."""
    return b""


assert_type(pages.get_or_compute("a", read), bytes)
assert_type(pages.get_or_compute("a", lambda: b"", ttl=5), bytes)


async def use_pages() -> None:
    """The async twin takes any function that returns an awaitable."""
    assert_type(await pages.aget_or_compute("a", read_soon), bytes)
    assert_type(await pages.aget_or_compute("a", read_soon, ttl=None), bytes)
    future: asyncio.Future[bytes] = asyncio.Future()
    assert_type(await pages.aget_or_compute("a", lambda: future), bytes)


page_stats = pages.stats()
assert_type(page_stats.hits, int)
assert_type(page_stats.misses, int)
assert_type(page_stats.computes, int)
assert_type(page_stats.joins, int)
assert_type(page_stats.failures, int)
assert_type(page_stats.evictions, int)
assert_type(page_stats.size, int)
assert_type(page_stats.maxsize, int | None)

try:
    pages.get_or_compute("a", read)
except RecursiveComputeError as recursion:
    assert_type(recursion.keys, tuple[object, ...])


def cache_hook(event: Event) -> None:
    """What a cache tells of is typed as well."""
    if isinstance(event, CacheRefreshFailed):
        assert_type(event.cache, str | None)
        assert_type(event.key, object)
        assert_type(event.error, Exception)


CacheRefreshFailed(cache="pages", key="a", error=OSError())

# --- errors --------------------------------------------------------------------------

try:
    block()
except RateLimitExceeded as refused:
    assert_type(refused.retry_after, float)
except ConcutilError as error:
    assert_type(error, ConcutilError)

an_exception: Exception = RateLimitExceeded("too late", retry_after=1)

# --- events --------------------------------------------------------------------------


def hook(event: Event) -> None:
    """Events are told apart by their class, and their fields are typed."""
    assert_type(event.name, str)
    assert_type(event.level, int)
    assert_type(event.asdict(), dict[str, Any])
    if isinstance(event, LimiterWaited):
        assert_type(event.limiter, str | None)
        assert_type(event.cost, Mapping[str, float])
        assert_type(event.waited, float)
    elif isinstance(event, LimiterRefused):
        assert_type(event.limiter, str | None)
        assert_type(event.cost, Mapping[str, float])
        assert_type(event.retry_after, float)
    elif isinstance(event, LimiterPaused):
        assert_type(event.limiter, str | None)
        assert_type(event.seconds, float)
    elif isinstance(event, LoopBlocked):
        assert_type(event.limiter, str | None)
        assert_type(event.policy, str | None)
    else:
        retry_hook(event)


def retry_hook(event: Event) -> None:
    """So are those of retries."""
    if isinstance(event, RetryScheduled):
        assert_type(event.policy, str | None)
        assert_type(event.function, str | None)
        assert_type(event.attempt, int)
        assert_type(event.error, Exception | None)
        assert_type(event.wait, float)
    elif isinstance(event, RetryGaveUp):
        assert_type(event.attempts, int)
        assert_type(event.seconds, float)
        assert_type(event.error, Exception | None)
        assert_type(
            event.reason, Literal["attempts", "budget", "deadline", "not_retryable"]
        )
    elif isinstance(event, RetrySucceeded):
        assert_type(event.attempts, int)
        assert_type(event.seconds, float)
    elif isinstance(event, RetryNested):
        assert_type(event.outer, str | None)


heard: list[Event] = []
assert_type(subscribe(hook), Subscription)
assert_type(subscribe(hook)(), None)
with subscribe(heard.append) as subscription:
    assert_type(subscription, Subscription)

LimiterWaited(limiter="api", cost={"calls": 1}, waited=0.5)  # for tests of a hook
LimiterRefused(limiter=None, cost={"calls": 1.5}, retry_after=2)
LimiterPaused(limiter="api", seconds=5)
LoopBlocked(limiter="api", policy=None, cache=None)
RetrySucceeded(policy="api", function=None, attempts=2, seconds=5)
RetryNested(policy="api", function="fetch", outer=None)
RetryScheduled(policy=None, function=None, attempt=1, error=OSError(), wait=0)

# --- clocks --------------------------------------------------------------------------

manual = ManualClock(start=5)
assert_type(manual.now(), float)
assert_type(manual.advance(1), None)
assert_type(manual.advance(timedelta(hours=1)), None)
assert_type(manual.call_at(3, manual.now), Callable[[], object])
clock: Clock = manual
RateLimiter("1/s", clock=manual)


class Simulation:
    """A clock of the user's own: nothing has to be inherited."""

    def now(self) -> float:
        """Return the time."""
        return 0.0

    def call_at(self, when: float, wake: Callable[[], object]) -> Callable[[], None]:
        """Call *wake* at *when*."""
        return lambda: heard.append(LimiterPaused(limiter=None, seconds=when))


RateLimiter("1/s", clock=Simulation())

# --- cancellation in tests -----------------------------------------------------------


async def cancel() -> None:
    """The arguments are those of the function."""
    assert_type(await cancelled_at(1, coroutine, 5, order="down"), bool)
    assert_type(await cancelled_at(1, limiter.permit), bool)


# --- the package ---------------------------------------------------------------------

assert_type(concutil.__version__, str)
assert_type(concutil.RateLimiter("1/s"), RateLimiter)
assert_type(concutil.events.subscribe(hook), Subscription)
assert_type(concutil.testing.ManualClock(), ManualClock)
