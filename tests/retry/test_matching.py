"""What is retried: types, groups, and what functions of errors and results say."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from fractions import Fraction
from typing import Any

import anyio
import pytest
import trio

from concutil import Retry, retry
from concutil.events import Event, RetryScheduled, subscribe
from concutil.testing import no_waiting
from virtual import Flaky, in_async_block, in_block

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup

ENDINGS = [
    asyncio.CancelledError(),
    trio.Cancelled._create(),
    KeyboardInterrupt(),
    SystemExit(3),
    GeneratorExit(),
    BaseExceptionGroup("ends", [KeyboardInterrupt(), OSError()]),
]


@pytest.fixture(autouse=True)
def no_waits() -> Iterator[None]:
    """No test here is about time."""
    with no_waiting():
        yield


def calls_of(policy: Retry, error: BaseException) -> int:
    """Return how often what raises *error* is called."""
    step = Flaky(error)
    with pytest.raises(type(error)) as info:
        policy.call(step)
    assert info.value is error
    return step.calls


@pytest.mark.parametrize(
    "on",
    [
        OSError,
        (OSError,),
        (KeyError, OSError),
        [KeyError, OSError],
        {OSError},
        iter([OSError, KeyError]),
    ],
    ids=lambda on: type(on).__name__ + str(len(on) if isinstance(on, tuple) else ""),
)
def test_types(on: Any) -> None:
    """An error is retried if it is of one of the types, or of a child of it."""
    policy = retry(on, attempts=3)

    assert calls_of(policy, OSError()) == 3
    assert calls_of(policy, ConnectionResetError()) == 3
    assert calls_of(policy, ValueError()) == 1


def group(*errors: Exception) -> Exception:
    """Return a group, as a task group raises it."""
    return ExceptionGroup("some failed", list(errors))


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (group(OSError()), 3),
        (group(OSError(), KeyError()), 3),
        (group(OSError(), group(ConnectionError(), group(KeyError()))), 3),
        (group(OSError(), ValueError()), 1),
        (group(OSError(), group(OSError(), ValueError())), 1),
        (group(ValueError()), 1),
    ],
    ids=repr,
)
def test_types_match_a_group_by_its_leaves(error: Exception, calls: int) -> None:
    """A group is retried if all that it holds would be, however deep."""
    assert calls_of(retry((OSError, KeyError), attempts=3), error) == calls


def test_a_group_is_a_type_as_well() -> None:
    """Who lists groups gets them whatever they hold."""
    assert calls_of(retry(ExceptionGroup, attempts=3), group(ValueError())) == 3


def test_where_no_groups_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no groups are known, nothing is one."""
    monkeypatch.setattr("concutil._retry.matching._group_type", lambda: None)

    assert calls_of(retry(OSError, attempts=3), group(OSError())) == 1


@pytest.mark.parametrize("value", [OSError, (OSError, KeyError)], ids=["one", "two"])
@pytest.mark.anyio
async def test_a_task_group_is_retried(value: Any) -> None:
    """What tasks raise together is judged together."""
    step = Flaky(OSError(), OSError(), 7)

    @retry(value, attempts=3)
    async def together() -> None:
        async def call() -> None:
            step()

        async with anyio.create_task_group() as tasks:  # noqa: ASYNC112 - another task
            tasks.start_soon(call)

    await together()
    assert step.calls == 3


def test_a_function_sees_the_error() -> None:
    """It is asked once per failure, and gets a group whole."""
    seen: list[Exception] = []

    def on(error: Exception) -> bool:
        seen.append(error)
        return True

    error = group(OSError(), ValueError())
    assert calls_of(retry(on, attempts=3), error) == 3
    assert seen == [error] * 3


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (True, 0.0),
        (5, 5.0),
        (2.5, 2.5),
        (0, 0.0),
        (Fraction(1, 2), 0.5),
        (timedelta(minutes=1), 60.0),
        (timedelta(0), 0.0),
    ],
    ids=repr,
)
def test_a_function_says_when(answer: Any, wait: float) -> None:
    """True is the own wait, and a number or timedelta the least."""
    heard: list[Event] = []
    policy = retry(lambda _: answer, attempts=2, wait_initial=0, timeout=None)
    with subscribe(heard.append):
        assert calls_of(policy, OSError()) == 2

    (told,) = [event for event in heard if isinstance(event, RetryScheduled)]
    assert wait <= told.wait <= wait * 1.1


