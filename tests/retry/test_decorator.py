"""What is decorated is called again, and looks and binds as before."""

from __future__ import annotations

import abc
import copy
import functools
import inspect
import pickle
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from concutil import Retry, retry
from concutil.testing import no_waiting
from virtual import Flaky

policy = retry(ConnectionError, attempts=3)


@pytest.fixture(autouse=True)
def no_waits() -> Iterator[None]:
    """No test here is about time."""
    with no_waiting():
        yield


def failing(times: int) -> Flaky:
    """Return what fails *times* and then gives how often it was called."""
    return Flaky(*[ConnectionError(str(n)) for n in range(times)], times + 1)


@policy
def plain(step: Flaky, /, b: int = 2, *, c: int = 3) -> tuple[int, int, int]:
    """Do a step."""
    return step(), b, c


@policy
async def coloured(step: Flaky, b: int = 2) -> tuple[int, int]:
    """Do a step later."""
    await checkpoint()
    return step(), b


class Client:
    """Methods of all kinds."""

    @policy
    def method(self, step: Flaky) -> tuple[str, int]:
        return type(self).__name__, step()

    @policy
    @classmethod
    def of_class(cls, step: Flaky) -> tuple[str, int]:
        return cls.__name__, step()

    @classmethod
    @policy
    def of_class_too(cls, step: Flaky) -> tuple[str, int]:
        return cls.__name__, step()

    @policy
    @staticmethod
    def of_none(step: Flaky) -> int:
        return int(step())

    @property
    @policy
    def attribute(self) -> int:
        return int(self.step())

    @policy
    async def later(self, step: Flaky) -> tuple[str, int]:
        await checkpoint()
        return type(self).__name__, step()

    step = failing(1)


def test_functions() -> None:
    """A function is called until it succeeds, each time with the same arguments."""
    step = failing(2)

    assert plain(step, c=5) == (3, 2, 5)
    assert step.calls == 3


def test_the_last_error_is_raised_itself() -> None:
    """Nothing wraps it; what it was caused by stays as it was."""
    errors = [ConnectionError(n) for n in range(3)]
    errors[2].__cause__ = cause = ValueError()
    step = Flaky(*errors)

    with pytest.raises(ConnectionError) as info:
        plain(step)
    assert info.value is errors[2]
    assert info.value.__cause__ is cause
    assert info.value.__context__ is None
    assert step.calls == 3


def test_other_errors_are_raised_at_once() -> None:
    """What isn't listed goes through untouched."""
    error = ValueError()
    step = Flaky(error)

    with pytest.raises(ValueError) as info:
        plain(step)
    assert info.value is error
    assert not hasattr(error, "__notes__")
    assert step.calls == 1


@pytest.mark.anyio
async def test_async_functions() -> None:
    """An async function stays one, and each attempt is a new call of it."""
    step = failing(2)

    assert inspect.iscoroutinefunction(coloured)
    assert await coloured(step, 5) == (3, 5)
    with pytest.raises(ConnectionError, match="2"):
        await coloured(failing(3))


@pytest.mark.anyio
async def test_methods() -> None:
    """Methods of every kind are bound as before."""
    client = Client()

    assert client.method(failing(2)) == ("Client", 3)
    assert Client.of_class(failing(2)) == ("Client", 3)
    assert client.of_class(failing(2)) == ("Client", 3)
    assert Client.of_class_too(failing(2)) == ("Client", 3)
    assert Client.of_none(failing(2)) == client.of_none(failing(2)) == 3
    assert client.attribute == 2
    assert await client.later(failing(2)) == ("Client", 3)


@pytest.mark.anyio
async def test_other_callables() -> None:
    """Objects with `__call__`, partials and classes are called in their colour."""

    class Later:
        async def __call__(self, step: Flaky) -> int:
            return int(step())

    class Made:
        def __init__(self, step: Flaky) -> None:
            self.step = step()

    assert policy(failing(2))() == 3
    assert await policy(Later())(failing(2)) == 3
    assert policy(functools.partial(plain.__wrapped__, failing(2), 7))() == (3, 7, 3)  # type: ignore[attr-defined]  # of wraps
    partly = policy(functools.partial(coloured.__wrapped__, b=9))  # type: ignore[attr-defined]  # of wraps
    assert await partly(failing(2)) == (3, 9)
    assert policy(Made)(failing(2)).step == 3


