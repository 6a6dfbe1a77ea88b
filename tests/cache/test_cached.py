"""Functions that remember: keys, times, numbers, shared caches, looks."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import threading
import typing
from datetime import timedelta
from typing import Any

import pytest

from concutil import Cache, RecursiveComputeError, cached
from concutil._runtime import clock as clocks
from concutil.events import CacheRefreshFailed, Event, subscribe
from concutil.testing import ManualClock
from patience import eventually, threads
from virtual import Flaky

Calls = list[Any]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """Return what tells the time to all that is decorated from now on."""
    manual = ManualClock()
    monkeypatch.setattr(clocks, "monotonic", manual.now)
    return manual


@cached
def area(width: int, height: int = 2, *, unit: str = "m") -> tuple[int, str]:
    """Return an area."""
    return width * height, unit


def counted(calls: Calls, **options: Any) -> Any:
    """Return a function that notes its calls and returns what no other call does."""

    @cached(**options)
    def count(*args: Any, **kwargs: Any) -> object:
        calls.append((args, kwargs))
        return object()

    return count


def test_functions() -> None:
    """The same arguments give the same object, and are computed once."""
    calls: Calls = []
    count = counted(calls)

    assert count(1) is count(1)
    assert count(2) is not count(1)
    assert count() is count()
    assert calls == [((1,), {}), ((2,), {}), ((), {})]


def test_numbers_are_those_of_functools() -> None:
    """Each step tells what `functools.lru_cache` tells, and by the same names."""

    def double(x: int, /, **more: int) -> int:
        return x * 2

    ours, theirs = cached(maxsize=2)(double), functools.lru_cache(maxsize=2)(double)
    for x in (1, 1, 2, 3, 3, 1, 2, 2):
        assert ours(x) == theirs(x)
        assert ours.cache_info() == theirs.cache_info()
        assert ours.cache_info()._fields == theirs.cache_info()._fields
    assert ours.cache_parameters() == theirs.cache_parameters()

    ours.cache_clear()
    theirs.cache_clear()
    assert ours.cache_info() == theirs.cache_info() == (0, 0, 2, 0)
    assert ours(1) == theirs(1) == 2
    assert ours.cache_info() == theirs.cache_info() == (0, 1, 2, 1)
    assert type(ours.cache_info()) is type(theirs.cache_info())


@pytest.mark.parametrize("typed", [False, True])
def test_the_same_calls_as_for_functools(typed: bool) -> None:  # noqa: FBT001 - a parameter
    """By place and by name, in their order and by type, calls differ as there."""
    ours = cached(typed=typed)(lambda *args, **kwargs: (args, kwargs))
    theirs = functools.lru_cache(typed=typed)(lambda *args, **kwargs: (args, kwargs))
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}),
        ((3,), {}),
        ((3,), {}),
        (("3",), {}),
        (((3,),), {}),
        (((3.0,),), {}),
        ((1, 3), {}),
        ((1, 3.0), {}),
        ((True, 3), {}),
        ((), {"x": 3}),
        ((), {"x": 3.0}),
        ((("x", 3),), {}),
        (("x", 3), {}),
        ((), {"x": 1, "y": 2}),
        ((), {"y": 2, "x": 1}),
        ((1,), {"y": 2}),
        ((None,), {}),
        ((int,), {}),
    ]

    for args, kwargs in calls * 2:
        assert ours(*args, **kwargs) == theirs(*args, **kwargs)
        assert ours.cache_info() == theirs.cache_info()
    assert ours.cache_parameters() == {"maxsize": 128, "typed": typed}


def test_equal_numbers() -> None:
    """They are the same argument unless *typed*; for functools not always."""
    for typed, size in [(False, 1), (True, 4)]:
        count = counted([], typed=typed)
        for x in (1, 1.0, True, 1 + 0j):
            count(x)
        assert count.cache_info().currsize == size


def test_none_is_a_value() -> None:
    """What returns None is not computed again."""
    calls: Calls = []
    note = cached(calls.append)

    assert note(5) is note(5) is None
    assert calls == [5]


def test_errors_are_not_kept() -> None:
    """What fails goes to the caller, untouched, and is computed again."""
    errors = ValueError("one"), KeyError("two")
    step = Flaky(*errors, 5)
    compute = cached(step)

    for error in errors:
        with pytest.raises((ValueError, KeyError)) as info:
            compute(1)
        assert info.value is error
        assert error.__context__ is None
    assert compute(1) == compute(1) == 5
    assert step.calls == 3
    assert compute.cache_info() == (1, 3, 128, 1)


def test_wrong_arguments_are_told_as_before() -> None:
    """What can't be called so raises its own TypeError, and is not kept."""
    with pytest.raises(TypeError, match=r"area\(\) missing 1 required positional"):
        area()  # type: ignore[call-arg]  # on purpose
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        area([])  # type: ignore[arg-type]  # on purpose


