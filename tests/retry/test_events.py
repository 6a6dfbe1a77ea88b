"""What retries tell to hooks: each field, each reason, and nothing of a success."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from concutil import RetryBudget, retry
from concutil.events import (
    Event,
    LoopBlocked,
    RetryGaveUp,
    RetryScheduled,
    RetrySucceeded,
    subscribe,
)
from concutil.testing import ManualClock, no_waiting
from virtual import Flaky, JumpingClock

EVEN = {"wait_initial": 1, "jitter": "none"}


@pytest.fixture
def seen() -> Iterator[list[Event]]:
    """Collect all events of a test."""
    collected: list[Event] = []
    with subscribe(collected.append):
        yield collected


def fetch(step: Flaky) -> Any:
    """Do a step."""
    return step()


def test_a_success_at_once_is_not_told(seen: list[Event]) -> None:
    """Nobody is told of what went well."""
    assert retry(OSError).call(fetch, Flaky(1)) == 1

    assert seen == []


def test_a_success_after_failures(seen: list[Event]) -> None:
    """Each failure is told with the wait after it, and then the success."""
    clock, errors = JumpingClock(), [OSError(), OSError()]
    policy = retry(OSError, name="api", clock=clock, **EVEN)
    assert policy.call(fetch, Flaky(*errors, 1)) == 1

    names: dict[str, Any] = {"policy": "api", "function": "fetch"}
    assert seen == [
        RetryScheduled(**names, attempt=1, error=errors[0], wait=1.0),
        RetryScheduled(**names, attempt=2, error=errors[1], wait=2.0),
        RetrySucceeded(**names, attempts=3, seconds=3.0),
    ]


def test_results_have_no_error(seen: list[Event]) -> None:
    """Of a result that isn't good enough is told without one."""
    options = {"on_result": lambda _: True, "clock": JumpingClock(), **EVEN}
    assert retry(OSError, attempts=2, **options).call(fetch, Flaky(1)) == 1

    names: dict[str, Any] = {"policy": None, "function": "fetch", "error": None}
    assert seen == [
        RetryScheduled(**names, attempt=1, wait=1.0),
        RetryGaveUp(**names, attempts=2, seconds=1.0, reason="attempts"),
    ]


@pytest.mark.parametrize(
    ("reason", "options", "calls"),
    [
        ("attempts", {"attempts": 2}, 2),
        ("budget", {"budget": RetryBudget(1, min_per_second=0)}, 2),
        ("deadline", {"timeout": 1.5}, 2),
        ("not_retryable", {"on": KeyError}, 1),
    ],
)
def test_why_there_is_no_other_attempt(
    seen: list[Event], reason: str, options: dict[str, Any], calls: int
) -> None:
    """Each of the four reasons is told, with the error that is raised."""
    error = OSError()
    with pytest.raises(OSError):
        retry(**{"on": OSError, "clock": JumpingClock(), **EVEN, **options}).call(
            fetch, Flaky(error)
        )

    assert seen[-1] == RetryGaveUp(
        policy=None,
        function="fetch",
        attempts=calls,
        seconds=float(calls - 1),
        error=error,
        reason=reason,
    )
    assert len(seen) == calls


@pytest.mark.parametrize("form", ["block", "generator"])
def test_other_forms(seen: list[Event], form: str) -> None:
    """A block has no function; a generator has succeeded with its first item."""
    policy = retry(OSError, clock=JumpingClock(), **EVEN)
    step = Flaky(OSError(), 1)

    @policy
    def items() -> Iterator[int]:
        yield step()
        assert isinstance(seen[-1], RetrySucceeded)

    if form == "block":
        for attempt in policy:
            with attempt:
                step()
    else:
        assert list(items()) == [1]
    function = None if form == "block" else items.__qualname__
    scheduled, succeeded = seen
    assert isinstance(scheduled, RetryScheduled)
    assert scheduled.function == function
    assert succeeded == RetrySucceeded(
        policy=None, function=function, attempts=2, seconds=1.0
    )


def test_what_has_no_name_is_shown(seen: list[Event]) -> None:
    """A callable without a name goes by its repr."""
    step = Flaky(OSError())
    with pytest.raises(OSError):
        retry(OSError, attempts=1).call(step)

    (told,) = seen
    assert isinstance(told, RetryGaveUp)
    assert told.function == repr(step)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_blocked_loop_is_told_once(seen: list[Event], backend: str) -> None:
    """A wait that blocks a thread with a loop is told, once for each policy."""
    clock = JumpingClock()
    policy = retry(OSError, attempts=3, clock=clock, name="api", **EVEN)
    hasty = retry(OSError, attempts=3, clock=clock, wait_initial=0)

    def fail() -> None:
        for it in (policy, hasty):
            with pytest.raises(OSError):
                it.call(Flaky(OSError()))

    async def main() -> None:
        for _ in range(2):
            fail()
            for attempt in policy:
                with attempt:
                    if attempt.number == 1:
                        raise OSError

    fail()
    assert not any(isinstance(event, LoopBlocked) for event in seen)
    trio.run(main) if backend == "trio" else asyncio.run(main())
    blocked = [event for event in seen if isinstance(event, LoopBlocked)]
    assert blocked == [LoopBlocked(limiter=None, policy="api", cache=None)]


@pytest.mark.anyio
async def test_a_task_that_waits_blocks_nothing(seen: list[Event]) -> None:
    """The async forms let the loop run, and nothing is told of it."""
    step = Flaky(OSError(), OSError(), 1)

    async def later() -> Any:
        return step()

    with no_waiting():
        assert await retry(OSError).acall(later) == 1
    assert not any(isinstance(event, LoopBlocked) for event in seen)


def test_a_hook_that_raises_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error is reported, and the call goes on."""
    reports: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", reports.append)

    def broken(event: Event) -> None:
        raise LookupError(event.name)

    with subscribe(broken):
        policy = retry(OSError, clock=JumpingClock())
        assert policy.call(Flaky(OSError(), 1)) == 1
    assert [str(report.exc_value) for report in reports] == [
        "concutil.retry_scheduled",
        "concutil.retry_succeeded",
    ]


def test_seconds_are_those_of_the_policy(seen: list[Event]) -> None:
    """How long a call took is told by the clock of the policy."""
    clock = ManualClock(100)

    def slow() -> None:
        clock.advance(7)
        raise OSError

    with pytest.raises(OSError):
        retry(OSError, attempts=1, clock=clock).call(slow)
    (told,) = seen
    assert isinstance(told, RetryGaveUp)
    assert told.seconds == 7
