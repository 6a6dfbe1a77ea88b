"""What users of a library for retries rely on, in all forms and worlds alike.

The cases are those that the public tests of stamina 26.1 state, as far as they apply.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, Literal

import anyio
import pytest

from concutil import Retry, events, retry
from concutil.events import RetryScheduled, RetrySucceeded
from concutil.testing import no_waiting
from virtual import Flaky

Step = Callable[..., Any]
Form = Callable[..., Any]  # has a policy do a step with some arguments
Backend = Literal["asyncio", "trio"]


@pytest.fixture(autouse=True)
def no_waits() -> Iterator[None]:
    """Leave out the waits: what they would be is told by events."""
    with no_waiting():
        yield


@pytest.fixture
def seen() -> Iterator[list[events.Event]]:
    """Return what was told."""
    told: list[events.Event] = []
    with events.subscribe(told.append):
        yield told


def waits_of(seen: list[events.Event]) -> list[float]:
    return [event.wait for event in seen if isinstance(event, RetryScheduled)]


def decorated(policy: Retry, step: Step, *args: Any, **options: Any) -> Any:
    @policy
    def do(*args: Any, **options: Any) -> Any:
        return step(*args, **options)

    return do(*args, **options)


def called(policy: Retry, step: Step, *args: Any, **options: Any) -> Any:
    return policy.call(step, *args, **options)


def in_a_block(policy: Retry, step: Step, *args: Any, **options: Any) -> Any:
    for attempt in policy:
        with attempt:
            result = step(*args, **options)
    return result


def as_items(policy: Retry, step: Step, *args: Any, **options: Any) -> Any:
    @policy
    def do(*args: Any, **options: Any) -> Iterator[Any]:
        yield step(*args, **options)

    [result] = do(*args, **options)
    return result


async def adecorated(policy: Retry, step: Step, *args: Any, **options: Any) -> Any:
    @policy
    async def do(*args: Any, **options: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return step(*args, **options)

    return await do(*args, **options)


async def acalled(policy: Retry, step: Step, *args: Any, **options: Any) -> Any:
    async def do(*args: Any, **options: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return step(*args, **options)

    return await policy.acall(do, *args, **options)


async def in_an_async_block(
    policy: Retry, step: Step, *args: Any, **options: Any
) -> Any:
    async for attempt in policy:
        async with attempt:
            await anyio.lowlevel.checkpoint()
            result = step(*args, **options)
    return result


async def as_async_items(policy: Retry, step: Step, *args: Any, **options: Any) -> Any:
    @policy
    async def do(*args: Any, **options: Any) -> AsyncGenerator[Any, None]:
        await anyio.lowlevel.checkpoint()
        yield step(*args, **options)

    [result] = [item async for item in do(*args, **options)]
    return result


def run(backend: Backend, form: Form, *args: Any, **options: Any) -> Any:
    return anyio.run(partial(form, *args, **options), backend=backend)


SYNC: list[Form] = [decorated, called, in_a_block, as_items]
ASYNC: list[Form] = [adecorated, acalled, in_an_async_block, as_async_items]
FORMS: dict[str, Form] = {
    **{form.__name__: form for form in SYNC},
    **{f"{form.__name__}-asyncio": partial(run, "asyncio", form) for form in ASYNC},
    **{f"{form.__name__}-trio": partial(run, "trio", form) for form in ASYNC},
}
each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@each_form
@pytest.mark.parametrize("attempts", [None, 1])
@pytest.mark.parametrize("timeout", [None, 1, timedelta(days=1)])
@pytest.mark.parametrize("wait", [1, timedelta(days=1)])
def test_no_error_no_problem(
    form: Form, attempts: Any, timeout: Any, wait: Any, seen: list[events.Event]
) -> None:
    """Under any limits, what succeeds is called once, and nothing is told."""
    policy = retry(
        Exception, attempts=attempts, timeout=timeout, wait_initial=wait, wait_max=wait
    )
    step = Flaky(42)

    assert form(policy, step) == 42
    assert step.calls == 1
    assert seen == []


@each_form
@pytest.mark.parametrize("timeout", [None, 60, timedelta(days=1)])
@pytest.mark.parametrize("wait", [0, timedelta(0)])
def test_what_fails_is_called_again(
    form: Form, timeout: Any, wait: Any, seen: list[events.Event]
) -> None:
    """Under any deadline, at once if there is no wait."""
    policy = retry(ValueError, timeout=timeout, wait_initial=wait)
    step = Flaky(ValueError(), 42)

    assert form(policy, step) == 42
    assert step.calls == 2
    assert waits_of(seen) == [0]


@each_form
def test_other_errors_pass(form: Form) -> None:
    """What `on` does not name is raised itself, at once, as it is."""
    error = TypeError("passed")
    step = Flaky(error)

    with pytest.raises(TypeError) as raised:
        form(retry(ValueError), step)

    assert raised.value is error
    assert not hasattr(error, "__notes__")
    assert step.calls == 1


@each_form
def test_one_attempt_is_as_if_there_were_no_policy(
    form: Form, seen: list[events.Event]
) -> None:
    """With `attempts=1` a failure is raised itself, and no retry is ever told."""
    error = ValueError("passed")
    policy = retry(Exception, attempts=1)
    step = Flaky(error, 42)

    with pytest.raises(ValueError, match="passed") as raised:
        form(policy, step)

    assert raised.value is error
    assert step.calls == 1
    assert waits_of(seen) == []
    assert form(policy, step) == 42


@each_form
def test_arguments_are_passed_through(form: Form) -> None:
    """Every attempt gets the same ones, by position and by name."""
    got: list[Any] = []

    def step(*args: Any, **options: Any) -> str:
        got.append((args, options))
        if len(got) < 3:
            raise ValueError
        return "done"

    assert form(retry(ValueError), step, 42, [1], foo="bar") == "done"
    assert got == [((42, [1]), {"foo": "bar"})] * 3


@each_form
@pytest.mark.parametrize(
    ("answer", "least"), [(1.5, 1.5), (3, 3), (timedelta(milliseconds=250), 0.25)]
)
def test_a_function_says_how_long_to_wait(
    form: Form, answer: Any, least: float, seen: list[events.Event]
) -> None:
    """As seconds or a timedelta: so much it is, or a little more."""
    policy = retry(lambda _: answer, attempts=2, wait_initial=0.01)

    assert form(policy, Flaky(ValueError(), 42)) == 42
    [wait] = waits_of(seen)
    assert least <= wait <= 1.1 * least


@each_form
def test_a_function_finds_the_wait_in_the_error(
    form: Form, seen: list[events.Event]
) -> None:
    """As with a server that tells it: each time what this error has said."""

    class Busy(Exception):  # noqa: N818 - as servers say
        def __init__(self, seconds: float) -> None:
            self.seconds = seconds

    policy = retry(
        lambda error: isinstance(error, Busy) and error.seconds, jitter="none"
    )

    assert form(policy, Flaky(Busy(3), Busy(2), 42)) == 42
    assert waits_of(seen) == [3, 2]


@each_form
@pytest.mark.parametrize("answer", [None, False])
def test_a_function_that_does_not_want_it(form: Form, answer: Any) -> None:
    """Nothing said is no."""
    step = Flaky(ValueError("passed"), 42)

    with pytest.raises(ValueError, match="passed"):
        form(retry(lambda _: answer), step)

    assert step.calls == 1


@each_form
@pytest.mark.parametrize("jitter", ["full", "equal", "none"])
def test_waits_never_exceed_their_maximum(
    form: Form, jitter: Any, seen: list[events.Event]
) -> None:
    """However often it fails: the powers of the factor are beyond all floats then."""
    count = 1_100
    policy = retry(ValueError, attempts=None, timeout=None, wait_max=7, jitter=jitter)
    step = Flaky(*[ValueError() for _ in range(count)], 42)

    assert form(policy, step) == 42
    waits = waits_of(seen)
    assert len(waits) == count
    assert 3 < max(waits) <= 7
    assert all(0 <= wait <= 0.1 * 2**at for at, wait in enumerate(waits[:7]))
    assert jitter != "none" or waits[-1] == 7


@pytest.mark.parametrize("backend", [None, "asyncio", "trio"])
def test_a_block_knows_its_number_and_its_next_wait(
    backend: Backend | None, seen: list[events.Event]
) -> None:
    """They are those of this attempt, and the wait is the one that follows."""
    policy = retry(ValueError, attempts=4)
    numbers: list[int] = []
    next_waits: list[float] = []

    def step(attempt: Any) -> None:
        numbers.append(attempt.number)
        assert f"Attempt {attempt.number} " in repr(attempt)
        next_waits.append(attempt.next_wait)
        if attempt.number < 4:
            raise ValueError

    async def block() -> None:
        async for attempt in policy:
            async with attempt:
                step(attempt)

    if backend is None:
        for attempt in policy:
            with attempt:
                step(attempt)
    else:
        anyio.run(block, backend=backend)

    assert numbers == [1, 2, 3, 4]
    assert waits_of(seen) == next_waits[:3]
    assert len(set(next_waits)) == 4


class Service:
    """Its methods are retried, each instance by itself."""

    policy = retry(ValueError)

    def __init__(self, name: str, failures: int) -> None:
        self.name = name
        self.step = Flaky(*[ValueError()] * failures, name)

    @policy
    def get(self) -> Any:
        return self.step()

    @policy
    async def aget(self) -> Any:
        await anyio.lowlevel.checkpoint()
        return self.step()

    @policy
    def items(self) -> Iterator[Any]:
        yield self.step()

    @policy
    async def aitems(self) -> AsyncGenerator[Any, None]:
        yield self.step()


def test_methods_know_their_instance(seen: list[events.Event]) -> None:
    """Each instance has its own calls, and events name the method with its class."""

    async def go() -> list[Any]:
        [item] = [item async for item in Service("four", 1).aitems()]
        return [await Service("three", 1).aget(), item]

    assert Service("one", 2).get() == "one"
    assert list(Service("two", 1).items()) == ["two"]
    assert anyio.run(go) == ["three", "four"]

    told = [event for event in seen if isinstance(event, RetrySucceeded)]
    assert [(event.function, event.attempts) for event in told] == [
        ("Service.get", 3),
        ("Service.items", 2),
        ("Service.aitems", 2),
        ("Service.aget", 2),
    ]


@each_form
def test_retries_are_logged(
    form: Form, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    """Who has set up nothing finds what is called, why and for how long it waits."""
    error = ValueError("why")
    with caplog.at_level(logging.DEBUG, logger="concutil"):
        form(retry(ValueError, name="api"), Flaky(error, 42))

    [first, second] = caplog.records
    told = vars(first)
    assert first.message == "concutil.retry_scheduled"
    assert (told["concutil.policy"], told["concutil.attempt"]) == ("api", 1)
    assert told["concutil.error"] is error
    assert 0 <= told["concutil.wait"] <= 0.1
    assert second.message == "concutil.retry_succeeded"
    assert vars(second)["concutil.attempts"] == 2


def test_generators_are_all_there() -> None:
    """What is sent and thrown in, and what is returned, goes through unchanged."""
    begun = Flaky(ValueError(), None)
    boom = KeyError("in")

    @retry(ValueError)
    def talk() -> Generator[Any, Any, str]:
        begun()
        got = yield "first"
        try:
            yield ("got", got)
        except KeyError as error:
            yield ("caught", error)
        return "end"

    talking = talk()
    assert next(talking) == "first"
    assert talking.send(21) == ("got", 21)
    assert talking.throw(boom) == ("caught", boom)
    with pytest.raises(StopIteration) as stopped:
        next(talking)
    assert stopped.value.value == "end"
    assert begun.calls == 2


@pytest.mark.anyio
async def test_async_generators_are_all_there() -> None:
    """What is sent and thrown in goes through; one that swallows an error may end."""
    begun = Flaky(ValueError(), None)
    boom = KeyError("in")

    @retry(ValueError)
    async def talk() -> AsyncGenerator[Any, Any]:
        begun()
        got = yield "first"
        try:
            yield ("got", got)
        except KeyError as error:
            yield ("caught", error)
        try:
            yield "last"
        except KeyError:
            return

    talking = talk()
    assert await anext(talking) == "first"
    assert await talking.asend(21) == ("got", 21)
    assert await talking.athrow(boom) == ("caught", boom)
    assert await anext(talking) == "last"
    with pytest.raises(StopAsyncIteration):
        await talking.athrow(boom)
    assert begun.calls == 2


def test_waits_come_back_when_tests_are_over() -> None:
    """`no_waiting` nests, and ends with its block, also by an error."""

    class Stopped(Exception):  # noqa: N818 - says what happened
        pass

    class Clock:
        """Notes that somebody waits, and doesn't let them."""

        def now(self) -> float:
            return 0.0

        def call_at(self, when: float, wake: Callable[[], object]) -> Any:
            raise Stopped

    policy = retry(ValueError, clock=Clock())

    def check() -> None:
        with no_waiting():
            with pytest.raises(KeyError), no_waiting():
                raise KeyError
            assert policy.call(Flaky(ValueError(), 42)) == 42
        with pytest.raises(Stopped):
            policy.call(Flaky(ValueError(), 42))

    contextvars.Context().run(check)  # out of that of the fixture


@pytest.mark.parametrize("timeout", [0, -1, timedelta(0)])
def test_no_time_at_all_is_a_mistake(timeout: Any) -> None:
    """Zero could never succeed: it is refused as the policy is made, and says so."""
    with pytest.raises(ValueError, match=r"timeout must be .* above 0"):
        retry(ValueError, timeout=timeout)


def test_a_policy_shows_what_it_does() -> None:
    """Its repr tells its name, what it retries and how far it goes."""
    policy = retry((ValueError, OSError), attempts=42, timeout=13.0, name="api")
    assert repr(policy) == "<Retry 'api' on ValueError, OSError: 42 attempts in 13 s>"