class Odd:
    """A key that says no when it is hashed or compared."""

    def __init__(self, error: Exception, *, at: str) -> None:
        self.error = error
        self.at = at

    def __hash__(self) -> int:
        if self.at == "hash":
            raise self.error
        return 7

    def __eq__(self, other: object) -> bool:
        raise self.error


@pytest.mark.parametrize("at", ["hash", "eq"])
@pytest.mark.parametrize("kind", [KeyError, ValueError, AttributeError])
def test_errors_of_keys_are_the_callers(kind: type[Exception], at: str) -> None:
    """A key that can't be hashed or compared gives its own error, and is not kept."""
    error = kind("no")
    good = Odd(error, at="eq")
    count = counted([])
    first = count(good)
    bad = Odd(error, at=at)

    for _ in range(2):
        with pytest.raises(kind) as info:
            count(bad)
        assert info.value is error
    assert count(good) is first  # found by identity
    assert count.cache_info().currsize == 1


def test_order_of_eviction() -> None:
    """What was used least recently goes first."""
    calls: Calls = []
    count = counted(calls, maxsize=2)
    one = count(1)
    count(2)

    assert count(1) is one
    count(3)
    assert count(1) is one
    assert list(count.cache) == [(3,), (1,)]
    count(2)
    assert [args for args, _ in calls] == [(1,), (2,), (3,), (2,)]


def test_without_a_limit() -> None:
    """With None all is kept."""
    calls: Calls = []
    count = counted(calls, maxsize=None)
    for x in [*range(300), *range(300)]:
        count(x)

    assert len(calls) == 300
    assert count.cache_info() == (300, 300, None, 300)


def test_without_any_room() -> None:
    """With 0 nothing is kept, but who asks at once still gets one value."""
    begun, go = threading.Event(), threading.Event()
    values: Calls = []
    calls: Calls = []

    @cached(maxsize=0)
    def slow(x: int) -> object:
        calls.append(x)
        begun.set()
        assert go.wait(10)
        return object()

    with threads(*[lambda: values.append(slow(1))] * 3):
        begun.wait()
        eventually(lambda: slow.cache.stats().joins == 2)
        go.set()
    assert len(set(values)) == len(calls) == 1
    assert slow(1) is not slow(1)
    assert slow.cache_info().currsize == 0


@pytest.mark.usefixtures("clock")
def test_key() -> None:
    """A function of the arguments tells what they are known by."""
    calls: Calls = []
    count = counted(calls, key=lambda user, **more: user["id"])
    ada = {"id": 1, "name": "Ada"}

    first = count(ada)
    assert count({"id": 1}, other=5) is first
    assert count({"id": 2}) is not first
    assert list(count.cache) == [1, 2]
    assert count.cache_invalidate({"id": 1}, more=[])
    assert count(ada) is not first
    assert len(calls) == 3


def test_errors_of_key() -> None:
    """What *key* raises, and what comes of what it returns, is the caller's."""
    count = counted([], key=lambda x: [][x])
    with pytest.raises(IndexError):
        count(1)
    with pytest.raises(TypeError, match="unhashable"):
        counted([], key=lambda x: [x])(1)
    with pytest.raises(TypeError, match="positional argument"):
        count()


