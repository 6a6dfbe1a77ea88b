"""Retry policies: immutable, made once, shared by any number of calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import ParamSpec, TypeVar, final

from .._core.backoff import Jitter
from .._limits.limiter import RateLimiter
from .._limits.view import LimiterView
from .._runtime.calls import is_async, is_generator, wrapped
from .._runtime.clock import Clock
from .attempts import AsyncRounds, SyncRounds
from .budget import RetryBudget
from .faces import colours_of, coroutine, sync
from .matching import Answer, On
from .policy import Policy

P = ParamSpec("P")
R = TypeVar("R")


@final
class Retry:
    """A retry policy, as `retry` makes it.

    Use it as a decorator, by `call` and `acall`, or around a block: with
    ``for attempt in policy:`` and ``with attempt:`` in there, or in a task with
    ``async for`` and ``async with``. It can't be changed and knows nothing of the calls
    that use it: each has its own attempts and deadline.

    Raises:
        RuntimeError: In the block form, if an attempt was not entered, so that the loop
            could go round for ever.
        TypeError: If sync code or a block under `for` is to be cut by
            *attempt_timeout*, or if *on_result* is used with a block or a generator.

    Cancellation:
        At every wait, and whatever the decorated function does. What ends a task, a
        thread or the program is never retried: only subclasses of `Exception` are.

    Threads:
        Safe from any number of threads and event loops at once.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"
    __slots__ = ("_policy",)

    # Policies are made by `retry`.
    def __init__(self, policy: Policy) -> None:  # noqa: DOC101, DOC103 - see above
        self._policy = policy

    def __call__(self, fn: Callable[P, R], /) -> Callable[P, R]:
        """Return *fn*, called again as this policy says.

        Args:
            fn: A function, async function, generator or async generator function, or
                method. Generators are begun again until their first item was delivered,
                never after. Only async code can be cut at the deadline.

        Raises:
            TypeError: If *fn* can't be called, or can't be used with an option.

        .. versionadded:: 0.1
        """
        return wrapped(fn, colours_of(self._policy))

    def call(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what *fn* returns, called again as this policy says.

        Args:
            fn: A sync function.
            *args: What it is called with.
            **kwargs: What it is called with by name.

        Raises:
            TypeError: If *fn* is async or a generator function, or the policy has an
                *attempt_timeout*.
            Exception: What the last attempt has raised.

        Cancellation:
            By Ctrl-C.

        .. versionadded:: 0.1
        """
        if is_async(fn):
            raise TypeError(f"{fn!r} is async: await policy.acall(fn, ...)")
        if is_generator(fn):
            raise TypeError(f"{fn!r} makes a generator: decorate it with the policy")
        return sync(self._policy, fn)(*args, **kwargs)

    async def acall(
        self, fn: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Return what the async *fn* returns, called again as this policy says.

        Args:
            fn: An async function.
            *args: What it is called with.
            **kwargs: What it is called with by name.

        Raises:
            TimeoutError: If an attempt was cut, at the deadline or for the last time.
            Exception: What the last attempt has raised.

        Cancellation:
            At every wait, and whatever *fn* does.

        Threads:
            Of any event loop of asyncio or trio, any number at once.

        .. versionadded:: 0.1
        """
        return await coroutine(self._policy, fn)(*args, **kwargs)

    def __iter__(self) -> SyncRounds:
        self._policy.refuse_attempt_timeout("a block under `for`")
        self._policy.refuse_on_result("a block")
        return SyncRounds(self._policy, awaited=False)

    def __aiter__(self) -> AsyncRounds:
        self._policy.refuse_on_result("a block")
        return AsyncRounds(self._policy, awaited=True)

    def __copy__(self) -> Retry:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Retry:
        return self

    def __repr__(self) -> str:
        return f"<Retry {self._policy.shown}>"


def retry(
    on: On,
    *,
    attempts: int | None = 5,
    timeout: float | timedelta | None = 45.0,
    attempt_timeout: float | timedelta | None = None,
    wait_initial: float | timedelta = 0.1,
    wait_max: float | timedelta = 5.0,
    backoff_factor: float = 2.0,
    jitter: Jitter = "full",
    on_result: Callable[[object], Answer] | None = None,
    limiter: RateLimiter | LimiterView | None = None,
    budget: RetryBudget | None = None,
    name: str | None = None,
    clock: Clock | None = None,
) -> Retry:
    """Return a policy that calls again what failed, after waits that grow.

    After attempt *n* it waits for up to ``wait_initial * backoff_factor ** (n - 1)``
    seconds, but at most *wait_max*; how long within that is left to chance. The last
    error is raised itself, with a note that tells what came before it.

    Args:
        on: What to retry: an exception type, several, or a function of the error that
            returns True to try again, False or None to raise it, or how long the server
            asked to wait, as seconds or a timedelta. Types match an exception group if
            all of its leaves match; a function gets the group whole. Only subclasses
            of `Exception` are ever retried.
        attempts: How many there are at most, the first included; None for no limit.
        timeout: Seconds for the whole call. No wait begins that would end later, and an
            async attempt that runs then is cancelled, with `TimeoutError`. A sync one
            can't be cut. None for no limit. A policy used inside of another one's
            attempt never goes on beyond that one's deadline.
        attempt_timeout: Seconds for each attempt of an async function; one that takes
            longer is cancelled and raises `TimeoutError`, which is retried if *on* says
            so. None for no limit.
        wait_initial: The first wait in seconds, before jitter; 0 for no waits.
        wait_max: The longest wait in seconds, unless the server asks for more.
        backoff_factor: By how much each wait is longer than the one before.
        jitter: "full" draws each wait from between 0 and its length, "equal" from
            between half of it and all, "none" takes it as it is. A wait that the server
            asked for is only ever lengthened, by up to a tenth, unless it is "none".
        on_result: A function of the result that returns True to try again, or how long
            the server asked to wait; False or None to return it. At the end the last
            result is returned, good or not.
        limiter: Each attempt takes a permit of it, and gives its place back before the
            wait; a wait that the server asked for pauses it for everybody.
        budget: What pays for retries, and is shared with other policies; without a
            retry left there the error is raised at once.
        name: What events and notes call this policy.
        clock: What tells the time; None for real time.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If one is out of its range.

    .. versionadded:: 0.1
    """
    return Retry(
        Policy(
            on,
            attempts=attempts,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            wait_initial=wait_initial,
            wait_max=wait_max,
            backoff_factor=backoff_factor,
            jitter=jitter,
            on_result=on_result,
            limiter=limiter,
            budget=budget,
            name=name,
            clock=clock,
        )
    )


retry.__module__ = "concutil"
