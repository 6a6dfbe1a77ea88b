"""Events are frozen records, told to hooks outside of locks; hooks do no harm."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
import trio

from concutil import RateLimiter, RateLimitExceeded, events
from concutil.testing import ManualClock
from patience import eventually, threads


@pytest.fixture
def seen() -> Iterator[list[events.Event]]:
    """Collect all events of a test."""
    collected: list[events.Event] = []
    with events.subscribe(collected.append):
        yield collected


def is_parked(thread: threading.Thread) -> bool:
    """Whether *thread* has done all that it does before it waits."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_name == "block"


def wait_once(limiter: RateLimiter, clock: ManualClock) -> None:
    """Have a thread wait 5 s for a place of *limiter*."""

    def enter() -> None:
        with limiter:
            pass

    limiter.__enter__()
    with threads(enter) as started:
        eventually(lambda: limiter.stats().waiting == 1)
        eventually(lambda: is_parked(started[0]))
        clock.advance(5)
        limiter.__exit__(None, None, None)


def test_a_wait_is_told(seen: list[events.Event]) -> None:
    """Whoever waited is told of when it goes on; a free limiter tells nothing."""
    clock = ManualClock()
    limiter = RateLimiter(max_concurrent=1, name="api", clock=clock)
    with limiter:
        pass
    assert seen == []

    wait_once(limiter, clock)
    assert seen == [
        events.LimiterWaited(limiter="api", cost={"calls": 1.0}, waited=5.0)
    ]


def test_a_refusal_is_told(seen: list[events.Event]) -> None:
    """A permit that its timeout forbids is told of, with the error's own number."""
    limiter = RateLimiter("1/min", slack=0, clock=ManualClock())
    limiter.permit().wait()
    with pytest.raises(RateLimitExceeded):
        limiter.permit(timeout=1).wait()

    assert seen == [
        events.LimiterRefused(limiter=None, cost={"calls": 1.0}, retry_after=60.0)
    ]


def test_a_pause_is_told(seen: list[events.Event]) -> None:
    """Whoever pauses a limiter is heard, unless it is no pause."""
    limiter = RateLimiter("1/s", name="api")
    limiter.pause(0)
    limiter.pause(5)

    assert seen == [events.LimiterPaused(limiter="api", seconds=5.0)]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_blocked_loop_is_told_once(seen: list[events.Event], backend: str) -> None:
    """A sync wait on a thread that runs a loop is told once per limiter."""
    limiter = RateLimiter("1/s", clock=ManualClock(), name="api")

    async def main() -> None:
        with limiter:
            assert seen == [], "who needn't wait blocks nothing"
        for _ in range(2):
            with pytest.raises(RateLimitExceeded):
                limiter.permit(timeout=0.1).wait()

    trio.run(main) if backend == "trio" else asyncio.run(main())
    blocked = [event for event in seen if isinstance(event, events.LoopBlocked)]
    assert blocked == [events.LoopBlocked(limiter="api", policy=None, cache=None)]


def test_a_hook_that_raises_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error goes to `sys.unraisablehook`; others hear the event all the same."""
    reports: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", reports.append)
    heard: list[events.Event] = []

    def broken(event: events.Event) -> None:
        raise ValueError(event.name)

    limiter, clock = RateLimiter(max_concurrent=1, clock=ManualClock()), ManualClock()
    with events.subscribe(broken), events.subscribe(heard.append):
        wait_once(limiter, clock)

    assert [str(report.exc_value) for report in reports] == ["concutil.limiter_waited"]
    assert reports[0].object is broken
    assert len(heard) == 1


def test_a_subscription_ends_when_told() -> None:
    """It is called off by a call, by leaving its block, and twice without harm."""
    heard: list[events.Event] = []
    subscription = events.subscribe(heard.append)
    assert "subscribed" in repr(subscription)
    with subscription:
        subscription()
    subscription()
    wait_once(RateLimiter(max_concurrent=1, clock=ManualClock()), ManualClock())

    assert heard == []
    assert repr(subscription).endswith(": unsubscribed>")


def test_hooks_can_be_called() -> None:
    """What can't be called is refused at once."""
    with pytest.raises(TypeError, match="hook must be callable with one event, not 3"):
        events.subscribe(3)  # type: ignore[arg-type]  # on purpose


def test_events_go_to_logging(caplog: pytest.LogCaptureFixture) -> None:
    """Without structlog events are records of the logger `concutil`, with fields."""
    clock = ManualClock()
    with caplog.at_level(logging.DEBUG, logger="concutil"):
        wait_once(RateLimiter(max_concurrent=1, clock=clock, name="api"), clock)

    (record,) = caplog.records
    assert (record.name, record.msg) == ("concutil", "concutil.limiter_waited")
    assert vars(record)["concutil.waited"] == 5.0
    assert vars(record)["concutil.limiter"] == "api"


def test_a_blocked_loop_is_logged_with_its_limiter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The record of the warning says whose wait it was, as all others do."""

    async def main() -> None:
        limiter = RateLimiter("1/s", clock=ManualClock(), name="api")
        limiter.pause(1)
        with pytest.raises(RateLimitExceeded):
            limiter.permit(timeout=0).wait()

    with caplog.at_level(logging.WARNING, logger="concutil"):
        asyncio.run(main())
    (record,) = caplog.records
    assert (record.levelname, record.msg) == ("WARNING", "concutil.loop_blocked")
    assert vars(record)["concutil.limiter"] == "api"


def test_a_quiet_logger_is_told_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Below the logger's level no record is made."""
    clock = ManualClock()
    with caplog.at_level(logging.INFO, logger="concutil"):
        wait_once(RateLimiter(max_concurrent=1, clock=clock), clock)

    assert caplog.records == []


def test_events_go_to_a_configured_structlog() -> None:
    """A program that configured structlog gets them there, and not in logging."""
    output = structlog.testing.LogCapture()
    clock = ManualClock()
    structlog.configure(processors=[output])
    try:
        wait_once(RateLimiter(max_concurrent=1, clock=clock), clock)
    finally:
        structlog.reset_defaults()

    assert output.entries == [
        {
            "event": "concutil.limiter_waited",
            "log_level": "debug",
            "limiter": None,
            "cost": {"calls": 1.0},
            "waited": 5.0,
        }
    ]