def test_ttl(clock: ManualClock) -> None:
    """A value is computed anew when its time is over."""
    calls: Calls = []
    count = counted(calls, ttl=timedelta(seconds=10))
    first = count(1)

    clock.advance(9.99)
    assert count(1) is first
    clock.advance(0.01)
    second = count(1)
    assert second is not first
    clock.advance(9)
    assert count(1) is second
    assert count.cache_info() == (2, 2, 128, 1)


def test_ttl_by_value(clock: ManualClock) -> None:
    """A value can say itself for how long it is good, by its key."""
    seen: Calls = []

    def lasting(key: object, value: float) -> float | None:
        seen.append((key, value))
        return value or None

    draw = Flaky(5, 50, 0)
    token = cached(ttl=lasting)(draw)
    assert token("a") == 5
    clock.advance(5)
    assert token("a") == 50
    clock.advance(49)
    assert token("a") == 50
    clock.advance(1)
    assert token("a") == 0
    clock.advance(1e9)
    assert token("a") == 0
    assert seen == [(("a",), 5), (("a",), 50), (("a",), 0)]


def test_stale(clock: ManualClock) -> None:
    """An old value stands in while one caller computes it anew, or fails to."""
    told: list[Event] = []
    begun, go = threading.Event(), threading.Event()
    step = Flaky("old", OSError("down"), "new")
    values: list[str] = []

    @cached(ttl=10, stale=20)
    def fetch(page: int) -> str:
        begun.set()
        assert go.wait(10)
        value: str = step()
        return value

    go.set()
    assert fetch(1) == "old"
    clock.advance(10)
    with subscribe(told.append):
        assert fetch(1) == "old"
    assert [(type(it), getattr(it, "key", 0)) for it in told] == [
        (CacheRefreshFailed, (1,))
    ]
    go.clear()
    begun.clear()
    with threads(lambda: values.append(fetch(1))):
        assert begun.wait(10)
        assert fetch(1) == "old"
        go.set()
    assert values == ["new"]
    assert fetch(1) == "new"
    assert step.calls == 3


def test_clear() -> None:
    """All is forgotten, and what is being computed is not kept."""
    calls: Calls = []

    @cached
    def clearing(x: int) -> object:
        calls.append(x)
        if len(calls) == 1:
            clearing.cache_clear()
        return object()

    first = clearing(1)
    assert clearing.cache_info().currsize == 0
    second = clearing(1)
    assert first is not second is clearing(1)
    assert calls == [1, 1]


def test_invalidate() -> None:
    """The value of one call is forgotten, and whether there was one is told."""
    calls: Calls = []
    count = counted(calls)
    one, two, named = count(1), count(2), count(1, x=5)

    assert count.cache_invalidate(1) is True
    assert count.cache_invalidate(1) is False
    assert count.cache_invalidate(3) is False
    assert count(2) is two
    assert count(1) is not one
    assert count(1, x=5) is named
    assert count.cache_invalidate(1, x=5) is True
    assert count(1, x=5) is not named


def test_invalidate_beats_what_is_computed() -> None:
    """Who waits gets the value, but it is not kept."""
    begun, go = threading.Event(), threading.Event()
    values: Calls = []

    @cached
    def slow(x: int) -> object:
        begun.set()
        assert go.wait(10)
        return object()

    with threads(*[lambda: values.append(slow(1))] * 2):
        assert begun.wait(10)
        eventually(lambda: slow.cache.stats().joins == 1)
        assert slow.cache_invalidate(1) is False
        go.set()
    assert values[0] is values[1]
    assert slow.cache_info().currsize == 0
    assert slow(1) is not values[0]


def test_an_expired_value_is_not_there(clock: ManualClock) -> None:
    """Invalidating what has expired tells that there was none."""
    count = counted([], ttl=1)
    count(1)
    clock.advance(1)

    assert count.cache_invalidate(1) is False


def test_the_cache_is_at_hand() -> None:
    """What is stored by hand is found by calls, and the other way round."""
    count = counted([], maxsize=5)
    first = count(1)

    assert isinstance(count.cache, Cache)
    assert count.cache[1,] is first
    count.cache[2,] = "mine"
    assert count(2) == "mine"
    assert count.cache.stats().maxsize == 5


# --- shared caches -------------------------------------------------------------------