def test_what_can_not_be_called_is_refused() -> None:
    """Only callables can be decorated."""
    with pytest.raises(TypeError, match="only a callable can be decorated, not 3"):
        policy(3)  # type: ignore[arg-type]  # on purpose


def test_looks_are_kept() -> None:
    """Introspection sees what was decorated."""
    signature = "(step: 'Flaky', /, b: 'int' = 2, *, c: 'int' = 3) -> "

    assert str(inspect.signature(plain)).startswith(signature)
    assert (plain.__name__, plain.__doc__) == ("plain", "Do a step.")
    assert typing.get_type_hints(plain)["b"] is int
    assert typing.get_type_hints(Client.later)["step"] is Flaky
    assert list(inspect.signature(Client().method).parameters) == ["step"]
    assert list(inspect.signature(Client.of_class).parameters) == ["step"]


@pytest.mark.parametrize("function", [plain, coloured])
def test_functions_are_copied_and_pickled_by_reference(function: Any) -> None:
    """A decorated function is itself wherever it arrives."""
    assert pickle.loads(pickle.dumps(function)) is function
    assert copy.copy(function) is copy.deepcopy(function) is function


def test_a_policy_is_its_own_copy() -> None:
    """It can't change, so that whoever copies what holds it needs no other."""
    holder = {"policy": policy}

    assert copy.copy(policy) is policy
    assert copy.deepcopy(holder)["policy"] is policy


def test_abstract_methods_stay_abstract() -> None:
    """A class can't be made while a decorated abstract method is missing."""

    class Base(abc.ABC):
        @policy
        @abc.abstractmethod
        def above(self) -> int: ...

        @abc.abstractmethod
        @policy
        def below(self) -> int: ...

    assert Base.__abstractmethods__ == {"above", "below"}
    with pytest.raises(TypeError, match="abstract"):
        Base()  # type: ignore[abstract]  # on purpose


def test_call() -> None:
    """A function that isn't decorated is called by `call`, with its arguments."""
    step = failing(2)

    assert policy.call(plain.__wrapped__, step, 4, c=5) == (3, 4, 5)  # type: ignore[attr-defined]  # of wraps
    with pytest.raises(ConnectionError, match="2"):
        policy.call(failing(3))


@pytest.mark.anyio
async def test_acall() -> None:
    """An async one by `acall`; whatever gives an awaitable will do."""

    async def later(step: Flaky, b: int) -> tuple[int, int]:
        return step(), b

    assert await policy.acall(later, failing(2), b=4) == (3, 4)
    step = failing(2)
    assert await policy.acall(lambda: later(step, 5)) == (3, 5)
    with pytest.raises(ConnectionError, match="2"):
        await policy.acall(later, failing(3), 4)


def test_call_refuses_async_functions() -> None:
    """Their errors would come when nobody looks any more."""
    with pytest.raises(TypeError, match=r"is async: await policy.acall\(fn, ...\)"):
        policy.call(coloured, Flaky(1))


def numbers(start: Flaky) -> Generator[int, int, str]:
    """Give what *start* gives, and then what is sent."""
    sent = yield start()
    while sent:
        try:
            sent = yield sent * 2
        except ValueError:
            sent = yield -1
    return f"ended by {sent}"


async def later_numbers(start: Flaky) -> AsyncGenerator[int, int]:
    """Give what *start* gives, and then what is sent."""
    await checkpoint()
    sent = yield start()
    while sent:
        try:
            sent = yield sent * 2
        except ValueError:
            sent = yield -1


def test_generators() -> None:
    """A generator is begun again until its first item is there, and then goes on."""
    assert inspect.isgeneratorfunction(policy(numbers))
    items = policy(numbers)(failing(2))

    assert next(items) == 3
    assert items.send(5) == 10
    assert items.throw(ValueError()) == -1
    assert items.send(7) == 14
    with pytest.raises(StopIteration, match="ended by None"):
        next(items)


def test_generators_without_items() -> None:
    """One that ends before its first item has succeeded, with what it returns."""

    @policy
    def nothing(step: Flaky) -> Generator[int, None, str]:
        step()
        return "done"
        yield 1

    step = failing(1)
    with pytest.raises(StopIteration, match="done"):
        next(nothing(step))
    assert step.calls == 2


