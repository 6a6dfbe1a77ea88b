"""A limiter for each key: as many limiters, and no more state than they owe."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest

from concutil import KeyedRateLimiter, Rate, RateLimitExceeded
from concutil._core.ledger import FEW, Ledger
from concutil._limits.shards import KEYS_EACH
from concutil.events import Event, subscribe
from concutil.testing import ManualClock
from patience import LONG_S, eventually, threads


@pytest.fixture
def clock() -> ManualClock:
    """A clock for the test alone."""
    return ManualClock(100)


def enter(limiters: KeyedRateLimiter, key: object) -> None:
    """Enter the limiter of *key*, and leave it."""
    with limiters[key]:
        pass


def test_each_key_has_the_limits_for_itself(clock: ManualClock) -> None:
    """What one key has used is no other's, and any number of views are one limiter."""
    limiters = KeyedRateLimiter("1/min", slack=0, clock=clock)
    kept = limiters["a"]
    with kept:
        pass
    assert kept.try_permit() is None
    assert limiters["a"].try_permit() is None
    assert limiters["b"].try_permit() is not None
    clock.advance(60)

    assert limiters["a"].try_permit() is not None
    assert kept.try_permit() is None


@pytest.mark.parametrize(
    "limits",
    [
        ("3/min burst 3", "50/h burst 9"),
        (Rate(3, 60, exact=True),),
        (Rate(3, 60, burst=3), Rate(9, 60, burst=9, unit="tokens")),
    ],
)
def test_all_ways_to_take_are_one_limit(limits: Any, clock: ManualClock) -> None:
    """Blocks, permits and decorated calls take of the same rates."""
    limiters = KeyedRateLimiter(*limits, slack=0, clock=clock)
    view = limiters["a"]

    @view
    def call() -> None: ...

    with view:
        call()
    with view.permit(timeout=0) as permit:
        assert view.try_permit() is None
    with pytest.raises(RateLimitExceeded) as error, view.permit(timeout=1):
        pass
    assert error.value.retry_after == pytest.approx(
        60 if limits[0] == Rate(3, 60, exact=True) else 20
    )
    permit.refund()
    call()
    assert (view.stats().granted, view.stats().next_in) == (
        4,
        pytest.approx(error.value.retry_after),
    )


def test_places_are_for_each_key() -> None:
    """So many are inside for a key, whichever view they came by."""
    limiters = KeyedRateLimiter("100/s", burst=10, max_concurrent=2)
    first, second = limiters["a"], limiters["a"]
    with first, second:
        assert first.stats().in_flight == second.stats().in_flight == 2
        assert limiters["a"].try_permit() is None
        enter(limiters, "b")
    assert first.stats().in_flight == 0

    first.__enter__()
    gc.collect()
    second.__exit__(None, None, None)
    assert limiters["a"].stats() == first.stats()
    assert first.stats().in_flight == 0
    limiters["c"].__exit__(None, None, None)  # was never entered
    assert limiters["c"].stats().in_flight == 0


def test_threads_of_a_key_are_let_in_in_order() -> None:
    """First come, first served by key, and no key holds up another."""
    limiters, order = KeyedRateLimiter(max_concurrent=1), []

    def wait(number: int) -> None:
        with limiters["a"]:
            order.append(number)

    limiters["a"].__enter__()
    workers = []
    for number in range(5):
        workers.append(threading.Thread(target=wait, args=(number,)))
        workers[-1].start()
        eventually(
            lambda n=number + 1: limiters["a"].stats().waiting == n
        )  # called at once
        enter(limiters, "b")
    assert order == []
    limiters["a"].__exit__(None, None, None)
    for worker in workers:
        worker.join(LONG_S)

    assert order == list(range(5))