def test_functions_that_share_a_cache() -> None:
    """Equal arguments of different functions are different keys in one cache."""
    cache: Cache[Any, Any] = Cache(3)
    calls: Calls = []
    one, two = counted(calls, cache=cache), counted(calls, cache=cache)
    by_key = [counted(calls, cache=cache, key=lambda *_: "same") for _ in range(2)]

    assert one.cache is two.cache is cache
    assert len({one(1), two(1)}) == 2
    assert (one(1), two(1)) == (one(1), two(1))
    assert by_key[0](1) is by_key[0](2) is not by_key[1](1)
    assert len(calls) == 4
    assert len(cache) == 3
    assert one.cache_info() == two.cache_info() == (5, 4, 3, 3)
    assert one.cache_info()[:2] == (cache.stats().hits, cache.stats().misses)
    assert one.cache_parameters() == {"maxsize": 3, "typed": False}


def test_clearing_one_function_of_a_shared_cache() -> None:
    """The values of others stay, and so do the numbers."""
    cache: Cache[Any, Any] = Cache()
    cache["mine"] = cache[()] = cache[1, 2] = 5
    one, two = counted([], cache=cache), counted([], cache=cache)
    firsts = one(1), two(1)
    one(2)

    one.cache_clear()
    assert cache["mine"] == cache[()] == cache[1, 2] == 5
    assert two(1) is firsts[1]
    assert one(1) is not firsts[0]
    assert cache.stats().misses == 4
    assert two.cache_invalidate(1) is True
    assert two.cache_invalidate(1) is False
    assert one.cache_invalidate(1) is True


def test_clearing_a_function_of_a_shared_cache_while_it_computes() -> None:
    """What it computes is not kept, and what another one computes is."""
    cache: Cache[Any, Any] = Cache()

    @cached(cache=cache)
    def outer(x: int) -> int:
        return inner(x) + 1

    @cached(cache=cache)
    def inner(x: int) -> int:
        outer.cache_clear()
        return x

    assert outer(1) == 2
    assert list(cache.snapshot().values()) == [1]
    assert outer.__qualname__ not in str(list(cache))
    assert inner.__qualname__ in str(list(cache))


# --- wrong options -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maxsize": 1.5}, "maxsize must be a whole number of at least 0, or None"),
        ({"maxsize": True}, "maxsize must be"),
        ({"ttl": "5"}, "ttl must be"),
        ({"ttl": 5, "stale": "5"}, "stale must be"),
        ({"key": 5}, "key must be a function, or None, not 5"),
        ({"typed": 1}, "typed must be True or False, not 1"),
        ({"typed": True, "key": len}, "typed= is about the arguments"),
        ({"cache": Cache(), "maxsize": 5}, "can't stand beside cache="),
        ({"cache": Cache(), "maxsize": None}, "can't stand beside cache="),
        ({"cache": Cache(), "ttl": 5}, "can't stand beside cache="),
        ({"cache": Cache(), "ttl": 5, "stale": 5}, "can't stand beside cache="),
        ({"size": 5}, "unexpected keyword argument"),
    ],
)
def test_options_of_a_wrong_kind(options: dict[str, Any], message: str) -> None:
    """They are told when the decorator is made."""
    with pytest.raises(TypeError, match=message):
        cached(**options)


def test_a_cache_of_a_wrong_kind() -> None:
    """Only a Cache will do."""
    with pytest.raises(TypeError, match=r"cache must be a Cache, or None, not \{\}"):
        cached(cache={})(len)  # type: ignore[call-overload]  # on purpose


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maxsize": -1}, "at least 0"),
        ({"ttl": 0}, "ttl must be"),
        ({"ttl": -1}, "ttl must be"),
        ({"ttl": float("nan")}, "ttl must be"),
        ({"stale": 5}, "stale= needs ttl="),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    """They are told when the decorator is made."""
    with pytest.raises(ValueError, match=message):
        cached(**options)


@pytest.mark.parametrize("what", [5, "name", property(len)])
def test_only_functions_can_be_decorated(what: Any) -> None:
    """Anything else is told at once; so is an option without its name."""
    with pytest.raises(TypeError, match="only a function can be decorated, not"):
        cached(what)


