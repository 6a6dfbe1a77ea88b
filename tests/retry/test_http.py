"""A real server that fails, and real clients: what does the server see of retries?"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial
from typing import Any, Literal, NamedTuple
from urllib.error import HTTPError

import anyio
import httpx  # noqa: ASYNC127 - what most programs use, and only on loopback
import pytest

from concutil import (
    RateLimiter,
    Retry,
    RetryBudget,
    events,
    parse_retry_after,
    retry,
)
from flaky_server import BODY, HANG, OK, RESET, SLOW, Answer, FlakyServer
from patience import LONG_S, threads

# The header knows whole seconds only, so that a date in 0.15 s needs a time of its own.
NOW = datetime(2026, 1, 1, 12, 0, 0, 850_000, tzinfo=timezone.utc)
ASKED_S = 0.15
IN_TIME = "Thu, 01 Jan 2026 12:00:01 GMT"
UNAVAILABLE = Answer(503, retry_after=IN_TIME)
LATE_S = 1.5  # by how much a busy machine may be late
ENOUGH_S = 0.6  # in which it gets a request there


class Ended(NamedTuple):
    """How the calls of some callers ended: statuses or errors, and after what time."""

    results: list[int | Exception]
    seconds: float


def asked(header: str | None) -> float | bool:
    """Answer for `on=`: as long as the server wants, else as the policy has it."""
    seconds = parse_retry_after(header, now=NOW)
    return True if seconds is None else seconds


def judge(error: Exception) -> float | bool:
    """Try again whatever is the fault of the server or of the net."""
    if isinstance(error, HTTPError):
        error.close()
        return error.code in {429, *range(500, 600)} and asked(
            error.headers["Retry-After"]
        )
    if isinstance(error, httpx.HTTPStatusError):
        answer = error.response
        return answer.status_code in {429, *range(500, 600)} and asked(
            answer.headers.get("Retry-After")
        )
    return isinstance(error, (OSError, httpx.TransportError))


def policy(**options: Any) -> Retry:
    return retry(judge, **{"wait_initial": 0.01, **options})


def with_urllib(policy: Retry, url: str, callers: int = 1) -> Ended:
    """Have *policy* get *url* by `urllib`, in so many threads at once."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    results: list[int | Exception] = []

    def get(path: str) -> int:
        with opener.open(url + path, timeout=LONG_S) as answer:
            assert answer.read() == BODY
            return int(answer.status)

    def call(number: int) -> None:
        try:
            results.append(policy.call(get, f"/{number}"))
        except Exception as error:  # noqa: BLE001 - judged by the test
            results.append(error)

    began = time.monotonic()
    with threads(*(partial(call, number) for number in range(callers))):
        pass
    return Ended(results, time.monotonic() - began)


def with_httpx(
    backend: Literal["asyncio", "trio"], policy: Retry, url: str, callers: int = 1
) -> Ended:
    """Have *policy* get *url* by `httpx`, in so many tasks at once."""
    results: list[int | Exception] = []

    async def call(client: httpx.AsyncClient, number: int) -> None:
        async def get() -> int:
            answer = await client.get(f"{url}/{number}")
            return answer.raise_for_status().status_code

        try:
            results.append(await policy.acall(get))
        except Exception as error:  # noqa: BLE001 - judged by the test
            results.append(error)

    async def main() -> float:
        all_at_once = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            verify=False, trust_env=False, timeout=LONG_S, limits=all_at_once
        ) as client:
            began = time.monotonic()
            async with anyio.create_task_group() as tasks:
                for number in range(callers):
                    tasks.start_soon(call, client, number)
            return time.monotonic() - began

    return Ended(results, anyio.run(main, backend=backend))


Client = Callable[..., Ended]
ON_LOOPS = {
    "httpx on asyncio": partial(with_httpx, "asyncio"),
    "httpx on trio": partial(with_httpx, "trio"),
}
CLIENTS = {"urllib in threads": with_urllib, **ON_LOOPS}

each_client = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
each_on_a_loop = pytest.mark.parametrize("client", ON_LOOPS.values(), ids=ON_LOOPS)


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """Return the waits before retries, as they are told."""
    told: list[float] = []

    def hook(event: events.Event) -> None:
        if isinstance(event, events.RetryScheduled):
            told.append(event.wait)

    with events.subscribe(hook):
        yield told


@each_client
def test_failures_of_the_server_are_tried_again(client: Client) -> None:
    """Errors 5xx and connections that are reset lead to one request more each."""
    with FlakyServer([Answer(500), RESET, Answer(503), OK]) as server:
        ended = client(policy(), server.url)

    assert ended.results == [200]
    assert len(server.arrivals) == 4


@each_client
def test_failures_of_the_caller_are_not(client: Client) -> None:
    """What `on` does not want is raised as it is, after one request."""
    with FlakyServer([Answer(404), OK]) as server:
        [error] = client(policy(), server.url).results

    assert isinstance(error, (HTTPError, httpx.HTTPStatusError))
    assert "404" in str(error)
    assert not hasattr(error, "__notes__")
    assert len(server.arrivals) == 1


@each_client
def test_last_answer_is_raised_after_all_attempts(client: Client) -> None:
    """The server sees `attempts` requests, and its last answer is what is raised."""
    with FlakyServer([Answer(500), Answer(500), Answer(502)]) as server:
        [error] = client(policy(attempts=3), server.url).results

    assert "502" in str(error)
    [note] = error.__notes__
    assert "gave up after 3 attempts" in note
    assert len(server.arrivals) == 3


