"""What the errors that come out carry: a note, and nothing that holds them."""

from __future__ import annotations

import gc
import traceback
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from concutil import RateLimiter, Retry, retry
from concutil._retry import call as call_module
from concutil.testing import ManualClock, no_waiting
from virtual import Flaky, JumpingClock, moving


@pytest.fixture(autouse=True)
def no_waits() -> Iterator[None]:
    """No test here is about time."""
    with no_waiting():
        yield


def notes_of(error: BaseException) -> list[str]:
    """Return the notes of *error*."""
    return list(getattr(error, "__notes__", ()))


def raised(call: Callable[[], object]) -> BaseException:
    """Return what *call* raises."""
    with pytest.raises(BaseException) as info:
        call()
    return info.value


# --- notes ---------------------------------------------------------------------------


def test_a_note_tells_what_came_before() -> None:
    """The attempts, their time, why there are no more, and the errors before."""
    clock = JumpingClock()
    errors = [OSError(), KeyError(), OSError(), OSError(), ValueError()]
    policy = retry(Exception, clock=clock, wait_initial=1, jitter="none", name="api")
    error = raised(lambda: policy.call(Flaky(*errors)))

    assert error is errors[-1]
    (text,) = notes_of(error)
    assert text == (
        "retry 'api': gave up after 5 attempts in 0 s, since no attempts are left;"
        " before: OSError x3, KeyError"
    )


def test_a_single_attempt_has_nothing_before() -> None:
    """Without retries the note is short."""
    error = raised(lambda: retry(OSError, attempts=1).call(Flaky(OSError())))

    (text,) = notes_of(error)
    assert text.startswith("retry: gave up after 1 attempt in ")
    assert text.endswith(" s, since no attempts are left")


def test_an_error_that_ends_retries_is_noted() -> None:
    """If a later attempt fails in another way, the earlier ones are told of."""
    error = raised(lambda: retry(OSError).call(Flaky(OSError(), ValueError())))

    (text,) = notes_of(error)
    assert text.endswith("since this error is not retried; before: OSError")


def test_an_error_that_is_not_retried_is_not_noted() -> None:
    """Who has nothing to do with retries isn't told of them."""
    error = raised(lambda: retry(OSError).call(Flaky(ValueError())))

    assert notes_of(error) == []


def test_results_are_no_errors_before() -> None:
    """Of what was returned and not good enough there is no type to tell."""
    policy = retry(OSError, attempts=3, on_result=lambda it: it is None)
    error = raised(lambda: policy.call(Flaky(None, None, OSError())))

    assert "before" not in notes_of(error)[0]


def test_each_policy_has_one_note() -> None:
    """Nested policies each tell of their own attempts; another's notes stay."""
    error = OSError()
    error.__notes__ = ["mine"]  # type: ignore[attr-defined]  # of 3.11
    inner = retry(OSError, attempts=3, name="inner")
    outer = retry(OSError, attempts=2, name="outer")
    step = Flaky(error)
    raised(lambda: outer.call(inner.call, step))

    mine, first, second = notes_of(error)
    assert step.calls == 6
    assert mine == "mine"
    assert first.startswith("retry 'inner': gave up after 3 attempts")
    assert second.startswith("retry 'outer': gave up after 2 attempts")


def test_an_error_that_is_raised_again_does_not_grow() -> None:
    """One and the same instance may be raised by a thousand calls."""
    error = OSError()
    policy = retry(OSError, attempts=2)
    for _ in range(1000):
        raised(lambda: policy.call(Flaky(error)))

    assert len(notes_of(error)) == 1


def test_notes_of_others_stay() -> None:
    """A policy replaces its own note, and none of one whose name begins alike."""
    error = OSError()
    for name in ("api", "api 2", None, "api", None):
        raised(lambda it=name: retry(OSError, attempts=2, name=it).call(Flaky(error)))

    starts = [note.partition(":")[0] for note in notes_of(error)]
    assert starts == ["retry 'api 2'", "retry 'api'", "retry"]


@dataclass(frozen=True)
class FrozenError(OSError):
    """An error that can't be changed."""


def test_an_error_that_can_not_be_noted() -> None:
    """It is raised all the same."""
    error = FrozenError()

    assert raised(lambda: retry(OSError, attempts=2).call(Flaky(error))) is error
    assert notes_of(error) == []


def frames_of(error: BaseException) -> int:
    """Return how long the traceback of *error* is."""
    return len(list(traceback.walk_tb(error.__traceback__)))


def always(error: Exception) -> Callable[[], Any]:
    """Return a function that raises *error*."""

    def fail() -> None:
        raise error

    return fail