@pytest.mark.parametrize("answer", [False, None])
def test_a_function_says_no(answer: Any) -> None:
    """False and None mean: raise it."""
    assert calls_of(retry(lambda _: answer), OSError()) == 1


WRONG = [
    (-1, ValueError),
    (timedelta(seconds=-1), ValueError),
    (float("nan"), ValueError),
    (float("inf"), ValueError),
    ("5", TypeError),
    ([], TypeError),
]


@pytest.mark.parametrize(("answer", "kind"), WRONG, ids=repr)
def test_a_wrong_answer_is_an_error(answer: Any, kind: type[Exception]) -> None:
    """It is told of what it should be, and doesn't hide the error that it judged."""
    step = Flaky(original := OSError())
    with pytest.raises(kind, match="the answer of on must be True, False") as info:
        retry(lambda _: answer).call(step)

    assert info.value.__context__ is original
    assert step.calls == 1


@pytest.mark.parametrize(("answer", "kind"), WRONG, ids=repr)
def test_a_wrong_answer_of_a_result_is_an_error(
    answer: Any, kind: type[Exception]
) -> None:
    """So it is for results."""
    with pytest.raises(kind, match="the answer of on_result must be True, False"):
        retry(OSError, on_result=lambda _: answer).call(Flaky(1))


def test_an_async_function_is_no_judge() -> None:
    """One that would have to be awaited is refused when the policy is made."""

    async def judge(_: object) -> bool:
        return True

    class Judge:
        async def __call__(self, _: object) -> bool:
            return True

    for wrong in (judge, Judge()):
        with pytest.raises(TypeError, match="on must be a sync function, not "):
            retry(wrong)  # type: ignore[arg-type]  # on purpose
        with pytest.raises(TypeError, match="on_result must be a sync function, not "):
            retry(OSError, on_result=wrong)  # type: ignore[arg-type]  # on purpose
    gc.collect()


def broken(_: object) -> bool:
    """Judge nothing."""
    raise ZeroDivisionError


@pytest.mark.anyio
async def test_a_function_that_raises() -> None:
    """Its error goes out, with the one that it judged as context, in every form."""
    policy, original = retry(broken, attempts=3), OSError()

    async def later() -> None:
        raise original

    def items() -> Iterator[int]:
        raise original
        yield 1

    with pytest.raises(ZeroDivisionError) as info:
        policy.call(Flaky(original))
    assert info.value.__context__ is original
    with pytest.raises(ZeroDivisionError) as info:
        await policy.acall(later)
    assert info.value.__context__ is original
    with pytest.raises(ZeroDivisionError) as info:
        next(policy(items)())
    assert info.value.__context__ is original
    with pytest.raises(ZeroDivisionError) as info:
        in_block(policy, Flaky(original))
    assert info.value.__context__ is original
    with pytest.raises(ZeroDivisionError) as info:
        await in_async_block(policy, Flaky(original))
    assert info.value.__context__ is original


async def all_forms(policy: Retry, step: Callable[[], object]) -> None:
    """Call *step* in every form, and see that each raises what it raises."""

    async def later() -> object:
        return step()

    def items() -> Iterator[object]:
        yield step()

    async def later_items() -> Any:
        yield step()

    for form in (policy(step), lambda: next(policy(items)())):
        with pytest.raises(BaseException) as info:
            form()
        assert info.value is step.outcomes[0]  # type: ignore[attr-defined]  # Flaky
    for later_form in (policy(later), lambda: anext(policy(later_items)())):
        with pytest.raises(BaseException) as info:
            await later_form()
        assert info.value is step.outcomes[0]  # type: ignore[attr-defined]  # Flaky
    with pytest.raises(BaseException) as info:
        in_block(policy, step)
    assert info.value is step.outcomes[0]  # type: ignore[attr-defined]  # Flaky
    with pytest.raises(BaseException) as info:
        await in_async_block(policy, step)
    assert info.value is step.outcomes[0]  # type: ignore[attr-defined]  # Flaky