def test_threads_wait_for_a_rate(clock: ManualClock) -> None:
    """Whoever has no call left waits for the clock, in the order of arrival."""
    limiters, order = KeyedRateLimiter("1/min", slack=0, clock=clock), []

    def wait() -> None:
        with limiters["a"]:
            order.append(clock.now())

    enter(limiters, "a")
    with threads(wait, wait):
        eventually(lambda: limiters["a"].stats().waiting == 2)
        assert "2 waiting" in repr(limiters["a"])
        for turn in (1, 2):
            clock.advance(60)
            eventually(lambda n=turn: len(order) == n)  # called at once
    stats = limiters["a"].stats()

    assert order == [160, 220]
    assert (stats.granted, stats.waited_total, stats.waiting) == (3, 180, 0)


@pytest.mark.anyio
async def test_tasks_wait_for_their_key_only(clock: ManualClock) -> None:
    """Tasks of one key wait in order, while those of others come and go."""
    limiters, order = KeyedRateLimiter("1/min", slack=0, clock=clock), []

    async def call(key: str, name: str) -> None:
        async with limiters[key]:
            order.append(name)

    async with anyio.create_task_group() as group:
        for name in ("a1", "a2", "a3"):
            group.start_soon(call, "a", name)
            await anyio.wait_all_tasks_blocked()
        await call("b", "b1")
        for _ in range(2):
            clock.advance(60)
            await anyio.wait_all_tasks_blocked()

    assert order == ["a1", "b1", "a2", "a3"]


@pytest.mark.anyio
async def test_a_cancelled_task_leaves_nothing(clock: ManualClock) -> None:
    """Whoever waited behind moves up, and nothing stays booked or held."""
    limiters, order = KeyedRateLimiter(max_concurrent=1, clock=clock), []

    async def call(name: str) -> None:
        async with limiters["a"]:
            order.append(name)

    async with limiters["a"], anyio.create_task_group() as group:
        scope = anyio.CancelScope()
        group.start_soon(_under, scope, call, "cancelled")
        await anyio.wait_all_tasks_blocked()
        group.start_soon(call, "behind")
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        await anyio.wait_all_tasks_blocked()
        stats = limiters["a"].stats()
        limiters["a"].__exit__(None, None, None)
        await anyio.wait_all_tasks_blocked()
        await limiters["a"].__aenter__()
    assert (stats.waiting, stats.cancelled) == (1, 1)
    assert order == ["behind"]
    assert limiters["a"].stats().in_flight == 0


async def _under(
    scope: anyio.CancelScope, call: Callable[[str], Any], name: str
) -> None:
    with scope:
        await call(name)


@pytest.mark.anyio
async def test_permits_are_awaited(clock: ManualClock) -> None:
    """A permit of a view is a permit: awaited, entered, refunded and adjusted."""
    limiters = KeyedRateLimiter("1/min burst 5", slack=0, clock=clock)
    view = limiters["a"]
    permit = await view.permit(4)
    async with view.permit(1):
        pass
    with pytest.raises(RateLimitExceeded, match="the limiter for 'a' could not meet"):
        await view.permit(timeout=59)
    permit.adjust(2)
    assert view.try_permit(3) is None
    async with view.permit(2):
        pass
    permit.refund()
    permit.refund()

    assert view.try_permit(2) is not None
    assert view.try_permit(0.1) is None


def test_a_permit_is_refunded_long_after(clock: ManualClock) -> None:
    """A key is held for as long as a permit may give something back to it."""
    limiters = KeyedRateLimiter("1/h burst 2", slack=0, clock=clock, max_keys=1)
    permit = limiters["a"].try_permit(2)
    assert permit is not None
    clock.advance(7_200)
    assert limiters["b"].try_permit() is None
    permit.adjust(4)
    assert limiters["a"].try_permit() is None
    clock.advance(7_200)

    assert limiters["b"].try_permit() is None
    del permit
    assert limiters["b"].try_permit() is not None


def test_an_error_that_is_kept_holds_no_key(clock: ManualClock) -> None:
    """What its traceback has used is needed no more, though it is alive."""
    limiters = KeyedRateLimiter("1/s", slack=0, clock=clock, max_keys=1)
    enter(limiters, "a")
    with pytest.raises(RateLimitExceeded) as kept:
        limiters["a"].permit(timeout=0.5).wait()
    clock.advance(1)

    enter(limiters, "b")
    assert kept.value.retry_after == 1


