"""What happened, told to whoever wants to know: frozen records and hooks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from types import SimpleNamespace, TracebackType
from typing import Any, ClassVar, Final, Literal, ParamSpec, cast, final

from .._core.record import Record

if sys.version_info >= (3, 11):
    from typing import Self
else:
    from typing_extensions import Self

P = ParamSpec("P")

_DEBUG: Final = 10  # the numbers of logging, which is not imported for them
_INFO: Final = 20
WARNING: Final = 30


class Event(Record):
    """Something that happened to one of concutil's objects.

    Threads:
        Immutable; share it freely.

    .. versionadded:: 0.1
    """

    __module__ = "concutil.events"
    __slots__ = ()

    name: ClassVar[str]
    """What happened: dotted, past tense, never changed."""
    level: ClassVar[int]
    """How much it matters, as a level of the standard library's logging."""


@final
class LimiterWaited(Event):
    """A limiter made somebody wait, and has let them go on.

    Attributes:
        limiter: The limiter's name, or None.
        cost: What was asked for, by unit.
        waited: Seconds in the queue.

    .. versionadded:: 0.1
    """

    __module__ = "concutil.events"
    __slots__ = ("cost", "limiter", "waited")
    name = "concutil.limiter_waited"
    level = _DEBUG

    limiter: str | None
    cost: Mapping[str, float]
    waited: float


@final
class LimiterRefused(Event):
    """A limiter refused a permit, because its timeout could not be met.

    Attributes:
        limiter: The limiter's name, or None.
        cost: What was asked for, by unit.
        retry_after: Seconds until the rates would admit the same request.

    .. versionadded:: 0.1
    """

    __module__ = "concutil.events"
    __slots__ = ("cost", "limiter", "retry_after")
    name = "concutil.limiter_refused"
    level = _INFO

    limiter: str | None
    cost: Mapping[str, float]
    retry_after: float


@final
class LimiterPaused(Event):
    """A limiter was told to let nobody start for a while.

    Attributes:
        limiter: The limiter's name, or None.
        seconds: How long, from now on.

    .. versionadded:: 0.1
    """

    __module__ = "concutil.events"
    __slots__ = ("limiter", "seconds")
    name = "concutil.limiter_paused"
    level = _INFO

    limiter: str | None
    seconds: float


@final
class LoopBlocked(Event):
    """A thread that runs an event loop waits, and stops all of the loop's tasks.

    Use the async form there. Told once per limiter, per policy and per cache.

    Attributes:
        limiter: The name of the limiter that made it wait, or None.
        policy: The name of the retry policy that made it wait, or None.
        cache: The name of the cache that made it wait, or None.

    .. versionadded:: 0.1
    """

    __module__ = "concutil.events"
    __slots__ = ("cache", "limiter", "policy")
    name = "concutil.loop_blocked"
    level = WARNING

    limiter: str | None
    policy: str | None
    cache: str | None


@final
class RetryScheduled(Event):
    """An attempt failed, and there will be another one.

    Attributes:
        policy: The policy's name, or None.
        function: What is called, or None in the block form.
        attempt: Which attempt failed, counted from 1.
        error: What it raised; None if its result was not good enough.
        wait: Seconds until the next one.

    .. versionadded:: 0.1
    """

    __module__ = "concutil.events"
    __slots__ = ("attempt", "error", "function", "policy", "wait")
    name = "concutil.retry_scheduled"
    level = _INFO

    policy: str | None
    function: str | None
    attempt: int
    error: Exception | None
    wait: float


@final
class RetryGaveUp(Event):
    """There is no other attempt: the error, or the last result, goes to the caller.

    Attributes:
        policy: The policy's name, or None.
        function: What was called, or None in the block form.
        attempts: How many there were.
        seconds: How long they took, with the waits between them.
        error: What is raised; None if the last result is returned.
        reason: "attempts" and "deadline" if there were no more, "budget" if it was
            spent, "not_retryable" if such an error is not retried at all.

    .. versionadded:: 0.1
    """

    __module__ = "concutil.events"
    __slots__ = ("attempts", "error", "function", "policy", "reason", "seconds")
    name = "concutil.retry_gave_up"
    level = _INFO  # the caller gets the error itself

    policy: str | None
    function: str | None
    attempts: int
    seconds: float
    error: Exception | None
    reason: Literal["attempts", "budget", "deadline", "not_retryable"]