def test_generator_functions_are_refused() -> None:
    """A generator can be used up only once; partials and objects hide none."""

    def numbers(most: int = 3) -> Any:
        yield from range(most)

    async def later() -> Any:
        yield 1

    class Numbers:
        def __call__(self) -> Any:
            yield 1

    for each in (numbers, later, functools.partial(numbers, 3), Numbers()):
        with pytest.raises(TypeError, match=r"makes a generator, .* return a list"):
            cached(each)


# --- looks ---------------------------------------------------------------------------


def test_looks_are_kept() -> None:
    """Introspection sees what was decorated."""
    signature = "(width: 'int', height: 'int' = 2, *, unit: 'str' = 'm') -> "

    assert str(inspect.signature(area)).startswith(signature)
    assert inspect.isfunction(area)
    assert not inspect.iscoroutinefunction(area)
    assert (area.__name__, area.__doc__) == ("area", "Return an area.")
    assert area.__module__ == __name__
    assert typing.get_type_hints(area)["width"] is int
    assert area.__wrapped__(3) == (6, "m")
    assert inspect.unwrap(area) is area.__wrapped__


def test_it_is_copied_and_pickled_by_reference() -> None:
    """A decorated function is itself wherever it arrives."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(area, protocol)) is area
    assert copy.copy(area) is copy.deepcopy(area) is area


def test_all_that_can_be_called() -> None:
    """Builtins, lambdas, partials, objects, bound methods and classes are cached."""

    class Adder:
        def __init__(self, n: int) -> None:
            self.n = n

        def __call__(self, x: int) -> tuple[int]:
            return (self.n + x,)

        def add(self, x: int) -> tuple[int]:
            return self(x)

    double: Any = cached(lambda x: [x])
    several: list[Any] = [
        double,
        cached(functools.partial(Adder.__call__, Adder(5))),
        cached(Adder(5)),
        cached(Adder(5).add),
        cached(Adder),
    ]
    for each in several:
        assert each(2) is each(2) is not each(3)
        assert each.cache_info() == (1, 2, 128, 2)
        assert each.cache_invalidate(2)
        each.cache_clear()
        assert each.cache_info() == (0, 0, 128, 0)
        assert len(each.cache) == 0
    assert cached(pow)(2, 5) == 32
    assert cached(pow).__name__ == "pow"
    assert cached(str.upper)("a") == "A"
    assert cached("a".upper)() == "A"


def test_twice() -> None:
    """What is decorated twice has two caches."""
    calls: Calls = []
    inner = counted(calls)
    outer = cached(inner)

    assert outer(1) is outer(1) is inner(1)
    assert outer.cache is not inner.cache
    assert len(calls) == 1
    assert outer.cache_info()[:2] == inner.cache_info()[:2] == (1, 1)


def test_without_parentheses_and_with_empty_ones() -> None:
    """All forms of the decorator do the same."""
    for decorator in (cached, cached(), cached(maxsize=128)):
        one = decorator(lambda x: [x])
        assert one(1) is one(1)
        assert one.cache_parameters() == {"maxsize": 128, "typed": False}


# --- recursion -----------------------------------------------------------------------


def test_recursion() -> None:
    """A function may call itself with other arguments, and each is computed once."""

    @cached
    def fib(n: int) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    assert [fib(n) for n in range(16)][-3:] == [233, 377, 610]
    assert fib.cache_info() == (28, 16, 128, 16)


def test_recursion_with_the_same_arguments() -> None:
    """What would wait for itself is an error that names the keys."""

    @cached
    def ping(x: int) -> int:
        return pong(x)

    @cached
    def pong(x: int) -> int:
        return ping(x)

    @cached
    def alone(x: int, y: int = 5) -> int:
        return alone(x, y=y)

    with pytest.raises(RecursiveComputeError) as info:
        ping(1)
    assert info.value.keys == ((1,), (1,))
    assert ping.cache_info().currsize == pong.cache_info().currsize == 0
    with pytest.raises(RecursiveComputeError, match=r"1, \|, \('y', 5\)"):
        alone(1, y=5)