def test_a_pause_is_of_one_key(clock: ManualClock) -> None:
    """A paused key starts nothing, is not forgotten, and holds nobody else up."""
    limiters = KeyedRateLimiter("1/s burst 2", slack=0, clock=clock, max_keys=2)
    view = limiters["a"]
    view.pause(60)
    view.pause(0)
    assert view.try_permit() is None
    enter(limiters, "b")
    clock.advance(59)
    enter(limiters, "c")  # in the place of b
    assert limiters["d"].try_permit() is None
    assert view.stats().next_in == 1
    clock.advance(1)

    enter(limiters, "d")
    enter(limiters, "a")


def test_a_pause_that_is_over_leaves_a_row(clock: ManualClock) -> None:
    """After a pause a key goes on from what it owes."""
    limiters = KeyedRateLimiter("1/s burst 2", slack=0, clock=clock)
    enter(limiters, "a")
    limiters["a"].pause(0.25)
    clock.advance(0.25)
    enter(limiters, "a")
    assert limiters["a"].try_permit() is None
    assert limiters["a"].stats().next_in == 0.75
    assert limiters["a"]._shard.ledger.awake == {}


def test_when_full_a_new_key_is_refused(clock: ManualClock) -> None:
    """No limit is reset to make room; the error tells when there will be some."""
    limiters = KeyedRateLimiter(
        "1/min", slack=0, clock=clock, max_keys=3, name="api", burst=2
    )
    for _ in range(2):
        for key in "abc":
            enter(limiters, key)
            clock.advance(1)
    told: list[Event] = []
    with subscribe(told.append):
        for ask in (
            lambda: enter(limiters, "d"),
            limiters["d"].permit,
            lambda: limiters["d"].permit(timeout=1_000),
            lambda: limiters["d"].pause(1),
        ):
            with pytest.raises(
                RateLimitExceeded, match=r"limiter 'api' has no room for 'd': none of 3"
            ) as error:
                ask()
            assert error.value.retry_after == 114
    assert [event.name for event in told] == ["concutil.limiter_refused"] * 4
    assert limiters["d"].try_permit() is None
    assert limiters["d"].stats().granted == 0
    assert [limiters[key].try_permit() for key in "abc"] == [None] * 3
    assert (len(limiters), bool(limiters)) == (3, True)

    clock.advance(114)
    assert limiters["d"].try_permit() is not None
    assert len(limiters) == 3
    assert limiters["a"].stats().granted == 0  # forgotten


def test_a_known_key_goes_on_when_full(clock: ManualClock) -> None:
    """Only new keys are refused; what is held may be used."""
    limiters = KeyedRateLimiter("1/s burst 9", slack=0, clock=clock, max_keys=1)
    with limiters["a"], limiters["a"].permit(), limiters["a"]:
        limiters["a"].pause(0)

    assert limiters["a"].stats().granted == 3


@pytest.mark.parametrize(("limits", "wait"), [(["4/min"], 15), ([], 0)])
def test_when_all_are_in_use_the_wait_is_a_guess(
    limits: list[str], wait: float, clock: ManualClock
) -> None:
    """Nobody knows how long those inside stay: what one call owes comes after."""
    limiters = KeyedRateLimiter(*limits, clock=clock, max_keys=1, max_concurrent=1)
    with limiters["a"]:
        clock.advance(1_000)
        with pytest.raises(RateLimitExceeded) as error:
            enter(limiters, "b")
    enter(limiters, "b")

    assert error.value.retry_after == wait


def test_a_view_may_be_kept(clock: ManualClock) -> None:
    """It looks its key up at each use, also after that was forgotten."""
    limiters = KeyedRateLimiter("1/s burst 2", slack=0, clock=clock, max_keys=1)
    views = limiters["a"], limiters["a"]
    with views[0], views[1]:
        pass
    clock.advance(9)
    enter(limiters, "b")
    assert views[0].try_permit() is None  # refused: no room
    clock.advance(9)

    with views[0], views[1]:
        assert views[0].try_permit() is None
        assert limiters["a"].try_permit() is None


