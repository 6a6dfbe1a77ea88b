"""`functools.lru_cache` as it is, but each key is computed once."""

from __future__ import annotations

import copy
import functools
import gc
import inspect
import pickle
import random
import signal
import sys
import threading
import typing
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from concutil import RecursiveComputeError, memoize
from patience import eventually, threads

Calls = list[Any]


@pytest.fixture
def hurry() -> Iterator[None]:
    """Let threads take turns as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@memoize
def area(width: int, height: int = 2, *, unit: str = "m") -> tuple[int, str]:
    """Return an area."""
    return width * height, unit


def once_of(function: Any) -> Any:
    """Return what is behind a memoized function."""
    return function.cache_info.__self__


def left_over(function: Any) -> tuple[int, int]:
    """Return how many flights and turns are kept; none when nobody computes."""
    once = once_of(function)
    return len(once._flights.flights), len(once._turns)


def counted(calls: Calls, *options: Any) -> Any:
    """Return a function that notes its calls and returns what no other call does."""

    @memoize(*options)
    def count(*args: Any, **kwargs: Any) -> object:
        calls.append((args, kwargs))
        return object()

    return count


# --- as functools --------------------------------------------------------------------


def test_functions() -> None:
    """The same arguments give the same object, and are computed once."""
    calls: Calls = []
    count = counted(calls)

    assert count(1) is count(1) is not count(2)
    assert count(x=1) is count(x=1) is not count(1)
    assert count() is count()
    assert len(calls) == 4
    assert left_over(count) == (0, 0)


@pytest.mark.parametrize("maxsize", [None, 0, 1, 2, 5])
@pytest.mark.parametrize("typed", [False, True])
def test_equal_to_functools(maxsize: int | None, typed: bool) -> None:  # noqa: FBT001 - a parameter
    """Values, numbers and evictions are those of `functools.lru_cache`, all the way."""
    lists: list[Calls] = [[], []]
    functions: list[Any] = []
    for calls, decorate in zip(lists, (memoize, functools.lru_cache), strict=True):

        @decorate(maxsize, typed)
        def function(*args: Any, calls: Calls = calls, **kwargs: Any) -> Any:
            calls.append((args, kwargs))
            if args == (13,):
                raise ValueError
            return args, kwargs

        functions.append(function)
    ours, theirs = functions
    draw = random.Random(5)
    values: Calls = [0, 1, 1.0, True, "1", (1,), (1.0,), None, 2, 3, 13]
    values += [[], {}] if maxsize != 0 else []  # which functools doesn't hash then
    for step in range(400):
        args = draw.choices(values, k=draw.choice([0, 1, 1, 1, 2]))
        kwargs = {
            name: draw.choice(values) for name in draw.choice(["", "", "a", "ab"])
        }
        results: list[Any] = []
        for function in (ours, theirs):
            try:
                results.append(function(*args, **kwargs))
            except (TypeError, ValueError) as error:
                results.append(str(error))
        assert results[0] == results[1]
        assert lists[0] == lists[1]
        assert ours.cache_info() == theirs.cache_info()
        if step == 200:
            ours.cache_clear()
            theirs.cache_clear()
    assert ours.cache_parameters() == theirs.cache_parameters()
    assert type(ours) is type(theirs)
    assert left_over(ours) == (0, 0)


def test_forms() -> None:
    """All forms of functools' decorator are there."""
    forms: list[tuple[Any, dict[str, Any]]] = [
        (memoize, {"maxsize": 128, "typed": False}),
        (memoize(), {"maxsize": 128, "typed": False}),
        (memoize(5), {"maxsize": 5, "typed": False}),
        (memoize(None), {"maxsize": None, "typed": False}),
        (memoize(maxsize=5, typed=True), {"maxsize": 5, "typed": True}),
        (memoize(5, True), {"maxsize": 5, "typed": True}),
        (memoize(typed=True), {"maxsize": 128, "typed": True}),
    ]
    for decorate, parameters in forms:
        function = decorate(lambda x: [x])
        assert function(1) is function(1)
        assert function.cache_parameters() == parameters


