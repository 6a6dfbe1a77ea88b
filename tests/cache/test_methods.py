"""Methods that remember, for each object by itself, without keeping it alive."""

from __future__ import annotations

import abc
import copy
import enum
import functools
import gc
import inspect
import pickle
import pydoc
import sys
import threading
import typing
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from concutil import Cache, RecursiveComputeError, cached
from concutil._runtime import clock as clocks
from concutil.testing import ManualClock
from patience import threads


class Point:
    """All are equal, none can be hashed."""

    __hash__ = None  # type: ignore[assignment]  # on purpose

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __eq__(self, other: object) -> bool:
        return True

    @cached
    def method(self, x: int = 1, *, unit: str = "m") -> list[Any]:
        """Return a list."""
        self.calls.append((x, unit))
        return [self.__class__.__name__, x]

    @cached(maxsize=2, typed=True)
    def small(self, x: float) -> list[Any]:
        self.calls.append(x)
        return [x]

    @cached(key=lambda x, **more: x % 10)
    def by_key(self, x: int, **more: Any) -> list[int]:
        return [x]

    @cached
    async def later(self, x: int) -> list[Any]:
        await checkpoint()
        return [self, x]

    @cached
    @classmethod
    def of_class(cls, x: int = 1) -> list[Any]:
        """Return a list with the class."""
        return [cls, x]

    @cached
    @staticmethod
    def of_none(x: int = 1) -> list[Any]:
        """Return a list with nothing."""
        return [x]


class Point3(Point):
    """Has one method anew."""

    @cached
    def method(self, x: int = 1, *, unit: str = "m") -> list[Any]:
        return ["3", *super().method(x, unit=unit)]


@pytest.fixture(autouse=True)
def emptied() -> Iterator[None]:
    """See that no test leaves anything in the classes."""
    yield
    for kind in (Point, Point3):
        for name, made in vars(kind).items():
            if hasattr(made, "_each") and name != "of_class":
                assert made._each == {}
            if hasattr(made, "cache_clear"):
                made.cache_clear()
    Point.of_none.cache_clear()


def test_each_object_has_its_own() -> None:
    """Objects are told apart by identity, whatever they are equal to."""
    one, two = Point(), Point()

    assert one == two
    assert one.method(1) is one.method(1)
    assert one.method(1) is not two.method(1)
    assert one.method(1) is not one.method(2)
    assert one.calls == [(1, "m"), (2, "m")]
    assert two.calls == [(1, "m")]
    assert one.method.cache is not two.method.cache
    assert one.method.cache is one.method.cache
    assert list(one.method.cache) == [(1,), (2,)]


def test_numbers_of_one_and_of_all() -> None:
    """On the object they are its own, on the class they are the sums."""
    one, two = Point(), Point()
    for x in (1, 2, 3, 3):
        one.small(x)
    two.small(1)

    assert one.small.cache_info() == (1, 3, 2, 2)
    assert two.small.cache_info() == (0, 1, 2, 1)
    assert Point.small.cache_info() == (1, 4, 2, 3)
    assert one.small.cache_parameters() == {"maxsize": 2, "typed": True}
    assert Point.small.cache_parameters() == {"maxsize": 2, "typed": True}
    one.small.cache_clear()
    assert one.small.cache_info() == (0, 0, 2, 0)
    assert Point.small.cache_info() == (0, 1, 2, 1)
    Point.small.cache_clear()
    assert Point.small.cache_info() == two.small.cache_info() == (0, 0, 2, 0)
    assert one.small(3) is one.small(3) is not one.small(3.0)


def test_numbers_before_any_use() -> None:
    """A method that was never called has numbers."""
    assert Point.method.cache_info() == (0, 0, 128, 0)
    assert Point().method.cache_info() == (0, 0, 128, 0)