@pytest.mark.parametrize("error", ENDINGS, ids=lambda error: type(error).__name__)
@pytest.mark.anyio
async def test_what_ends_a_task_or_a_program_passes(error: BaseException) -> None:
    """No predicate is ever asked of it, and it is raised after one attempt."""
    asked: list[object] = []

    def on(error: Exception) -> bool:
        asked.append(error)
        return True

    step = Flaky(error)
    await all_forms(retry(on, attempts=3), step)
    assert (step.calls, asked) == (6, [])


@pytest.mark.anyio
async def test_all_forms_agree() -> None:
    """In each form an error is tried as often as there are attempts."""
    step = Flaky(OSError())
    await all_forms(retry(OSError, attempts=3), step)

    assert step.calls == 18


@pytest.mark.anyio
async def test_results() -> None:
    """A result that isn't good enough is asked for again, as an error is."""
    policy = retry(OSError, attempts=4, on_result=lambda result: result is None)
    step = Flaky(None, OSError(), None, 5)

    async def later() -> object:
        return step()

    assert (policy.call(step), step.calls) == (5, 4)
    step.calls = 0
    assert (await policy.acall(later), step.calls) == (5, 4)


@pytest.mark.anyio
async def test_the_last_result_is_returned() -> None:
    """At the end there is no error to raise: the caller gets what there is."""
    results: list[list[int]] = []
    policy = retry(OSError, attempts=3, on_result=lambda _: True)

    def call() -> list[int]:
        results.append([len(results)])
        return results[-1]

    async def later() -> list[int]:
        return call()

    assert policy.call(call) is results[2]
    assert await policy.acall(later) is results[5]


def test_a_result_says_when() -> None:
    """A function of the result may tell what the server has asked for."""
    heard: list[Event] = []
    policy = retry(OSError, attempts=2, on_result=lambda result: result)
    with subscribe(heard.append):
        assert policy.call(Flaky(timedelta(seconds=20))) == timedelta(seconds=20)

    (told,) = [event for event in heard if isinstance(event, RetryScheduled)]
    assert 20 <= told.wait <= 22


def test_a_result_may_not_be_retried() -> None:
    """False and None mean: return it."""
    for answer in (False, None):
        step = Flaky("bad")
        assert retry(OSError, on_result=lambda _, it=answer: it).call(step) == "bad"
        assert step.calls == 1


def test_a_function_of_the_result_that_raises() -> None:
    """Its error goes out, and is not retried."""
    step = Flaky(5)
    with pytest.raises(ZeroDivisionError):
        retry(Exception, on_result=broken).call(step)

    assert step.calls == 1


class NumpyBool:
    """Looks like numpy's, which is a number to all who only ask for that."""

    def __init__(self, *, value: bool) -> None:
        self.dtype = type("dtype", (), {"kind": "b"})
        self.value = value

    def __bool__(self) -> bool:
        return self.value

    def __float__(self) -> float:
        return float(self.value)


def test_a_bool_of_numpy_is_a_bool() -> None:
    """`isnan(array).any()` is no wait of 0 or 1 seconds."""
    good, bad = Flaky("good"), Flaky(OSError())
    policy = retry(
        lambda _: NumpyBool(value=True),
        attempts=2,
        wait_initial=0,
        on_result=lambda _: NumpyBool(value=False),
    )
    heard: list[Event] = []
    assert policy.call(good) == "good"
    with subscribe(heard.append), pytest.raises(OSError):
        policy.call(bad)
    assert (good.calls, bad.calls) == (1, 2)
    assert [it.wait for it in heard if isinstance(it, RetryScheduled)] == [0]


def test_a_function_that_can_be_walked_as_well_is_a_function() -> None:
    """Mocks in tests are both: they are meant to be called."""

    class Mock(Flaky):
        def __iter__(self) -> Any:
            return iter(())

    step = Flaky(OSError())
    with pytest.raises(OSError):
        retry(Mock(True), attempts=2, wait_initial=0).call(step)
    assert step.calls == 2