def test_looks_are_kept() -> None:
    """Introspection sees what was decorated."""
    signature = "(width: 'int', height: 'int' = 2, *, unit: 'str' = 'm') -> "

    assert str(inspect.signature(area)).startswith(signature)
    assert (area.__name__, area.__doc__) == ("area", "Return an area.")
    assert area.__module__ == __name__
    assert typing.get_type_hints(area)["width"] is int
    assert area.__wrapped__(3) == (6, "m")
    assert type(area) is type(functools.lru_cache(len))


def test_it_is_copied_and_pickled_by_reference() -> None:
    """A decorated function is itself wherever it arrives."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(area, protocol)) is area
    assert copy.copy(area) is copy.deepcopy(area) is area
    partly: Any = memoize(functools.partial(pow, 2))
    assert copy.copy(partly) is copy.deepcopy(partly) is partly
    assert partly(5) == 32


def test_all_that_can_be_called() -> None:
    """Builtins, lambdas, objects, bound methods and classes are cached."""

    class Adder:
        def __init__(self, n: int) -> None:
            self.n = n

        def __call__(self, x: int) -> tuple[int]:
            return (self.n + x,)

        def add(self, x: int) -> tuple[int]:
            return self(x)

    several: list[Any] = [
        memoize(lambda x: [x]),
        memoize(Adder(5)),
        memoize(Adder(5).add),
        memoize(Adder),
    ]
    for each in several:
        assert each(2) is each(2) is not each(3)
        assert each.cache_info() == (1, 2, 128, 2)
    assert memoize(pow)(2, 5) == 32
    assert memoize(len)("abc") == 3


def test_methods_bind_as_functions_do() -> None:
    """The object is an argument as others: it is a part of the key, and kept alive."""

    class Point:
        @memoize
        def method(self, x: int) -> list[int]:
            return [x]

        @classmethod
        @memoize
        def of_class(cls, x: int) -> list[Any]:
            return [cls, x]

        @staticmethod
        @memoize
        def of_none(x: int) -> list[int]:
            return [x]

    one, two = Point(), Point()
    assert one.method(1) is one.method(1) is Point.method(one, 1) is not two.method(1)
    assert one.method.cache_info() == Point.method.cache_info() == (2, 2, 128, 2)
    assert list(inspect.signature(one.method).parameters) == ["x"]
    assert Point.of_class(1) is one.of_class(1)
    assert Point.of_none(1) is one.of_none(1)
    gone = weakref.ref(one)
    del one
    assert gone() is not None
    Point.method.cache_clear()
    assert gone() is None


def test_it_dies_without_what_it_holds() -> None:
    """A memoized function can be held weakly, and ends as functools' do."""
    function: Any = memoize(lambda x: [x])
    function(1)
    gone = weakref.ref(function)
    del function
    gc.collect()

    assert gone() is None


def test_errors_are_not_kept() -> None:
    """They go to the caller without any context, and the next call computes."""
    for maxsize in (None, 0, 128):
        letter: Any = memoize(maxsize)(lambda i: "abc"[i])
        for _ in range(2):
            with pytest.raises(IndexError) as info:
                letter(15)
            assert info.value.__context__ is None
        assert letter(1) == "b"
        assert letter.cache_info()[:2] == (0, 3)
        assert left_over(letter) == (0, 0)


def test_wrong_arguments_are_told_as_before() -> None:
    """What can't be called so, or hashed, raises its own TypeError."""
    with pytest.raises(TypeError, match=r"area\(\) missing 1 required positional"):
        area()  # type: ignore[call-arg]  # on purpose
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        area([])  # type: ignore[arg-type]  # on purpose
    assert left_over(area) == (0, 0)


@pytest.mark.parametrize("kind", [KeyError, ValueError, TypeError])
def test_errors_of_keys_are_the_callers(kind: type[Exception]) -> None:
    """A key that can't be compared gives its own error and changes nothing."""
    error = kind("no")

    class Odd:
        def __hash__(self) -> int:
            return 7

        def __eq__(self, other: object) -> bool:
            raise error

    count, good = counted([]), Odd()
    first = count(good)
    with pytest.raises(kind) as info:
        count(Odd())
    assert info.value is error
    assert count(good) is first
    assert left_over(count) == (0, 0)