def test_invalidate_on_the_class() -> None:
    """It takes the object first, and then the arguments of the call."""
    one, two = Point(), Point()
    first, other = one.method(1, unit="s"), two.method(1, unit="s")

    assert Point.method.cache_invalidate(one, 1, unit="s") is True
    assert Point.method.cache_invalidate(one, 1, unit="s") is False
    assert Point.method.cache_invalidate(one, 5) is False
    assert one.method(1, unit="s") is not first
    assert two.method(1, unit="s") is other


def test_the_class_has_no_cache() -> None:
    """Each object has one of its own."""
    assert not hasattr(Point.method, "cache")


def test_called_on_the_class() -> None:
    """With the object as an argument it is the same call."""
    one = Point()

    assert Point.method(one, 1) is one.method(1)
    assert Point.method(one, x=1) is one.method(x=1)
    assert Point.method.cache_info()[:2] == (2, 2)
    with pytest.raises(TypeError, match="missing 1 required positional"):
        Point.method()  # type: ignore[call-arg]  # on purpose


def test_key_is_without_the_object() -> None:
    """What *key* is called with are the arguments alone."""
    one, two = Point(), Point()

    assert one.by_key(12) is one.by_key(22, more=5) is not two.by_key(12)
    assert list(one.by_key.cache) == [2]
    assert Point.by_key.cache_invalidate(one, 32)
    assert one.by_key(22) == [22]


@pytest.mark.anyio
async def test_async_methods() -> None:
    """An async method stays one."""
    one, two = Point(), Point()

    assert inspect.iscoroutinefunction(one.later)
    first = await one.later(1)
    assert first[0] is one
    assert await one.later(1) is first
    assert await Point.later(one, 1) is first
    assert await two.later(1) is not first
    assert Point.later.cache_info() == (2, 2, 128, 2)
    # What holds its object keeps it alive: see the docs.
    Point.later.cache_clear()


# --- how long ------------------------------------------------------------------------


def test_objects_are_not_kept_alive() -> None:
    """They die without the collector, and what was kept for them goes along."""
    one = Point()
    value = one.method(1)
    gone = weakref.ref(one)
    kept = weakref.ref(one.method.cache)
    made: Any = vars(Point)["method"]
    assert list(made._each) == [id(one)]

    enabled = gc.isenabled()
    gc.disable()
    try:
        del one
        assert gone() is None
        assert made._each == {}
    finally:
        if enabled:
            gc.enable()
    gc.collect()
    assert kept() is None
    assert value == ["Point", 1]
    assert Point.method.cache_info() == (0, 0, 128, 0)


def test_bound_methods_keep_their_object() -> None:
    """One that was taken works on when nobody else has the object."""
    one = Point()
    first = one.method(1)
    method, info, clear = one.method, one.method.cache_info, one.method.cache_clear
    gone = weakref.ref(one)
    del one

    assert method(1) is first
    assert gone() is not None
    assert method.cache_info() == (1, 1, 128, 1)
    del method
    assert gone() is None
    assert info() == (1, 1, 128, 1)
    clear()
    assert info() == (0, 0, 128, 0)


def test_objects_that_come_and_go() -> None:
    """An object at the address of a dead one finds nothing of it."""

    class Owner:
        def __init__(self, n: int) -> None:
            self.n = n

        @cached
        def name(self) -> int:
            return self.n

    assert [Owner(n).name() for n in range(1_000)] == list(range(1_000))
    assert vars(Owner)["name"]._each == {}


def test_objects_in_circles() -> None:
    """What only the collector finds is forgotten as well."""
    one = Point()
    one.calls.append(one)
    one.method(1)
    gone = weakref.ref(one)
    del one
    gc.collect()

    assert gone() is None


def test_objects_that_end_with_a_call() -> None:
    """A method that is called by `__del__` leaves nothing behind."""
    ended: list[list[int]] = []

    class Closing:
        @cached
        def state(self) -> list[int]:
            return []

        def __del__(self) -> None:
            ended.append(self.state())

    Closing()
    one = Closing()
    state = one.state()
    del one
    assert len(ended) == 2
    assert ended[1] is state
    assert vars(Closing)["state"]._each == {}


