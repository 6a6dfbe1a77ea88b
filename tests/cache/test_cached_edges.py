"""What is easily got wrong: dead objects, odd arguments, clears in the midst of it."""

from __future__ import annotations

import functools
import gc
import inspect
import pickle
import sys
import weakref
from contextlib import suppress
from typing import Any

import pytest

from concutil import Cache, cached, memoize
from patience import eventually, threads


class Point:
    """Methods of some kinds."""

    @cached
    def method(self, x: int) -> list[int]:
        return [x]

    @cached
    async def later(self, x: int) -> list[int]:
        return [x]

    @classmethod
    @cached
    def below_class(cls, x: int) -> list[int]:
        return [x]

    @classmethod
    @cached
    async def later_below_class(cls, x: int) -> list[int]:
        return [x]

    @staticmethod
    @cached
    async def later_below_static(x: int) -> list[int]:
        return [x]

    @property
    @cached
    def attribute(self) -> list[int]:
        return []

    async def plain(self) -> None:
        pass


# --- wrong values --------------------------------------------------------------------


def test_invalidate_on_the_object() -> None:
    """It takes the arguments of the call, without the object."""
    one = Point()
    first = one.method(1)

    assert one.method.cache_invalidate(2) is False
    assert one.method.cache_invalidate(1) is True
    assert one.method(1) is not first


def test_objects_that_end_in_a_circle() -> None:
    """A method that `__del__` calls leaves nothing for whoever gets the address."""

    class Closing:
        def __init__(self, n: int) -> None:
            self.n = n
            self.me: Any = None

        @cached
        def number(self) -> int:
            return self.n

        def __del__(self) -> None:
            self.number()

    one = Closing(-1)
    one.me = one
    del one
    gc.collect()
    assert vars(Closing)["number"]._each == {}
    assert [Closing(n).number() for n in range(100)] == list(range(100))


def test_below_other_decorators() -> None:
    """Objects are told apart by identity and not kept alive there as well."""

    class Equal:
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

        @property
        @cached
        def attribute(self) -> list[int]:
            return []

    one, two = Equal(), Equal()
    assert one.attribute is not two.attribute
    gone = weakref.ref(one)
    del one
    assert gone() is None


def test_invalidate_below_classmethod() -> None:
    """It takes the arguments of the call, or says what it lacks."""
    Point.below_class(1)

    with suppress(TypeError):  # since 3.13 it is that of the plain function
        assert Point.below_class.cache_invalidate(1) is True


# --- numbers -------------------------------------------------------------------------


def test_numbers_of_a_class_that_shares_a_cache() -> None:
    """One cache is counted once, however many objects there are."""
    cache: Cache[Any, Any] = Cache(10)

    class Shared:
        @cached(cache=cache)
        def method(self, x: int) -> int:
            return x

    one, two = Shared(), Shared()
    for it in (one, one, two):
        it.method(1)

    assert Shared.method.cache_info() == (1, 2, 10, 2)


def test_clearing_what_dead_objects_left_in_a_shared_cache() -> None:
    """What nobody can ask for any more is not kept for ever."""
    cache: Cache[Any, Any] = Cache(None)

    class Shared:
        @cached(cache=cache)
        def method(self, x: int) -> int:
            return x

    Shared().method(1)
    Shared.method.cache_clear()
    assert len(cache) == 0


def test_numbers_after_a_clear_while_it_computes() -> None:
    """Hits that come later are counted."""
    calls: list[int] = []

    @memoize
    def function(x: int) -> int:
        calls.append(x)
        if len(calls) == 1:
            function.cache_clear()
        return x

    function(1)
    before = function.cache_info()
    function(1)
    function(1)
    assert function.cache_info().hits - before.hits == 2


def test_a_clear_makes_it_compute_once_more() -> None:
    """However many wait: the first of them that goes on computes for all."""
    from threading import Event

    begun, go = Event(), Event()
    calls: list[int] = []
    values: list[object] = []

    @memoize
    def function(x: int) -> object:
        calls.append(x)
        begun.set()
        assert go.wait(10)
        return object()

    with threads(*[lambda: values.append(function(1))] * 5):
        once: Any = function.cache_info.__self__  # type: ignore[attr-defined]  # inside
        eventually(lambda: once._flights.joins == 4)
        function.cache_clear()
        go.set()
    assert len(set(values)) == 1
    assert len(calls) == 2