def test_keys_that_call_it_when_compared() -> None:
    """A hit that compares keys may be entered again from their `__eq__`."""

    class Entering:
        def __init__(self, n: int) -> None:
            self.n = n

        def __hash__(self) -> int:
            return self.n

        def __eq__(self, other: object) -> bool:
            if self.n == 2:
                same(Entering(1))
            return isinstance(other, Entering) and self.n == other.n

    @memoize(maxsize=10)
    def same(x: Any) -> Any:
        return x

    same(Entering(1))
    two = same(Entering(2))
    assert same(Entering(2)) is two


def test_what_hashes_slowly() -> None:
    """A hit hashes each argument once, as functools does; a miss a few times more."""
    hashed: Calls = []

    class Slow:
        def __hash__(self) -> int:
            hashed.append(1)
            return 7

    count, key = counted([]), Slow()
    count(key)
    assert 1 < len(hashed) <= 9
    hashed.clear()
    count(key)
    assert hashed == [1]


@pytest.mark.parametrize("maxsize", ["5", 1.5, True, property(len)])
def test_options_of_a_wrong_kind(maxsize: Any) -> None:
    """They are told when the decorator is made."""
    with pytest.raises(TypeError, match="maxsize must be a whole number of at least 0"):
        memoize(maxsize)


def test_options_out_of_range() -> None:
    """A negative size is an error: functools takes it for 0."""
    with pytest.raises(ValueError, match="at least 0, or None for no limit, not -1"):
        memoize(-1)
    with pytest.raises(TypeError, match="typed must be True or False, not 1"):
        memoize(5, 1)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(TypeError, match="only a function can be decorated, not 5"):
        memoize(128)(5)  # type: ignore[arg-type]  # on purpose


def test_what_can_be_used_only_once_is_refused() -> None:
    """Async and generator functions, and objects and partials that are called so."""

    def numbers(most: int = 3) -> Any:
        yield from range(most)

    async def later() -> int:
        return 1

    async def later_numbers() -> Any:
        yield 1

    class Later:
        async def __call__(self) -> int:
            return 1

    refused: list[Any] = [numbers, later, later_numbers, Later()]
    refused += [functools.partial(it) for it in refused[:3]]
    for each in refused:
        with pytest.raises(TypeError, match="only once: use cached for an async func"):
            memoize(each)
        with pytest.raises(TypeError, match="used up only once"):
            memoize(5)(each)


# --- recursion -----------------------------------------------------------------------


def test_recursion() -> None:
    """Each is computed once, and the numbers are those of functools."""

    @memoize(maxsize=None)
    def fib(n: int) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    assert [fib(n) for n in range(16)][-3:] == [233, 377, 610]
    assert fib.cache_info() == (28, 16, None, 16)
    fib.cache_clear()
    assert fib.cache_info() == (0, 0, None, 0)
    assert fib(50) == 12586269025
    assert left_over(fib) == (0, 0)


def test_recursion_of_two_functions() -> None:
    """They don't take each other's turn."""

    @memoize
    def even(n: int) -> bool:
        return n == 0 or odd(n - 1)

    @memoize
    def odd(n: int) -> bool:
        return n != 0 and even(n - 1)

    assert even(40)
    assert not even(41)
    assert left_over(even) == left_over(odd) == (0, 0)


def test_how_deep_a_recursion_may_be() -> None:
    """Three frames of Python for each level, and six before 3.12, where C counts."""

    @memoize(maxsize=None)
    def depth(n: int) -> int:
        return 1 + depth(n - 1) if n else 0

    here = len(inspect.stack(0))
    levels = (sys.getrecursionlimit() - here - 50) // (
        3 if sys.version_info >= (3, 12) else 6
    )
    assert depth(levels) == levels
    depth.cache_clear()
    with pytest.raises(RecursionError):
        depth(20_000)
    assert left_over(depth) == (0, 0)
    assert depth(levels) == levels


def test_recursion_with_the_same_arguments() -> None:
    """What would wait for itself is an error that names the keys."""

    @memoize
    def ping(n: int, /, **more: int) -> int:
        return pong(n, **more)

    @memoize
    def pong(n: int, /, **more: int) -> int:
        return ping(n, **more)

    for _ in range(2):
        with pytest.raises(RecursiveComputeError) as info:
            ping(1)
        assert info.value.keys == (1, 1)
    with pytest.raises(RecursiveComputeError, match=r"\(1, \|, \('x', 5\)\)"):
        ping(1, x=5)
    assert left_over(ping) == left_over(pong) == (0, 0)
    assert ping.cache_info().currsize == 0