@pytest.mark.slow
@each_client
def test_wait_that_the_server_asked_for_is_never_undercut(client: Client) -> None:
    """By a date: no request comes before it, nor much later."""
    with FlakyServer([UNAVAILABLE, UNAVAILABLE, OK]) as server:
        ended = client(policy(), server.url)

    assert ended.results == [200]
    assert len(server.gaps) == 2
    for gap in server.gaps:
        assert ASKED_S <= gap <= 1.1 * ASKED_S + LATE_S


@pytest.mark.slow
def test_seconds_that_the_server_asked_for_are_never_undercut() -> None:
    """In whole seconds, which are waited for in full."""
    with FlakyServer([Answer(429, retry_after="1"), OK]) as server:
        ended = with_urllib(policy(), server.url)

    assert ended.results == [200]
    [gap] = server.gaps
    assert 1 <= gap <= 1.1 + LATE_S


@pytest.mark.slow
@each_client
def test_callers_do_not_come_back_all_at_once(
    client: Client, waits: list[float]
) -> None:
    """Twenty who were asked for the same wait spread out, and only to later times."""
    with FlakyServer([UNAVAILABLE, OK]) as server:
        ended = client(policy(), server.url, callers=20)

    assert ended.results == [200] * 20
    assert len(server.arrivals) == len({it.path for it in server.arrivals}) * 2 == 40
    first = dict(reversed(server.arrivals))
    last = dict(server.arrivals)
    assert all(last[path] - first[path] >= ASKED_S for path in first)
    assert all(ASKED_S <= wait <= 1.1 * ASKED_S for wait in waits)
    assert len(set(waits)) == 20
    assert max(waits) - min(waits) > 0.02 * ASKED_S


@pytest.mark.slow
@each_client
def test_no_request_comes_after_the_deadline(client: Client) -> None:
    """However often it fails, the call ends in time, with what the server said.

    An attempt that is under way is cut, and its error comes from what was said before.
    """
    with FlakyServer([Answer(500)]) as server:
        tries = policy(attempts=None, timeout=ENOUGH_S, wait_max=0.03)
        ended = client(tries, server.url)

    [error] = ended.results
    assert "500" in str(error.__cause__ or error)
    assert "before the deadline" in error.__notes__[0]
    assert len(server.arrivals) > 1
    assert ended.seconds < ENOUGH_S + LATE_S


@each_client
def test_a_wait_beyond_the_deadline_is_not_begun(client: Client) -> None:
    """A server that asks for more time than there is gets no other request."""
    with FlakyServer([Answer(503, retry_after="60"), OK]) as server:
        ended = client(policy(timeout=30), server.url)

    assert "503" in str(ended.results[0])
    assert len(server.arrivals) == 1
    assert ended.seconds < LATE_S


@pytest.mark.slow
@each_on_a_loop
@pytest.mark.parametrize("answer", [HANG, SLOW], ids=["hang", "slow"])
def test_answers_that_take_too_long_are_cut(client: Client, answer: Answer) -> None:
    """At the deadline, whether nothing comes or byte after byte, each in time."""
    with FlakyServer([answer]) as server:
        ended = client(policy(timeout=ENOUGH_S), server.url)

    [error] = ended.results
    assert type(error) is TimeoutError
    assert ENOUGH_S <= ended.seconds < ENOUGH_S + LATE_S
    assert len(server.arrivals) == 1


@pytest.mark.slow
@each_on_a_loop
def test_attempts_that_take_too_long_are_made_again(client: Client) -> None:
    """Each is cut at its own time, and the next one may succeed."""
    with FlakyServer([HANG, SLOW, OK]) as server:
        ended = client(policy(attempt_timeout=ENOUGH_S), server.url)

    assert ended.results == [200]
    assert len(server.arrivals) == 3
    assert 2 * ENOUGH_S <= ended.seconds < 2 * ENOUGH_S + LATE_S


@pytest.mark.slow
@each_client
@pytest.mark.parametrize("status", [429, 503])
def test_wait_that_was_asked_of_one_holds_up_all(client: Client, status: int) -> None:
    """With a limiter nobody else starts before the time that the server asked for."""
    limiter = RateLimiter(max_concurrent=1)
    with FlakyServer([Answer(status, retry_after=IN_TIME), OK]) as server:
        ended = client(policy(limiter=limiter), server.url, callers=3)

    assert ended.results == [200] * 3
    assert len(server.arrivals) == 6
    refused = dict(reversed(server.arrivals)).values()
    for before, gap in zip(server.arrivals, server.gaps, strict=False):
        assert before.at not in refused or gap >= ASKED_S
    assert limiter.stats().in_flight == 0


@pytest.mark.slow
@each_client
def test_budget_stops_a_storm(client: Client) -> None:
    """A server that is down gets a tenth more requests, and some that are always free.

    Without it there would be five for each call.
    """
    budget = RetryBudget(0.1, min_per_second=1, window=10)
    with FlakyServer([Answer(500)]) as server:
        ended = client(policy(budget=budget), server.url, callers=100)

    assert all(isinstance(it, Exception) for it in ended.results)
    assert len(ended.results) == 100
    assert 100 + 10 <= len(server.arrivals) <= 100 * (1 + 0.1) + 10 * 1