def most_in_a_call(limiters: KeyedRateLimiter) -> int:
    """Return how many keys the largest ledger has: what a call looks at, at most."""
    return max(len(shard.ledger) for shard in limiters._shards._made_shards)


@pytest.mark.timeout(300)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "keys", "refused"), [("1000/s", 200_000, 0), ("1/h", 20_000, 15_000)]
)
def test_any_number_of_keys_are_held_within_bounds(
    rate: str, keys: int, refused: int, clock: ManualClock
) -> None:
    """Any number in turn stays within `max_keys`, and no call looks at many."""
    limiters = KeyedRateLimiter(rate, slack=0, clock=clock, max_keys=5_000)
    granted, most = 0, 0
    for number in range(keys):
        if number % 10 == 0:
            clock.advance(0.001)
        try:
            enter(limiters, number)
            granted += 1
        except RateLimitExceeded:
            assert len(limiters) == 5_000
        if number % 1_000 == 0:
            assert len(limiters) <= 5_000
            most = max(most, most_in_a_call(limiters))

    assert keys - granted == refused
    assert most <= 4 * KEYS_EACH


def test_a_sweep_is_told_by_growth_alone(clock: ManualClock) -> None:
    """What is owed no more goes as others come, long before there is no room."""
    limiters = KeyedRateLimiter("1/s", slack=0, clock=clock)
    for number in range(20_000):
        clock.advance(0.5)
        enter(limiters, number)

    assert most_in_a_call(limiters) <= 32


def test_room_is_found_wherever_it_is(clock: ManualClock) -> None:
    """If just one of many keys can be forgotten, its place is had at once."""
    limiters = KeyedRateLimiter("1/h burst 3", slack=0, clock=clock, max_keys=1_000)
    for _ in range(3):
        for number in range(1_000):
            if number == 500:
                clock.advance(0.25)
            enter(limiters, number)
    for name in ("new", "newer"):
        with pytest.raises(RateLimitExceeded) as error:
            enter(limiters, name)
    assert error.value.retry_after == 3 * 3_600 - 0.75
    clock.advance(error.value.retry_after)

    for number in range(500):
        enter(limiters, -1 - number)
    assert limiters["new"].try_permit() is None


def test_keys_are_decorated(clock: ManualClock) -> None:
    """`by` takes the key, the cost and the patience from the arguments of a call."""
    limiters = KeyedRateLimiter("1/min burst 5", slack=0, clock=clock)

    @limiters.by(lambda user, **_: user)
    def one(user: str, *, size: int = 1) -> str:
        """Do it."""
        return f"{user} {size}"

    @limiters.by(lambda user, **_: user, cost=lambda _, size: size, timeout=0)
    def sized(user: str, *, size: int) -> None: ...

    @limiters.by(lambda user: user, 2, timeout=59)
    def two(user: str) -> Iterator[int]:
        yield 1

    assert one("a", size=3) == "a 3"
    assert (one.__name__, one.__doc__) == ("one", "Do it.")
    sized("a", size=4)
    with pytest.raises(RateLimitExceeded):
        sized("a", size=1)
    sized("b", size=3)
    assert list(two("b")) == [1]
    with pytest.raises(RateLimitExceeded):
        next(two("b"))
    assert limiters["b"].stats().granted == 2
    assert limiters["c"].by(2)(lambda: 1)() == 1


@pytest.mark.anyio
async def test_async_functions_are_decorated() -> None:
    """Async functions and async generators keep their colour."""
    limiters = KeyedRateLimiter("1/h", max_concurrent=1)

    @limiters.by(lambda user: user)
    async def call(user: str) -> str:
        return user

    @limiters.by(lambda user: user)
    async def items(user: str) -> AsyncIterator[int]:  # noqa: ASYNC900 - the subject
        yield limiters[user].stats().in_flight

    assert await call("a") == "a"
    assert [item async for item in items("b")] == [1]
    assert limiters["b"].stats().in_flight == 0