@final
class RetrySucceeded(Event):
    """An attempt succeeded after others had failed.

    Attributes:
        policy: The policy's name, or None.
        function: What was called, or None in the block form.
        attempts: How many there were.
        seconds: How long they took, with the waits between them.

    .. versionadded:: 0.1
    """

    __module__ = "concutil.events"
    __slots__ = ("attempts", "function", "policy", "seconds")
    name = "concutil.retry_succeeded"
    level = _INFO

    policy: str | None
    function: str | None
    attempts: int
    seconds: float


@final
class RetryNested(Event):
    """A policy retries inside of an attempt of another one: attempts multiply.

    Told once per policy.

    Attributes:
        policy: The name of the inner policy, or None.
        function: What it calls, or None in the block form.
        outer: The name of the policy around it, or None.

    .. versionadded:: 0.1
    """

    __module__ = "concutil.events"
    __slots__ = ("function", "outer", "policy")
    name = "concutil.retry_nested"
    level = WARNING

    policy: str | None
    function: str | None
    outer: str | None


@final
class Subscription:
    """A hook that is told of events until this is called, or its block is left.

    Threads:
        Safe from any thread.

    .. versionadded:: 0.1
    """

    __module__ = "concutil.events"
    __slots__ = ("_hook",)

    def __init__(self, hook: Callable[[Event], object]) -> None:
        self._hook = hook

    def __call__(self) -> None:
        """Unsubscribe; a second call does nothing."""
        _hooks.pop(self, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self()

    def __repr__(self) -> str:
        state = "subscribed" if self in _hooks else "unsubscribed"
        return f"<Subscription of {self._hook!r}: {state}>"


def subscribe(hook: Callable[[Event], object]) -> Subscription:
    """Have *hook* called with every event from now on.

    Args:
        hook: Called in the thread or task in which the event happened, outside of
            locks; it should be quick. What it raises goes to `sys.unraisablehook`
            and never harms the operation.

    Returns:
        A handle; call it, or leave its `with` block, to unsubscribe.

    Raises:
        TypeError: If *hook* can't be called.

    Threads:
        Safe from any thread; the hook hears of events in all threads.

    .. versionadded:: 0.1
    """
    if not callable(hook):
        raise TypeError(f"hook must be callable with one event, not {hook!r}")
    subscription = Subscription(hook)
    _hooks[subscription] = hook
    return subscription


subscribe.__module__ = "concutil.events"


def emit(kind: Callable[P, Event], *args: P.args, **fields: P.kwargs) -> None:
    """Tell an event of this *kind* to all hooks; it is not made if nobody listens."""
    event: Event | None = None
    for hook in list(_hooks.values()):
        try:
            if hook is not _log or _is_logged(kind.level):  # type: ignore[attr-defined]  # it's a class
                hook(event := event or kind(*args, **fields))
        except Exception as error:  # noqa: BLE001  # a hook does no harm
            unraisable(error, "in a hook of concutil.events", hook)


def _log(event: Event) -> None:
    """Write *event* with structlog if the program configured it, else logging."""
    if (structlog := _configured_structlog()) is not None:
        structlog.get_logger("concutil").log(event.level, event.name, **event.asdict())
    else:
        fields = {f"concutil.{name}": it for name, it in event.asdict().items()}
        _logger().log(event.level, event.name, extra=fields)


def _is_logged(level: int) -> bool:
    return _configured_structlog() is not None or _logger().isEnabledFor(level)


def _configured_structlog() -> Any:
    """Return the module if the program has configured it, else None."""
    structlog = sys.modules.get("structlog")  # not imported: not configured either
    return structlog if structlog is not None and structlog.is_configured() else None


@cache
def _logger() -> Any:
    import logging

    return logging.getLogger("concutil")


def unraisable(error: Exception, where: str, called: object) -> None:
    """Tell `sys.unraisablehook` of *error*, which *called* has raised."""
    report = SimpleNamespace(
        exc_type=type(error),
        exc_value=error,
        exc_traceback=error.__traceback__,
        err_msg=f"Exception ignored {where}",
        object=called,
    )
    sys.unraisablehook(cast("Any", report))


# One dict operation each, so that no lock is needed.
_hooks: Final[dict[Subscription, Callable[[Event], object]]] = {}
subscribe(_log)