def test_a_circle_of_threads() -> None:
    """Two threads that need each other's keys don't hang: one of them is told."""
    both = threading.Barrier(2)
    errors: Calls = []

    @memoize
    def cross(n: int) -> int:
        both.wait(10)
        return cross_again(1 - n)

    @memoize
    def cross_again(n: int) -> int:
        return cross(n)

    def ask(n: int) -> None:
        try:
            cross(n)
        except RecursiveComputeError as error:
            errors.append(error)

    with threads(lambda: ask(0), lambda: ask(1)):
        pass
    assert errors
    assert left_over(cross) == left_over(cross_again) == (0, 0)


# --- once ----------------------------------------------------------------------------


class Held:
    """A function that waits until it may go on.

    Args:
        outcomes: Called one by one, the last one for ever.
    """

    def __init__(self, *outcomes: Callable[[], object]) -> None:
        self.calls = 0
        self.results: list[object] = []
        self.begun = threading.Event()
        self.go = threading.Event()
        self.outcomes = outcomes or (object,)

    def __call__(self, x: int) -> object:
        outcome = self.outcomes[min(self.calls, len(self.outcomes) - 1)]
        self.calls += 1
        self.begun.set()
        assert self.go.wait(10)
        self.results.append(outcome())
        return self.results[-1]


def joined(function: Any, n: int) -> None:
    """Return when *n* threads wait for the function."""
    eventually(lambda: once_of(function)._flights.joins >= n)


@pytest.mark.parametrize("maxsize", [None, 0, 1, 128])
def test_one_computation_for_many_threads(maxsize: int | None) -> None:
    """All who ask while it is computed get its value."""
    held = Held()
    function, values = memoize(maxsize)(held), []

    with threads(*[lambda: values.append(function(1))] * 5):
        joined(function, 4)
        held.go.set()
    assert held.calls == 1
    assert len(set(values)) == 1
    assert function.cache_info()[:2] == (0, 5)
    assert left_over(function) == (0, 0)
    assert (function(1) is values[0]) is (maxsize != 0)


def test_other_keys_are_not_held_up() -> None:
    """While one is computed others are, and hits are hits."""
    held = Held()
    function: Any = memoize(lambda x: held(x) if x == 1 else [x])

    with threads(lambda: function(1)):
        assert held.begun.wait(10)
        assert function(2) is function(2)
        held.go.set()
    assert function.cache_info() == (1, 2, 128, 2)


def test_an_error_goes_to_all_who_wait() -> None:
    """It is one and the same, with the traceback of whoever computed."""

    def fail() -> object:
        raise ConnectionError("down")

    held = Held(fail, object)
    function, errors = memoize(held), []

    def ask() -> None:
        try:
            function(1)
        except ConnectionError as error:
            errors.append(error)

    with threads(*[ask] * 4):
        joined(function, 3)
        held.go.set()
    assert len(errors) == 4
    assert len(set(map(id, errors))) == held.calls == 1
    assert function(1) is function(1)
    assert left_over(function) == (0, 0)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_who_computes_is_interrupted(kind: type[BaseException]) -> None:
    """One of those who wait takes over, and none of them sees it."""

    def interrupt() -> object:
        raise kind

    held = Held(interrupt, object)
    function, values, interrupted = memoize(held), [], []

    def ask() -> None:
        try:
            values.append(function(1))
        except kind as error:  # noqa: ASYNC103 - it ends here
            interrupted.append(error)

    with threads(*[ask] * 4):
        joined(function, 3)
        held.go.set()
    assert len(interrupted) == 1
    assert len(values) == 3
    assert len(set(values)) == 1
    assert held.calls == 2
    assert left_over(function) == (0, 0)


def test_who_waits_is_interrupted() -> None:
    """Ctrl-C ends the wait, and nothing else."""
    held = Held()
    function, values = memoize(held), []

    def interrupt() -> None:
        joined(function, 1)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    if not hasattr(signal, "pthread_kill"):
        pytest.skip("no signal can be sent to one thread here")
    with threads(lambda: values.append(function(1)), interrupt):
        assert held.begun.wait(10)
        with pytest.raises(KeyboardInterrupt):
            function(1)
        held.go.set()
    assert function(1) is values[0]
    assert held.calls == 1
    assert left_over(function) == (0, 0)