@pytest.mark.anyio
async def test_a_traceback_does_not_grow_with_the_attempts() -> None:  # noqa: C901 - the forms
    """If each attempt raises the same instance, it shows the last of them only."""

    def depth(attempts: int) -> list[int]:
        policy = retry(OSError, attempts=attempts, timeout=None)

        def block() -> None:
            for attempt in policy:
                with attempt:
                    raise error

        @policy
        def items() -> Iterator[int]:
            raise error
            yield 1

        found = []
        for call in (policy(always(error := OSError())), block, lambda: next(items())):
            error.__traceback__ = None
            found.append(frames_of(raised(call)))
        return found

    async def later_depth(attempts: int) -> list[int]:
        policy = retry(OSError, attempts=attempts, timeout=None)
        error = OSError()

        async def later() -> None:
            raise error

        async def block() -> None:
            async for attempt in policy:
                async with attempt:
                    raise error

        found = []
        for call in (policy(later), block):
            error.__traceback__ = None
            with pytest.raises(OSError):
                await call()
            found.append(frames_of(error))
        return found

    assert depth(100) == depth(1)
    assert await later_depth(100) == await later_depth(1)


@pytest.mark.anyio
async def test_errors_that_take_turns_do_not_grow() -> None:
    """A function may raise one of a few cached instances at each attempt."""
    errors = OSError(1), OSError(2)
    policy = retry(OSError, attempts=100, timeout=None)

    async def later(step: Flaky) -> None:
        step()

    @policy
    def items(step: Flaky) -> Iterator[int]:
        yield step()

    @policy
    async def later_items(step: Flaky) -> AsyncIterator[int]:
        yield step()

    def turns() -> Flaky:
        return Flaky(*errors * 50)

    with pytest.raises(OSError):
        policy.call(turns())
    with pytest.raises(OSError):
        await policy.acall(later, turns())
    with pytest.raises(OSError):
        next(items(turns()))
    with pytest.raises(OSError):
        await anext(later_items(turns()))
    assert [frames_of(error) < 40 for error in errors] == [True, True]