# --- arguments -----------------------------------------------------------------------


def test_arguments_of_any_name() -> None:
    """A parameter may be called `self`, and be passed by name."""
    plain: Any = lambda self: [self]  # noqa: E731 - short
    for decorate in (functools.lru_cache, cached, memoize):
        function: Any = decorate(plain)
        assert function(self=1) is function(self=1)
    assert cached(plain).cache_invalidate(self=1) is False
    one = Point()
    assert Point.method(self=one, x=1) == [1]


def test_invalidate_without_arguments() -> None:
    """On the class the object is missing, which is a TypeError as for any call."""
    with pytest.raises(TypeError):
        Point.method.cache_invalidate()


def test_equal_numbers_of_other_types() -> None:
    """They are different keys for functools, and so no circle."""
    for decorate in (functools.lru_cache, memoize):

        @decorate
        def function(x: float) -> float:
            return function(3.0) if isinstance(x, int) else x

        assert function(3) == 3.0


def test_keys_that_call_it_when_hashed() -> None:
    """What comes in between a leader and its turn doesn't take that."""
    entered: list[int] = []

    class Entering:
        def __hash__(self) -> int:
            once: Any = function.cache_info.__self__
            if once._turns and not entered:
                entered.append(1)
                function(5)
            return 7

    function: Any = memoize(lambda x: [x])
    assert len(function(Entering())) == 1
    assert entered or sys.version_info >= (3, 14)  # where tuples remember their hash


def test_plain_functions_that_return_coroutines() -> None:
    """They are refused, as by `Cache.get_or_compute`: a coroutine serves only once."""

    async def later() -> int:
        return 1

    for decorate in (cached, memoize):
        function: Any = decorate(lambda x: later() if x else None)
        with pytest.raises(TypeError, match="async"):
            function(1).close()


# --- looks ---------------------------------------------------------------------------


def test_colour_on_the_class() -> None:
    """What is async is seen to be: on the class, and below other decorators."""
    kinds = [
        Point.later,
        Point.later_below_class,
        Point.later_below_static,
        cached(Point().plain),
    ]

    told = [inspect.iscoroutinefunction(it) for it in kinds]
    # Below these decorators there is no function that could be one.
    below = sys.version_info >= (3, 12)
    assert told == [True, below, below, True]


def test_classes_in_classes() -> None:
    """A class that is decorated in another one makes its objects, once for each key."""

    class Outer:
        @cached
        class Inner:
            def __init__(self, x: int) -> None:
                self.x = x

    assert Outer.Inner(1) is Outer.Inner(1)  # type: ignore[call-arg,arg-type]  # as it is


# --- options -------------------------------------------------------------------------


def test_a_cache_of_a_wrong_kind() -> None:
    """It is told when the decorator is made, as for other options."""
    with pytest.raises(TypeError, match="cache must be a Cache"):
        cached(cache=5)  # type: ignore[call-overload]  # on purpose


# --- what is left of dead objects, and where methods are none ------------------------


def test_an_address_that_another_object_had() -> None:
    """What was left of that one is not taken for this one's."""
    one, two = Point(), Point()
    first = one.method(1)
    each = vars(Point)["method"]._each
    each[id(two)] = each[id(one)]

    assert two.method(1) is not first
    assert one.method(1) is first


def test_static_methods_are_pickled_by_name() -> None:
    """As any function of a class is."""
    assert (
        pickle.loads(pickle.dumps(Point.later_below_static)) is Point.later_below_static
    )


def test_ctrl_c_as_a_computation_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of it, and the next who asks computes."""
    from concutil._cache import lead

    class Interrupted:
        def set(self, step: object) -> None:
            raise KeyboardInterrupt

    cache: Cache[str, int] = Cache()
    with monkeypatch.context() as patch:
        patch.setattr(lead, "innermost", Interrupted())
        with pytest.raises(KeyboardInterrupt):
            cache.get_or_compute("a", lambda: 1)

    assert cache._store.flights == {}
    assert cache.get_or_compute("a", lambda: 2) == 2