def test_use_leaves_no_trace_in_objects() -> None:
    """Attributes, equality, copies and pickles are as if it was never called."""
    used, fresh = Plain(5), Plain(5)
    before = pickle.dumps(fresh)
    value = used.method(1)

    assert vars(used) == vars(fresh) == {"n": 5}
    assert used == fresh
    assert hash(used) == hash(fresh)
    assert repr(used) == repr(fresh)
    assert pickle.dumps(used) == before
    assert dir(used) == dir(fresh)
    for twin in (copy.copy(used), copy.deepcopy(used), pickle.loads(before)):
        assert twin == used
        assert vars(twin) == {"n": 5}
        assert twin.method.cache_info() == (0, 0, 128, 0)
        assert twin.method(1) is not value
    assert used.method(1) is value


@dataclass(frozen=True)
class Plain:
    """Nothing can be written into it."""

    n: int

    @cached
    def method(self, x: int) -> list[int]:
        return [self.n, x]


# --- classes of all kinds ------------------------------------------------------------


class Slotted:
    """Can be held weakly."""

    __slots__ = ("__weakref__", "n")

    @cached
    def method(self) -> list[int]:
        return []


class Tight:
    """Can't."""

    __slots__ = ("n",)

    @cached
    def method(self) -> list[int]:
        return []

    @cached
    @classmethod
    def of_class(cls) -> list[int]:
        return []


def test_slots() -> None:
    """With `__weakref__` all is as usual; without, an error names the class."""
    one = Slotted()
    assert one.method() is one.method() is not Slotted().method()
    gone = weakref.ref(one)
    del one
    assert gone() is None

    for call in (lambda: Tight().method(), lambda: Tight.method(Tight())):
        with pytest.raises(TypeError, match="Tight objects can't be held weakly"):
            call()
    assert Tight.of_class() is Tight.of_class()
    assert Tight.method.cache_info() == (0, 0, 128, 0)


def test_dataclasses() -> None:
    """With fields, comparison and slots that can be held weakly."""

    @dataclass
    class Item:
        name: str

        @cached
        def letters(self) -> list[str]:
            return sorted(self.name)

    one = Item("box")
    assert one.letters() is one.letters()
    assert one == Item("box")
    if sys.version_info >= (3, 11):

        @dataclass(slots=True, weakref_slot=True)
        class Small:
            name: str

            @cached
            def letters(self) -> list[str]:
                return sorted(self.name)

        small = Small("box")
        assert small.letters() is small.letters()
        assert not hasattr(small, "__dict__")


def test_inheritance() -> None:
    """A method that is overridden has another cache than the one that it calls."""
    one = Point3()

    assert one.method(1) == ["3", "Point3", 1]
    assert one.method(1) is one.method(1)
    assert super(Point3, one).method(1) is not one.method(1)
    assert super(Point3, one).method(1, unit="m") is Point.method(one, 1, unit="m")
    assert one.calls == [(1, "m"), (1, "m")]  # by name, and by default
    assert one.small(1) is one.small(1)
    assert Point.small.cache_info() == Point3.small.cache_info() == (1, 1, 2, 1)


def test_class_methods() -> None:
    """Each class has its own values."""
    one = Point3()

    assert Point.of_class(1) is Point.of_class(1) is Point().of_class(1)
    assert Point3.of_class(1) is one.of_class(1) is not Point.of_class(1)
    assert Point.of_class(1)[0] is Point
    assert Point3.of_class(1)[0] is Point3
    assert Point.of_class.cache_info() == (4, 1, 128, 1)
    assert Point3.of_class.cache_info() == (2, 1, 128, 1)
    Point3.of_class.cache_clear()
    assert Point3.of_class.cache_info() == (0, 0, 128, 0)
    assert Point.of_class.cache_info()[1] == 1
    assert Point.of_class.__doc__ == "Return a list with the class."
    assert list(inspect.signature(Point.of_class).parameters) == ["x"]


@pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)() and sys.version_info < (3, 14),
    reason="without the GIL classes are immortal up to 3.13",
)
def test_classes_are_not_kept_alive() -> None:
    """A class that has computed dies as one that hasn't."""

    def use() -> weakref.ref[Any]:
        class Mine(Point):
            pass

        Mine.of_class.__func__(object)
        assert Mine.of_class.cache_info().currsize == 1
        Mine.of_class.cache_clear()  # the value holds the class
        return weakref.ref(Mine)

    gone = use()
    gc.collect()
    assert gone() is None


def test_static_methods() -> None:
    """They are plain functions, with one cache for all."""
    one = Point()

    assert Point.of_none(1) is one.of_none(1) is Point3.of_none(1)
    assert Point.of_none.cache_info() == (2, 1, 128, 1)
    assert one.of_none.cache_invalidate(1)
    assert len(Point.of_none.cache) == 0
    assert Point.of_none.__doc__ == "Return a list with nothing."


def test_the_other_order() -> None:
    """Below `classmethod` and `staticmethod` it is a function with one cache."""

    class Below:
        @classmethod
        @cached
        def of_class(cls, x: int) -> list[Any]:
            return [cls, x]

        @staticmethod
        @cached
        def of_none(x: int) -> list[int]:
            return [x]

    class Lower(Below):
        pass

    assert Below.of_class(1) is Below().of_class(1) is not Lower.of_class(1)
    assert Lower.of_class(1)[0] is Lower
    assert Below.of_none(1) is Below().of_none(1) is Lower.of_none(1)
    assert vars(Below)["of_class"].__func__.cache_info() == (2, 2, 128, 2)
    made = vars(Below)["of_none"].__func__
    assert made.cache_info() == (2, 1, 128, 1)
    assert list(made.cache) == [(1,)]
    assert made.cache_invalidate(1)
    made.cache_clear()
    assert made.cache_info() == (0, 0, 128, 0)


def test_abstract_methods_stay_abstract() -> None:
    """A class can't be made while a decorated abstract method is missing."""

    class Base(abc.ABC):
        @cached
        @abc.abstractmethod
        def above(self) -> int: ...

        @abc.abstractmethod
        @cached
        def below(self) -> int: ...

        @cached
        @classmethod
        @abc.abstractmethod
        def of_class(cls) -> int: ...

    assert Base.__abstractmethods__ == {"above", "below", "of_class"}
    with pytest.raises(TypeError, match="abstract"):
        Base()  # type: ignore[abstract]  # on purpose


def test_enums_and_metaclasses() -> None:
    """Members and classes are objects as others."""

    class Colour(enum.Enum):
        RED = 1
        BLUE = 2

        @cached
        def shades(self) -> list[str]:
            return [self.name]

    class Meta(type):
        @cached
        def registry(cls) -> list[str]:
            return [cls.__name__]

    class Base(metaclass=Meta):
        pass

    class Derived(Base):
        pass

    assert list(Colour) == [Colour.RED, Colour.BLUE]
    assert Colour.RED.shades() is Colour.RED.shades() is not Colour.BLUE.shades()
    assert Base.registry() is Base.registry() == ["Base"]
    assert Derived.registry() == ["Derived"]


def test_special_methods() -> None:
    """They are found on the class, and cached for the object."""

    class Lazy:
        def __init__(self) -> None:
            self.calls: list[str] = []

        @cached
        def __call__(self, x: int) -> list[int]:
            return [x]

        @cached
        def __getitem__(self, name: str) -> list[str]:
            self.calls.append(name)
            return [name]

        @cached
        def __len__(self) -> int:
            self.calls.append("len")
            return 5

        @cached
        def __hash__(self) -> int:
            self.calls.append("hash")
            return 7

    one = Lazy()
    assert one(1) is one(1)
    assert one["a"] is one["a"]
    assert len(one) + len(one) == 10
    assert hash(one) == hash(one) == 7
    assert one.calls == ["a", "len", "hash"]
    assert one is not Lazy()