def test_an_error_that_a_block_raises_again_keeps_its_origin() -> None:
    """Its frame is that of the attempts as well, and what it has caught stays."""

    def block() -> None:
        for attempt in retry(OSError, attempts=3):
            with attempt:
                try:
                    always(OSError())()
                except OSError as error:  # noqa: TRY203 - the subject
                    raise error  # noqa: TRY201 - the subject

    error = raised(block)
    frames = [
        frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    assert frames[-3:] == ["block", "block", "fail"]


def test_the_traceback_shows_the_function() -> None:
    """Between the caller and what has failed there is one frame of ours."""
    error = raised(lambda: retry(OSError).call(always(OSError())))

    names = [
        frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    assert names[-1] == "fail"
    assert len(names) <= 5


# --- cycles --------------------------------------------------------------------------


class MarkedError(OSError):
    """An error that can be watched."""


class Watched:
    """Runs what it is told, and sees that no garbage is left for the collector."""

    def __init__(self) -> None:
        self.alive: list[weakref.ref[BaseException]] = []

    def fail(self) -> None:
        """Raise an error that is watched."""
        error = MarkedError()
        self.alive.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    def left(self) -> int:
        """Return how many of the errors are still there."""
        return sum(error() is not None for error in self.alive)


def form_of(form: str, policy: Retry, step: Callable[[], object]) -> Callable[[], Any]:
    """Return what calls *step* in one of the forms."""

    def items() -> Iterator[object]:
        yield step()

    def block() -> None:
        for attempt in policy:
            with attempt:
                step()

    def generate() -> None:
        for _ in policy(items)():
            pass

    return {"function": policy(step), "block": block, "generator": generate}[form]


def later_form_of(
    form: str, policy: Retry, step: Callable[[], object]
) -> Callable[[], Awaitable[Any]]:
    """Return what calls *step* in one of the async forms."""

    @policy
    async def later() -> None:
        step()

    @policy
    async def items() -> Any:
        yield step()

    async def block() -> None:
        async for attempt in policy:
            async with attempt:
                step()

    async def generate() -> None:
        async for _ in items():
            pass

    return {"function": later, "block": block, "generator": generate}[form]


def steps(watched: Watched, end: str) -> Callable[[], object]:
    """Return a function that fails twice, and then does what *end* says."""
    calls: list[int] = []

    def step() -> object:
        calls.append(1)
        if len(calls) <= 2 or end == "error":
            watched.fail()
        if end == "other error":
            raise ValueError
        if end == "ends":
            raise KeyboardInterrupt
        return len(calls)

    return step


def policy_for(end: str) -> Retry:
    """Return a policy under which a call ends so."""
    if end != "limiter":
        return retry(OSError, attempts=3)
    clock = ManualClock()
    limiter = RateLimiter("1/min", slack=0, clock=clock, burst=2)
    return retry(OSError, attempts=9, limiter=limiter, clock=clock)


@pytest.mark.parametrize("end", ["error", "other error", "success", "ends", "limiter"])
@pytest.mark.parametrize("form", ["function", "block", "generator"])
def test_no_cycles(form: str, end: str) -> None:
    """However a call ends, its errors go without the collector's help."""
    watched = Watched()
    call = form_of(form, policy_for(end), steps(watched, end))
    gc.collect()
    gc.disable()
    try:
        with suppress(OSError, ValueError, KeyboardInterrupt):
            call()
            assert end == "success"
        assert len(watched.alive) >= 2
        assert watched.left() == 0
        del call
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("end", ["error", "other error", "success", "limiter"])
@pytest.mark.parametrize("form", ["function", "block", "generator"])
@pytest.mark.anyio
async def test_no_cycles_in_tasks(form: str, end: str) -> None:
    """The same for the async forms."""
    watched = Watched()
    call = later_form_of(form, policy_for(end), steps(watched, end))
    gc.collect()
    gc.disable()
    try:
        with suppress(OSError, ValueError):
            await call()
            assert end == "success"
        assert len(watched.alive) >= 2
        assert watched.left() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("form", ["function", "block", "generator"])
@pytest.mark.anyio
async def test_no_cycles_after_a_cancellation(form: str) -> None:
    """A call that is cancelled in its wait, or cut, leaves no errors behind."""
    watched, clock = Watched(), ManualClock()

    async def cancelled() -> None:
        policy = retry(OSError, timeout=None, clock=clock)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await later_form_of(form, policy, watched.fail)()
        assert scope.cancelled_caught

    async def cut() -> None:
        calls: list[int] = []

        async def later() -> None:
            calls.append(1)
            if len(calls) == 1:
                watched.fail()
            await anyio.sleep_forever()

        policy = retry(MarkedError, timeout=5, clock=clock)
        with pytest.raises(TimeoutError):
            await policy.acall(later)

    async with moving(clock):
        gc.collect()
        gc.disable()
        try:
            await cancelled()
            assert watched.left() == 0
            await cut()
            assert watched.left() == 0
        finally:
            gc.enable()


@pytest.mark.anyio
async def test_no_cycles_after_a_cut_block() -> None:
    """So does a block that is cut in its attempt."""
    watched, clock = Watched(), ManualClock()

    async def block() -> None:
        async for attempt in retry(MarkedError, timeout=5, clock=clock):
            async with attempt:
                if attempt.number == 1:
                    watched.fail()
                await anyio.sleep_forever()

    async with moving(clock):
        gc.collect()
        gc.disable()
        try:
            with pytest.raises(TimeoutError):
                await block()
            assert watched.left() == 0
        finally:
            gc.enable()


@pytest.mark.anyio
async def test_a_generator_that_has_begun_holds_no_error() -> None:
    """What came before its first item is over, however long it goes on."""
    watched = Watched()
    policy = retry(OSError, attempts=3)
    step, later_step = steps(watched, "success"), steps(watched, "success")

    @policy
    def items() -> Iterator[object]:
        yield step()
        yield 2

    @policy
    async def later_items() -> Any:
        yield later_step()
        yield 2

    some, later = items(), later_items()
    assert (next(some), await anext(later)) == (3, 3)
    assert (len(watched.alive), watched.left()) == (4, 0)
    assert (next(some), await anext(later)) == (2, 2)
    some.close()
    await later.aclose()


def test_a_call_that_is_over_is_not_kept_by_the_next() -> None:
    """One call after the other in the same context is no chain that grows."""
    policy = retry(OSError)
    for _ in range(5):
        policy.call(Flaky(OSError(), 1))

    newest = call_module._newest.get()
    assert newest is None or newest.outer is None


def test_an_attempt_lets_go_of_its_error() -> None:
    """Once the loop has ended, what is kept of it holds no error."""
    watched = Watched()
    for attempt in retry(OSError):
        with attempt:
            if attempt.number == 1:
                watched.fail()
            assert isinstance(attempt.last_exception, MarkedError)

    assert attempt.last_exception is None
    assert watched.left() == 0


@pytest.mark.parametrize("notes", [[3], None, 7])
def test_notes_that_are_none_hide_no_error(notes: object) -> None:
    """What a user has put into `__notes__` is theirs, whatever it is."""
    error = OSError("mine")
    error.__notes__ = notes  # type: ignore[assignment]  # that is the case
    with pytest.raises(OSError) as caught:
        retry(OSError, attempts=2, wait_initial=0).call(Flaky(error))
    assert caught.value is error


def test_an_error_that_refuses_notes() -> None:
    """One that can't be changed is raised as it is."""

    class FrozenError(OSError):
        def __setattr__(self, name: str, value: object) -> None:
            raise TypeError(name)

    with pytest.raises(FrozenError):
        retry(OSError, attempts=2, wait_initial=0).call(Flaky(FrozenError()))


def test_a_note_of_the_users_own_stays() -> None:
    """Only the same policy's last word is replaced."""
    error = OSError("mine")
    error.__notes__ = ["retry: see the runbook"]
    for _ in range(3):
        with pytest.raises(OSError, match="mine"):
            retry(OSError, attempts=2, wait_initial=0).call(Flaky(error))
    assert len(error.__notes__) == 2
    assert error.__notes__[0] == "retry: see the runbook"