def test_a_generator_dropped_under_the_locks_gives_its_place_back() -> None:
    """The collector never waits, not even in a thread that holds both locks."""
    limiters = KeyedRateLimiter(max_concurrent=1)

    @limiters.by(lambda: "a")
    def items() -> Iterator[int]:
        yield 1

    held = items()
    assert next(held) == 1
    hold = limiters["a"]._hold_if_room()
    assert hold is not None
    with hold.gate.lock, limiters["a"]._shard._lock:
        del held, hold
        gc.collect()
    enter(limiters, "a")
    assert limiters["a"].stats().in_flight == 0


@pytest.mark.parametrize("use", ["enter", "try_permit", "sweep"])
def test_a_permit_dropped_under_the_lock_lets_its_key_rest(
    use: str, clock: ManualClock
) -> None:
    """Whoever takes the lock next does what the collector could not."""
    limiters = KeyedRateLimiter("1/s burst 2", slack=0, clock=clock, max_keys=1)
    permit = limiters["a"].try_permit()
    shard = limiters["a"]._shard
    with shard._lock:
        del permit
        assert shard._ended
    if use == "sweep":
        shard.sweep(clock.now())
    elif use == "enter":
        enter(limiters, "a")
    else:
        assert limiters["a"].try_permit() is not None
    assert not shard._ended
    assert not shard._uses
    clock.advance(2)
    enter(limiters, "b")


def test_what_an_interrupt_left_undone_is_done() -> None:
    """Changes that Ctrl-C kept a gate from are made before its key rests."""
    limiters = KeyedRateLimiter(max_concurrent=2)
    view = limiters["a"]
    view.__enter__()
    view.__enter__()
    view._inside.pop().end()
    hold = view._inside.pop()
    for _ in range(2):
        hold.gate.inbox.append(lambda core, _now: core.leave_block())
    hold.end()
    hold.end()

    assert limiters["a"]._shard.ledger.awake == {}
    enter(limiters, "a")


def test_an_error_in_a_wait_leaves_nothing() -> None:
    """If a thread's wait ends by an error, its key is free again."""

    class Broken:
        def now(self) -> float:
            return 0

        def call_at(
            self, when: float, wake: Callable[[], object]
        ) -> Callable[[], object]:
            raise ArithmeticError

    limiters = KeyedRateLimiter("1/s", clock=Broken())
    enter(limiters, "a")
    for ask in (limiters["a"].__enter__, limiters["a"].permit().wait):
        with pytest.raises(ArithmeticError):
            ask()

    assert limiters["a"].stats().waiting == 0
    assert limiters["a"]._shard._uses == {}


def test_forgotten_keys_are_let_go_of(clock: ManualClock) -> None:
    """A key is not kept alive by a limiter that has forgotten it."""

    class Key:
        pass

    limiters = KeyedRateLimiter("1/s", slack=0, clock=clock, max_keys=1)
    key = Key()
    gone = weakref.ref(key)
    enter(limiters, key)
    del key
    clock.advance(1)
    enter(limiters, "b")
    gc.collect()

    assert gone() is None


@pytest.mark.parametrize("use", ["enter", "permit", "sweep"])
def test_forgotten_keys_are_dropped_after_the_lock(
    use: str, clock: ManualClock
) -> None:
    """What runs when a key is let go of may use the limiter that has forgotten it."""

    class Key:
        pass

    limiters, free = KeyedRateLimiter("1/s", slack=0, clock=clock, max_keys=99), []
    shard = limiters["b"]._shard
    for _ in range(FEW):
        key = Key()
        weakref.finalize(key, lambda: free.append(not shard._lock.locked()))
        enter(limiters, key)
    del key
    clock.advance(1)
    if use == "enter":
        enter(limiters, "b")
    elif use == "permit":
        assert limiters["b"].try_permit() is not None
    else:
        shard.sweep(clock.now())

    assert free == [True] * FEW