def test_clear_while_it_computes() -> None:
    """What was computed is thrown away: all who ask get a fresh value."""
    held = Held()
    function, values = memoize(held), []

    with threads(*[lambda: values.append(function(1))] * 3):
        joined(function, 2)
        function.cache_clear()
        held.go.set()
    assert held.calls > 1
    assert len(values) == 3
    assert held.results[0] not in values
    assert function(1) is function(1) is not held.results[0]
    assert function.cache_info().currsize == 1
    assert left_over(function) == (0, 0)


def test_clear_by_what_computes() -> None:
    """A function that clears its own cache is called again, and then its value kept."""
    calls: Calls = []

    @memoize
    def clearing(x: int) -> object:
        calls.append(x)
        if len(calls) < 4:
            clearing.cache_clear()
        return object()

    assert clearing(1) is clearing(1)
    assert calls == [1] * 4
    assert left_over(clearing) == (0, 0)


def test_an_error_after_a_clear() -> None:
    """It goes to those who asked before."""

    @memoize
    def failing(x: int) -> object:
        failing.cache_clear()
        raise ConnectionError

    with pytest.raises(ConnectionError):
        failing(1)
    assert left_over(failing) == (0, 0)


def test_clear_at_the_last_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clear between the call and its flight's end throws the value away as well."""
    calls: Calls = []
    function, cleared = counted(calls), []
    kind = type(once_of(function))
    end = kind._end_turn

    def late(self: Any, me: int, epoch: object) -> None:
        if not cleared:
            cleared.append(1)
            function.cache_clear()
        end(self, me, epoch)

    monkeypatch.setattr(kind, "_end_turn", late)
    value = function(1)
    assert function(1) is value
    assert len(calls) == 2


def test_clear_after_the_last_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clear before the value is returned throws it away: it may be old by then."""
    calls: Calls = []
    function, cleared = counted(calls), []
    kind = type(once_of(function)._flights)
    hold = kind.hold

    def late(self: Any, *args: Any) -> Any:
        gone = hold(self, *args)
        if not cleared:
            cleared.append(1)
            function.cache_clear()
        return gone
        return gone

    monkeypatch.setattr(kind, "hold", late)
    value = function(1)
    assert function(1) is value
    assert len(calls) == 2
    assert left_over(function) == (0, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("hurry")
def test_exactly_once() -> None:
    """Of many keys none is computed twice, and nothing is left over."""
    computed: Counter[int] = Counter()
    lock = threading.Lock()
    keys, workers = 600, 4

    @memoize(maxsize=None)
    def function(x: int) -> tuple[int]:
        with lock:
            computed[x] += 1
        return (x,)

    start = threading.Barrier(workers)
    values: list[list[tuple[int]]] = []

    def ask() -> None:
        start.wait(10)
        values.append([function(x) for x in range(keys)])

    with threads(*[ask] * workers):
        pass
    assert set(computed.values()) == {1}
    assert len(computed) == keys
    assert all(len(set(map(id, same))) == 1 for same in zip(*values, strict=True))
    hits, misses, _, size = function.cache_info()
    assert hits + misses == keys * workers
    assert misses >= size == keys
    assert left_over(function) == (0, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("hurry")
def test_under_fire() -> None:
    """With evictions, errors and clears no two computations of a key overlap."""
    inside: Counter[int] = Counter()
    most: Calls = []
    same: list[bool] = []
    lock = threading.Lock()

    @memoize(maxsize=8)
    def function(x: int) -> int:
        with lock:
            inside[x] += 1
            most.append(inside[x])
        with lock:
            inside[x] -= 1
        if x % 7 == 0:
            raise ValueError(x)
        return x

    def ask(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(400):
            x = draw.randrange(20)
            try:
                same.append(function(x) == x)
            except ValueError as error:
                same.append(error.args == (x,))

    with threads(*[lambda seed=seed: ask(seed) for seed in range(4)]):
        pass
    assert max(most) == 1
    assert same == [True] * 1_600
    hits, misses, maxsize, size = function.cache_info()
    assert hits + misses == 1_600
    assert size <= maxsize or not _gil_is_on()  # CPython's own: gh-148180
    assert left_over(function) == (0, 0)


def _gil_is_on() -> bool:
    return getattr(sys, "_is_gil_enabled", lambda: True)()
