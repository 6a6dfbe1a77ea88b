"""What type checkers must refuse: read by them, run by nobody.

Each wrong line is ignored. Mypy and pyright both complain of an ignore that has nothing
to ignore, so a wrong use that they let through fails as well.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Callable

from concutil import (
    Attempt,
    Cache,
    KeyedRateLimiter,
    Permit,
    Rate,
    RateLimiter,
    RateLimitExceeded,
    Retry,
    RetryBudget,
    parse_retry_after,
    retry,
)
from concutil.events import Event, LimiterWaited, subscribe
from concutil.testing import ManualClock, cancelled_at

limiter = RateLimiter("100/s")

# --- rates and limiters --------------------------------------------------------------

Rate("100")  # type: ignore[arg-type]  # a number, or Rate.parse
Rate()  # type: ignore[call-arg]  # no rate without a limit
Rate(100, 1, 5)  # type: ignore[call-arg]  # burst is keyword-only
Rate(100, exact="yes")  # type: ignore[arg-type]  # True or False
Rate(100, unit=5)  # type: ignore[arg-type]  # a word
Rate(100).limit = 5  # type: ignore[misc]  # it is frozen
Rate.parse(100)  # type: ignore[arg-type]  # a text
RateLimiter(100)  # type: ignore[arg-type]  # say calls_per_second=100
RateLimiter("100/s", max_concurrent=1.5)  # type: ignore[arg-type]  # whole places
RateLimiter("100/s", slack=None)  # type: ignore[arg-type]  # 0 is strict
RateLimiter("100/s", rate=5)  # type: ignore[call-arg]  # no such option
RateLimiter("100/s", clock=object())  # type: ignore[arg-type]  # not a clock
limiter.pause()  # type: ignore[call-arg]  # how long?
limiter.pause("5")  # type: ignore[arg-type]  # seconds or a timedelta
limiter.update(5)  # type: ignore[arg-type]  # a Rate or a text
limiter.update(burst=5)  # type: ignore[call-arg]  # each rate names its own
limiter.calls_per_second = 5  # type: ignore[attr-defined]  # made once for all


class MyLimiter(RateLimiter):  # type: ignore[misc]  # it is final
    """A limiter is used, not inherited."""


# --- permits -------------------------------------------------------------------------

_ = limiter.permit(1, 5)  # type: ignore[call-arg]  # timeout is keyword-only
_ = limiter.permit(timeout="5")  # type: ignore[arg-type]  # seconds or a timedelta
_ = limiter.permit(["tokens"])  # type: ignore[arg-type]  # amounts by unit
_ = limiter.permit({"tokens": "5"})  # type: ignore[dict-item]  # amounts are numbers
limiter.permit().adjust()  # type: ignore[call-arg]  # to what?
limiter.permit().refund(5)  # type: ignore[call-arg]  # all of it; else adjust
limiter.try_permit(timeout=1)  # type: ignore[call-arg]  # it never waits
_ = Permit()  # type: ignore[call-arg]  # a limiter makes them

with limiter.try_permit():  # type: ignore[union-attr]  # it may be None
    pass


async def in_a_task() -> None:
    """Only a permit can be awaited."""
    await limiter  # type: ignore[misc]  # async with limiter, or await limiter.permit()


# --- what is decorated ---------------------------------------------------------------


@limiter
def plain(page: int, *, order: str = "up") -> str:
    """A function."""
    return order * page


@limiter
async def coroutine(page: int) -> str:
    """An async function."""
    return await coroutine(page)


plain("1")  # type: ignore[arg-type]  # an int
plain(1, "down")  # type: ignore[call-arg]  # that is keyword-only
plain(1, sort="down")  # type: ignore[call-arg]  # no such parameter
limiter(5)  # type: ignore[arg-type]  # not a function
number: int = plain(1)  # type: ignore[assignment]  # a str
text: str = coroutine(1)  # type: ignore[assignment]  # not awaited
limiter.by(cost=str)(plain)  # type: ignore[arg-type]  # a cost is a number or amounts


def length_of(text: str) -> int:
    """Return what a call with a text costs."""
    return len(text)


limiter.by(length_of)(plain)  # type: ignore[arg-type]  # other parameters
wrong: Callable[[str], str] = plain  # type: ignore[assignment]  # takes an int

# --- limiters by key -----------------------------------------------------------------

limiters = KeyedRateLimiter("5/s", max_concurrent=2)

KeyedRateLimiter(5)  # type: ignore[arg-type]  # say calls_per_second=5
KeyedRateLimiter("5/s", max_keys=None)  # type: ignore[arg-type]  # always bounded
limiters[[]]  # type: ignore[index]  # a key is hashable
limiters["Ada"] = limiter  # type: ignore[index]  # each key has its own
limiters["Ada"].update("5/s")  # type: ignore[attr-defined]  # the limits are all keys'
limiters.permit()  # type: ignore[attr-defined]  # of which key?
limiters.by("Ada")  # type: ignore[arg-type]  # a function of the arguments
limiters.by(length_of)(plain)  # type: ignore[arg-type]  # other parameters

with limiters:  # type: ignore[attr-defined]  # of which key?
    pass

for _key in limiters:  # type: ignore[misc]  # it is no collection
    pass

# --- retry ---------------------------------------------------------------------------

policy = retry(OSError)

retry()  # type: ignore[call-arg]  # what is to be retried?
retry(OSError, 5)  # type: ignore[call-arg]  # attempts is keyword-only
retry(OSError())  # type: ignore[arg-type]  # a type, not an error
retry("OSError")  # type: ignore[arg-type]  # a type, not its name
retry(KeyboardInterrupt)  # type: ignore[arg-type]  # never retried
retry((OSError, int))  # type: ignore[arg-type]  # no exception
retry(lambda: True)  # type: ignore[arg-type,misc]  # it takes the error
retry(OSError, attempts=1.5)  # type: ignore[arg-type]  # whole attempts
retry(OSError, timeout="5s")  # type: ignore[arg-type]  # seconds or a timedelta
retry(OSError, wait_max=None)  # type: ignore[arg-type]  # there is always one
retry(OSError, jitter="some")  # type: ignore[arg-type]  # one of three
retry(OSError, on_result=True)  # type: ignore[arg-type]  # a function of the result
retry(OSError, limiter="5/s")  # type: ignore[arg-type]  # a limiter
retry(OSError, limiter=limiters)  # type: ignore[arg-type]  # of which key?
retry(OSError, budget=0.2)  # type: ignore[arg-type]  # a RetryBudget
retry(OSError, retries=5)  # type: ignore[call-arg]  # no such option
RetryBudget(0.2, 1)  # type: ignore[call-arg]  # min_per_second is keyword-only
Retry(OSError)  # type: ignore[arg-type]  # `retry` makes them
Attempt()  # type: ignore[call-arg]  # a loop makes them
parse_retry_after(120)  # type: ignore[arg-type]  # the text of the header
parse_retry_after("120", now=5.0)  # type: ignore[arg-type]  # a datetime
policy.call(plain, "1")  # type: ignore[arg-type]  # an int
policy.call(plain)  # type: ignore[call-arg]  # page is missing
policy(plain)("1")  # type: ignore[arg-type]  # an int
policy(5)  # type: ignore[arg-type]  # not a function


class MyRetry(Retry):  # type: ignore[misc]  # it is final
    """A policy is used, not inherited."""


async def retry_in_a_task() -> None:
    """Only async functions are awaited."""
    await policy.acall(plain, 1)  # type: ignore[arg-type]  # not an async function
    await policy.acall(coroutine, "1")  # type: ignore[arg-type]  # an int
    await policy.call(plain, 1)  # type: ignore[misc]  # a str


for attempt in policy:
    attempt.number()  # type: ignore[operator]  # an attribute
    attempt.remaining = 5  # type: ignore[misc]  # it is only read

# --- errors, events, clocks ----------------------------------------------------------

RateLimitExceeded("too late")  # type: ignore[call-arg]  # retry_after is missing
RateLimitExceeded("too late", 1)  # type: ignore[call-arg]  # that is keyword-only


def narrow(event: LimiterWaited) -> None:
    """A hook has to take every event."""
    event.waited = 5  # type: ignore[misc]  # it is frozen
    event.retry_after  # type: ignore[attr-defined]  # another event's  # noqa: B018


def hook(event: Event) -> None:
    """Take any event."""


subscribe(narrow)  # type: ignore[arg-type]  # it takes one kind only
subscribe(hook())  # type: ignore[call-arg,func-returns-value,arg-type]  # it is called
LimiterWaited("api", {}, 0.5)  # type: ignore[call-arg]  # fields by name
LimiterWaited(limiter="api", cost={})  # type: ignore[call-arg]  # one is missing
ManualClock("noon")  # type: ignore[arg-type]  # seconds are numbers
ManualClock().advance("1s")  # type: ignore[arg-type]  # seconds or a timedelta


async def cancel() -> None:
    """The function comes with its own arguments."""
    await cancelled_at(1, coroutine, "5")  # type: ignore[arg-type]  # an int
    await cancelled_at(1, coroutine)  # type: ignore[call-arg]  # page is missing
    await cancelled_at(coroutine, 1)  # type: ignore[arg-type]  # n comes first
    await cancelled_at(1, plain, 1)  # type: ignore[arg-type]  # not an async function


# --- caches --------------------------------------------------------------------------

pages: Cache[str, bytes] = Cache(100)


async def read_soon() -> bytes:
    """Compute a value in a task."""
    return b""


async def use_pages() -> None:
    """What the async twin refuses."""
    await pages.aget_or_compute("a", bytes)  # type: ignore[arg-type]  # it isn't async
    await pages.aget_or_compute(5, read_soon)  # type: ignore[arg-type]  # not a str
    await pages.aget_or_compute("a", read_soon())  # type: ignore[arg-type]  # uncalled


Cache("100")  # type: ignore[arg-type]  # a whole number
Cache(100, 5)  # type: ignore[call-arg]  # ttl is keyword-only
Cache(ttl="5")  # type: ignore[arg-type]  # seconds, a timedelta or a function
Cache(stale=True, weigh=5)  # type: ignore[arg-type]  # a function
Cache[list[int], int]()  # type: ignore[type-var]  # a list is no key
pages[5]  # type: ignore[index]  # not a str
pages["a"] = "text"  # type: ignore[assignment]  # not bytes
pages.get()  # type: ignore[call-overload]  # of which key?
pages.set("a", b"", 5)  # type: ignore[call-arg]  # ttl is keyword-only
pages.set("a", b"", ttl="5")  # type: ignore[arg-type]  # seconds or a timedelta
pages.get_or_compute("a", b"")  # type: ignore[arg-type]  # a function
pages.get_or_compute("a", int)  # type: ignore[arg-type]  # which returns bytes
pages.get_or_compute("a", read_soon)  # type: ignore[arg-type]  # aget_or_compute
pages.invalidate(5)  # type: ignore[arg-type]  # not a str
pages.maxsize = 5  # type: ignore[attr-defined]  # made once for all


class MyCache(Cache[str, bytes]):  # type: ignore[misc]  # it is final
    """A cache is used, not inherited."""