def test_properties() -> None:
    """Below `property` it is computed once for an object."""

    class Circle:
        @property
        @cached
        def area(self) -> list[int]:
            return []

    one = Circle()
    assert one.area is one.area is not Circle().area


def test_another_name() -> None:
    """Two names of one method share what it has computed."""

    class Named:
        @cached
        def one(self) -> list[int]:
            return []

        two = one

    it = Named()
    assert it.one() is it.two()
    assert it.one.cache is it.two.cache


def test_lambdas_in_classes() -> None:
    """A lambda in the body of a class is a method."""

    class Short:
        one = cached(lambda self: [])

    it = Short()
    assert it.one() is it.one() is not Short().one()


def test_functions_within_methods() -> None:
    """A function that a method defines is a plain function."""

    class Outer:
        def inner(self) -> Any:
            @cached
            def function(x: int) -> list[int]:
                return [x]

            return function

    function = Outer().inner()
    assert inspect.isfunction(function)
    assert function(1) is function(1)
    assert function.cache_info() == (1, 1, 128, 1)


def test_functions_that_become_methods_later() -> None:
    """What is decorated outside of a class is a plain function, keyed by the object."""

    class Late:
        method: Any

    @cached
    def method(self: Any, x: int) -> list[int]:
        return [x]

    Late.method = method
    one, two = Late(), Late()
    assert one.method(1) is one.method(1) is not two.method(1)
    assert method.cache_info() == (1, 2, 128, 2)
    assert list(method.cache) == [(one, 1), (two, 1)]


def test_methods_of_objects() -> None:
    """A bound method of another class is decorated as the function that it is."""
    one = Point()
    method = cached(one.method.__func__.__wrapped__.__get__(one))  # type: ignore[attr-defined]  # of functions

    assert method(1) is method(1) is not one.method(1)
    assert method.cache_info() == (1, 1, 128, 1)
    assert len(method.cache) == 1
    assert method.cache_invalidate(1)
    assert method.cache_parameters() == {"maxsize": 128, "typed": False}


def test_methods_that_share_a_cache() -> None:
    """Objects and methods are kept apart in one cache with others."""
    cache: Cache[Any, Any] = Cache()
    cache["mine"] = 5

    class Shared:
        @cached(cache=cache)
        def one(self, x: int) -> list[int]:
            return [x]

        @cached(cache=cache)
        def two(self, x: int) -> list[int]:
            return [x]

    it, other = Shared(), Shared()
    values = [it.one(1), it.two(1), other.one(1), other.two(1)]
    assert len(set(map(id, values))) == 4
    assert len(cache) == 5
    assert it.one.cache is other.two.cache is cache
    it.one.cache_clear()
    assert len(cache) == 4
    assert other.one(1) is values[2]
    assert Shared.one.cache_invalidate(other, 1)
    Shared.two.cache_clear()
    assert list(cache) == ["mine"]
    gone = weakref.ref(it)
    del it
    assert gone() is None