def test_generators_are_not_begun_again_after_an_item() -> None:
    """What fails later goes to the caller: no item comes twice."""

    @policy
    def one_then_fail(calls: list[int]) -> Iterator[int]:
        calls.append(1)
        yield 1
        raise ConnectionError

    calls: list[int] = []
    items = one_then_fail(calls)
    assert next(items) == 1
    with pytest.raises(ConnectionError) as info:
        next(items)
    assert calls == [1]
    assert not hasattr(info.value, "__notes__")


def test_generators_that_never_begin() -> None:
    """After the last attempt its error is raised, and other errors at once."""
    with pytest.raises(ConnectionError, match="2"):
        next(policy(numbers)(failing(3)))
    step = Flaky(ValueError())
    with pytest.raises(ValueError):
        next(policy(numbers)(step))
    assert step.calls == 1


@pytest.mark.anyio
async def test_async_generators() -> None:
    """An async generator likewise."""
    assert inspect.isasyncgenfunction(policy(later_numbers))
    items = policy(later_numbers)(failing(2))

    assert await anext(items) == 3
    assert await items.asend(5) == 10
    assert await items.athrow(ValueError()) == -1
    assert await items.asend(7) == 14
    with pytest.raises(StopAsyncIteration):
        await anext(items)


@pytest.mark.anyio
async def test_async_generators_without_items() -> None:
    """One that ends before its first item has succeeded."""

    @policy
    async def nothing(step: Flaky) -> AsyncIterator[int]:
        step()
        return
        yield 1

    step = failing(1)
    assert [item async for item in nothing(step)] == []
    assert step.calls == 2


@pytest.mark.anyio
async def test_async_generators_that_yield_inside_of_a_scope() -> None:
    """A policy without a deadline has no scope of its own, which would have to nest."""

    @retry(OSError, timeout=None)
    async def from_scope() -> AsyncIterator[int]:
        with anyio.CancelScope():
            yield 1  # noqa: ASYNC101, ASYNC119 - the subject
            yield 2  # noqa: ASYNC101, ASYNC119 - the subject

    @retry(OSError, timeout=None)
    async def from_group() -> AsyncIterator[int]:
        async with anyio.create_task_group():
            yield 1  # noqa: ASYNC101, ASYNC119 - the subject
            yield 2  # noqa: ASYNC101, ASYNC119 - the subject

    for items in (from_scope, from_group):
        assert [item async for item in items()] == [1, 2]


@pytest.mark.anyio
async def test_async_generators_that_never_begin_or_fail_later() -> None:
    """The last error is raised, other errors at once, and any after the first item."""

    @policy
    async def one_then_fail() -> AsyncIterator[int]:
        yield 1
        raise ConnectionError("later")

    with pytest.raises(ConnectionError, match="2"):
        await anext(policy(later_numbers)(failing(3)))
    step = Flaky(ValueError())
    with pytest.raises(ValueError):
        await anext(policy(later_numbers)(step))
    assert step.calls == 1
    items = one_then_fail()
    assert await anext(items) == 1
    with pytest.raises(ConnectionError, match="later"):
        await anext(items)


@pytest.mark.anyio
async def test_generators_are_closed_with_what_they_wrap() -> None:
    """Who closes one closes the inner one, whether it has begun or not."""
    ended: list[str] = []

    @policy
    def items() -> Iterator[int]:
        try:
            yield 1
        finally:
            ended.append("sync")

    @policy
    async def later_items() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            ended.append("async")

    some: Any = items()
    some.close()
    later = later_items()
    await later.aclose()
    assert ended == []

    some = items()
    next(some)
    some.close()
    later = later_items()
    await anext(later)
    await later.aclose()
    assert ended == ["sync", "async"]


def test_a_policy_has_no_state_of_calls() -> None:
    """Each call has all of its attempts, within another one as well."""
    inner, outer = failing(2), failing(2)

    @policy
    def recursive(depth: int) -> int:
        if depth:
            inner.calls = 0
            recursive(depth - 1)
            return int(outer())
        return int(inner())

    assert recursive(1) == 3
    assert outer.calls == inner.calls == 3
    assert isinstance(policy, Retry)