class Odd:
    """A key that is compared so many times, and then fails to be."""

    times = 0

    def __hash__(self) -> int:
        return hash("a")

    def __eq__(self, other: object) -> bool:
        self.times -= 1
        if self.times < 0:
            raise ArithmeticError
        return self is other


@pytest.mark.parametrize("times", range(4))
def test_a_key_that_fails_to_compare_takes_no_room(
    times: int, clock: ManualClock
) -> None:
    """An error in a key's `__eq__` comes through, and leaves the room as it was."""
    limiters, odd = KeyedRateLimiter("1/h", slack=0, clock=clock, max_keys=2), Odd()
    enter(limiters, odd)
    odd.times = times
    with pytest.raises(ArithmeticError):
        enter(limiters, "a")
    odd.times = 1_000  # a dict may look at it over and over on its way to a free place

    enter(limiters, "a")
    assert len(limiters) == 2


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({}, ValueError, "a limiter needs a limit"),
        (
            {"calls_per_second": 1, "max_keys": 0},
            ValueError,
            "max_keys must be a whole",
        ),
        ({"calls_per_second": 1, "max_keys": True}, TypeError, "max_keys must be"),
        ({"calls_per_second": 1, "max_keys": 1.5}, TypeError, "max_keys must be"),
        ({"calls_per_second": 1, "max_keys": None}, TypeError, "not None$"),
        ({"calls_per_second": 1, "slack": -1}, ValueError, "slack must be"),
        ({"calls_per_second": 1, "name": ""}, ValueError, "name must be"),
        ({"calls_per_second": 1, "clock": 1}, TypeError, "clock must have"),
    ],
)
def test_bad_options_are_refused(
    options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    """The error comes when the limiter is made, and names the argument."""
    with pytest.raises(kind, match=message):
        KeyedRateLimiter(**options)


def test_misuse_is_told() -> None:
    """Keys must be hashable; it is no collection, and can't be copied."""
    limiters: Any = KeyedRateLimiter("1/s burst 2")
    with pytest.raises(TypeError, match=r"keys must be hashable, and \['a'\] is not"):
        limiters[["a"]]
    with pytest.raises(TypeError, match="keys must be hashable"):
        limiters["a", []]
    with pytest.raises(TypeError, match="not iterable"):
        iter(limiters)
    with pytest.raises(TypeError, match="not a container"):
        "a" in limiters  # noqa: B015  # that is the mistake
    with pytest.raises(TypeError, match="key_function must be a function"):
        limiters.by("user")
    for by in (lambda cost: limiters.by(str, cost), limiters["a"].by):
        with pytest.raises(ValueError, match="above the burst of 1/s burst 2"):
            by(3)
    assert len(limiters) == 0
    for duplicate in (pickle.dumps, copy.copy, copy.deepcopy):
        for it in (limiters, limiters["a"]):
            with pytest.raises(TypeError, match="would be a second limit"):
                duplicate(it)


def test_reprs_show_limits_and_state() -> None:
    """The reprs tell names, keys, limits, and who is there, and add no key."""
    limiters = KeyedRateLimiter("5/min", max_concurrent=2, name="api", burst=2)
    text = "<KeyedRateLimiter 'api' 5/min burst 2, 2 at once: 0 of 100000 keys>"
    assert repr(limiters["a"]) == (
        "<limiter 'api' for 'a', 5/min burst 2, 2 at once: 0 waiting, 0 inside>"
    )
    assert repr(limiters) == text
    with limiters["a"]:
        assert repr(limiters) == text.replace("0 of", "1 of")
        assert "1 inside>" in repr(limiters["a"])
    permit = limiters["a"].permit()
    assert repr(permit) == "<Permit of cost 1 from limiter 'api' for 'a': new>"
    assert repr(KeyedRateLimiter("1/s")).startswith("<KeyedRateLimiter 1/s burst 1:")


def test_a_text_keeps_its_unit_beside_a_burst() -> None:
    """`burst=` applies to each text, and changes nothing else of it."""
    limiters = KeyedRateLimiter("1/s", "90 tokens/min", burst=50)

    assert "1/s burst 50, 90 tokens/min burst 50" in repr(limiters)


def test_keys_in_different_tables_share_no_lock(clock: ManualClock) -> None:
    """Whatever goes on with one key, another one is used meanwhile."""
    limiters = KeyedRateLimiter("9/s burst 9", max_concurrent=5, clock=clock)
    enter(limiters, 0)
    held = limiters[0]._shard
    other = next(key for key in range(1, 999) if limiters[key]._shard is not held)
    enter(limiters, other)

    def use() -> None:
        view = limiters[other]
        with view, view.permit(timeout=0) as permit:
            permit.refund()
            assert view.stats().in_flight == 2
        view.pause(1)
        assert view.try_permit() is None

    permit = limiters[0].try_permit()
    assert permit is not None
    with held._lock, permit._gate.lock, threads(use):
        pass
    permit.release()


def test_events_keep_the_key_to_themselves(clock: ManualClock) -> None:
    """They tell the name that all keys have in common, and no key."""
    limiters = KeyedRateLimiter("1/min", slack=0, clock=clock, name="users", max_keys=1)
    told: list[Event] = []
    with subscribe(told.append):
        enter(limiters, "Ada")
        with threads(lambda: enter(limiters, "Ada")):
            eventually(lambda: limiters["Ada"].stats().waiting == 1)
            clock.advance(60)
        limiters["Ada"].pause(60)
        for key in ("Ada", "Grace"):
            with pytest.raises(RateLimitExceeded):
                limiters[key].permit(timeout=1).wait()

    assert [(event.name, event.asdict()["limiter"]) for event in told] == [
        ("concutil.limiter_waited", "users"),
        ("concutil.limiter_paused", "users"),
        ("concutil.limiter_refused", "users"),
        ("concutil.limiter_refused", "users"),
    ]
    assert not any(key in repr(event) for key in ("Ada", "Grace") for event in told)


def test_a_table_is_used_under_its_lock(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is done with keys, nobody else changes their table meanwhile."""
    limiters = KeyedRateLimiter("1/s burst 9", slack=0, clock=clock, max_keys=2)
    used: set[str] = set()

    def checked(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Ledger, *args: Any) -> Any:
            (shard,) = limiters._shards._made_shards
            assert (shard.ledger, shard._lock.locked()) == (self, True)
            used.add(name)
            return method(self, *args)

        return call

    for name in ("enter_one", "add", "wake", "rest", "without_free"):
        monkeypatch.setattr(Ledger, name, checked(name, getattr(Ledger, name)))
    for key in "abcd":
        enter(limiters, key)
        with limiters[key].permit():
            assert limiters[key].stats().granted == 2
        clock.advance(1)

    assert used == {"enter_one", "add", "wake", "rest", "without_free"}


@pytest.mark.parametrize("name", ["enter_one", "wake", "without_free"])
def test_whoever_has_the_lock_lets_dropped_keys_rest(
    name: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A permit that the collector drops under the lock keeps no key awake."""
    limiters = KeyedRateLimiter("1/s burst 9", slack=0, clock=clock, max_keys=9)
    enter(limiters, "b")
    dropped, method = [limiters["a"].try_permit()], getattr(Ledger, name)
    shard = limiters["a"]._shard
    assert set(shard.ledger.awake) == {"a"}

    def dropping(self: Ledger, *args: Any) -> Any:
        dropped.clear()
        assert shard._ended, "the lock was held: it was left there"
        monkeypatch.undo()
        return method(self, *args)

    monkeypatch.setattr(Ledger, name, dropping)
    kept = None
    if name == "enter_one":
        enter(limiters, "b")
    elif name == "wake":
        kept = limiters["b"].try_permit()  # its end would let both rest
    else:
        shard.sweep(clock.now())

    assert (shard._ended, "a" in shard.ledger.awake) == ([], False)
    assert (kept is not None) is (name == "wake")