def test_ttl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods have times as functions have."""
    clock = ManualClock()
    monkeypatch.setattr(clocks, "monotonic", clock.now)

    class Timed:
        @cached(ttl=5)
        def method(self) -> list[int]:
            return []

    one = Timed()
    first = one.method()
    clock.advance(4)
    assert one.method() is first
    clock.advance(1)
    assert one.method() is not first


# --- looks ---------------------------------------------------------------------------


def test_looks_are_kept() -> None:
    """Introspection sees a method, on the object and on the class."""
    one = Point()
    bound, unbound = inspect.signature(one.method), inspect.signature(Point.method)

    assert list(bound.parameters) == ["x", "unit"]
    assert list(unbound.parameters) == ["self", "x", "unit"]
    for method in (one.method, Point.method):
        assert method.__name__ == "method"
        assert method.__qualname__ == "Point.method"
        assert method.__module__ == __name__
        assert method.__doc__ == "Return a list."
        assert typing.get_type_hints(method)["x"] is int
        assert inspect.isroutine(method)
    assert inspect.ismethod(one.method)
    assert one.method.__self__ is one
    assert Point.method.__wrapped__(one, 5) == ["Point", 5]
    assert one.method.__wrapped__(one, 5) == ["Point", 5]
    assert not inspect.iscoroutinefunction(one.method)


def test_help() -> None:
    """It shows methods with their signatures and docstrings."""
    text = pydoc.render_doc(Point, renderer=pydoc.plaintext)  # type: ignore[attr-defined]  # unknown to typeshed

    assert "method(self, x:" in text
    assert "Return a list.\n" in text
    assert "Return a list with the class." in text


def test_it_is_copied_and_pickled_by_reference() -> None:
    """On the class by reference; on the object with it."""
    assert pickle.loads(pickle.dumps(Plain.method)) is Plain.method
    assert copy.copy(Plain.method) is copy.deepcopy(Plain.method) is Plain.method
    bound = pickle.loads(pickle.dumps(Plain(7).method))
    assert bound(1) == [7, 1]
    assert bound.__self__ == Plain(7)
    assert copy.deepcopy(Plain) is Plain


def test_bound_methods_are_equal() -> None:
    """Those of one object are, as without the decorator; those of others are not."""
    one, two = Plain(1), Plain(1)

    assert one.method == one.method
    assert hash(one.method) == hash(one.method)
    assert one.method != two.method


def test_partial_methods() -> None:
    """`functools.partialmethod` and partials find the cache of the object."""

    class Partly:
        @cached
        def method(self, x: int, y: int = 0) -> list[int]:
            return [x, y]

        five = functools.partialmethod(method, 5)

    one = Partly()
    assert one.five() is one.method(5) is functools.partial(one.method, 5)()


# --- together ------------------------------------------------------------------------


def test_two_threads_bind_at_once() -> None:
    """They get one cache, and compute once."""

    class Shared:
        def __init__(self) -> None:
            self.calls: list[int] = []

        @cached
        def method(self, x: int) -> list[int]:
            self.calls.append(x)
            return [x]

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            one, start = Shared(), threading.Barrier(3)
            caches: list[Any] = []
            values: list[Any] = []

            def use(
                one: Shared = one,
                start: threading.Barrier = start,
                caches: list[Any] = caches,
                values: list[Any] = values,
            ) -> None:
                start.wait(10)
                caches.append(one.method.cache)
                values.append(one.method(1))

            with threads(*[use] * 3):
                pass
            assert len(set(map(id, caches))) == len(set(map(id, values))) == 1
            assert one.calls == [1]
    finally:
        sys.setswitchinterval(before)


def test_who_binds_second_takes_the_first() -> None:
    """If another thread was faster, its cache is the one, and stays when this ends."""
    made: Any = vars(Point)["method"]
    one = Point()
    first = made._bind(one)

    assert made._bind(one) is first
    gc.collect()
    assert made._each == {id(one): first}


def test_recursion() -> None:
    """Methods of other objects may be called, those of the same may not."""

    class Node:
        def __init__(self, parent: Node | None = None) -> None:
            self.parent = parent

        @cached
        def depth(self) -> int:
            return 1 + self.parent.depth() if self.parent else 0

    root = Node()
    assert Node(Node(Node(root))).depth() == 3
    root.parent = root
    root.depth.cache_clear()
    with pytest.raises(RecursiveComputeError):
        root.depth()
