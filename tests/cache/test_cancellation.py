"""Who computes may be cancelled: then somebody else does, and nobody else notices."""

from __future__ import annotations

import asyncio
import gc
import threading
from itertools import product

import anyio
import pytest

from concutil import Cache
from concutil.testing import cancelled_at
from insides import waiters_of
from patience import eventually

WORLDS = ["thread", "asyncio", "trio"]
LOOPS = ["asyncio", "trio"]


@pytest.mark.parametrize(("leader", "waiter"), list(product(LOOPS, WORLDS)))
def test_a_waiter_takes_over(leader: str, waiter: str, calls) -> None:
    """It calls its own function, and its value is the one that is stored."""
    cache: Cache[str, int] = Cache()
    gate = calls.gate()
    first = calls.lead(leader, cache, "a", lambda: 1, gate)
    second = calls.join(waiter, cache, "a", lambda: 2)
    first.cancel()

    assert second.result() == 2
    assert cache.snapshot() == {"a": 2}
    assert gate.passed == 0
    assert cache.stats().computes == 2
    assert cache.stats().failures == 0


@pytest.mark.parametrize("leader", LOOPS)
def test_one_of_many_takes_over(leader: str, calls) -> None:
    """The others wait for that one: they compute nothing, and see no cancellation."""
    cache: Cache[str, int] = Cache()
    first_gate, second_gate, led = calls.gate(), calls.gate(), []
    first = calls.lead(leader, cache, "a", lambda: 0, first_gate)
    made = [
        calls.join(world, cache, "a", lambda n=n: led.append(n) or n, gate=second_gate)
        for n, world in enumerate(WORLDS * 3, 1)
    ]
    first.cancel()
    second_gate.wait()
    eventually(lambda: len(waiters_of(cache._store.flights["a"])) == 8)
    second_gate.open()

    assert {call.result() for call in made} == set(led)
    assert len(led) == 1
    assert cache["a"] == led[0]


@pytest.mark.parametrize("leaders", [2, 4])
def test_one_after_the_other_is_cancelled(leaders: int, calls) -> None:
    """However often that happens, the next one takes over, and a thread at last."""
    cache: Cache[str, str] = Cache()
    gate = calls.gate()
    leader = calls.lead("trio", cache, "a", lambda: "never", gate)
    for number in range(leaders):
        gate = calls.gate()
        following = calls.join(LOOPS[number % 2], cache, "a", lambda: "no", gate=gate)
        leader.cancel()
        gate.wait()
        leader = following
    last = calls.join("thread", cache, "a", lambda: "last")
    leader.cancel()

    assert last.result() == "last"


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_goes_to_its_caller_alone(
    world: str, error: type[BaseException], calls
) -> None:
    """Ctrl-C and its like end the computation of who gets them; a waiter takes over."""
    cache: Cache[str, int] = Cache()
    gate, raised = threading.Event(), []

    def interrupted() -> int:
        joining.wait(10)
        gate.wait(10)
        raise error

    joining = threading.Event()

    def lead() -> None:
        try:
            cache.get_or_compute("a", interrupted)
        except error as caught:
            raised.append(caught)

    leader = threading.Thread(target=lead)
    leader.start()
    eventually(lambda: "a" in cache._store.flights)
    second = calls.join(world, cache, "a", lambda: 2)
    joining.set()
    gate.set()
    leader.join(10)

    assert second.result() == 2
    assert len(raised) == 1
    assert cache._store.flights == {}


@pytest.mark.parametrize("world", WORLDS)
def test_with_nobody_waiting_it_is_over(world: str, calls) -> None:
    """The next caller computes, as if there had been no call before."""
    cache: Cache[str, int] = Cache()
    gate = calls.gate()
    calls.lead("asyncio", cache, "a", lambda: 1, gate).cancel()

    assert cache._store.flights == {}
    assert len(cache) == 0
    assert calls.start(world, cache, "a", lambda: 2).result() == 2


@pytest.mark.parametrize(("leader", "waiter"), list(product(WORLDS, LOOPS)))
def test_a_cancelled_waiter(leader: str, waiter: str, calls) -> None:
    """It goes, and neither the computation nor others who wait notice that."""
    cache: Cache[str, int] = Cache()
    gate = calls.gate()
    first = calls.lead(leader, cache, "a", lambda: 1, gate)
    second = calls.join(waiter, cache, "a", lambda: 2)
    third = calls.join("thread", cache, "a", lambda: 3)
    second.cancel()
    assert len(waiters_of(cache._store.flights["a"])) == 1
    gate.open()

    assert first.result() == third.result() == 1
    assert cache.stats().computes == 1


@pytest.mark.anyio
@pytest.mark.parametrize("others", [0, 1, 3])
@pytest.mark.parametrize("waits", [False, True], ids=["leads", "waits"])
async def test_cancelled_at_each_point(others: int, waits: bool) -> None:  # noqa: FBT001 - a parameter
    """Wherever leader or waiter is cancelled, nothing is left and others get values."""
    cancelled, n = True, 0
    while cancelled:
        n += 1
        cache: Cache[str, int] = Cache()
        values: list[int] = []
        async with anyio.create_task_group() as group:
            if waits:
                group.start_soon(ask, cache, values)
                await anyio.lowlevel.checkpoint()
            for _ in range(others):
                group.start_soon(ask, cache, values)
            cancelled = await cancelled_at(n, cache.aget_or_compute, "a", slowly)
        assert values == [1] * (others + waits)
        assert cache._store.flights == {}

    assert n >= 2, "it suspends at least once"


async def slowly() -> int:
    """Compute in several steps."""
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
    return 1


async def ask(cache: Cache[str, int], values: list[int]) -> None:
    """Ask for the value."""
    values.append(await cache.aget_or_compute("a", slowly))


def test_a_future_that_is_done_as_its_task_is_cancelled() -> None:
    """A task woken to take over, and cancelled before it ran, passes that on."""
    cache: Cache[str, int] = Cache()

    async def main() -> None:
        async def compute() -> int:
            return await forever

        async def second() -> int:
            return 2

        forever: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        tasks = [
            asyncio.create_task(cache.aget_or_compute("a", fn))
            for fn in (compute, second, second)
        ]
        for _ in range(3):
            await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.sleep(0)  # the leader is gone, and has woken the next
        tasks[1].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(it) for it in results[:2]] == [asyncio.CancelledError] * 2
        assert results[2] == 2

    asyncio.run(main())
    assert cache.snapshot() == {"a": 2}
    assert cache._store.flights == {}


def test_an_item_that_raises_a_cancellation_by_itself(calls) -> None:
    """A `CancelledError` out of nowhere is the leader's own; a waiter takes over."""
    cache: Cache[str, int] = Cache()
    gate = calls.gate()

    def compute() -> int:
        raise asyncio.CancelledError

    first = calls.lead("thread", cache, "a", compute, gate)
    second = calls.join("thread", cache, "a", lambda: 2)
    gate.open()

    with pytest.raises(asyncio.CancelledError):
        first.result()
    assert second.result() == 2


def test_a_task_that_its_closed_loop_left_behind(calls) -> None:
    """Once it is dropped, a thread that waits for it takes over."""
    cache: Cache[str, int] = Cache()
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)  # it complains

    async def compute() -> int:
        await loop.create_future()
        return 1

    task = loop.create_task(cache.aget_or_compute("a", compute))
    loop.run_until_complete(asyncio.sleep(0))
    second = calls.join("thread", cache, "a", lambda: 2)
    loop.close()
    del task
    gc.collect()

    assert second.result() == 2
    assert cache._store.flights == {}


def test_a_waiter_that_its_closed_loop_left_behind(calls) -> None:
    """It is passed over; who waits elsewhere gets the value."""
    cache: Cache[str, int] = Cache()
    gate = calls.gate()
    first = calls.lead("thread", cache, "a", lambda: 1, gate)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)

    async def compute() -> int:
        return 2

    task = loop.create_task(cache.aget_or_compute("a", compute))
    loop.run_until_complete(asyncio.sleep(0))
    third = calls.join("trio", cache, "a", lambda: 3)
    loop.close()
    gate.open()

    assert first.result() == third.result() == 1
    assert not task.done()
    del task
    gc.collect()
    assert cache["a"] == 1


def test_a_coroutine_that_is_never_awaited() -> None:
    """It has begun nothing: the next caller computes."""
    cache: Cache[str, int] = Cache()

    async def compute() -> int:
        return 1

    cache.aget_or_compute("a", compute).close()

    assert cache._store.flights == {}
    assert cache.get_or_compute("a", lambda: 2) == 2


def test_a_computation_dropped_under_the_lock() -> None:
    """The collector may drop it while this thread has the lock: nothing blocks."""
    cache: Cache[str, int] = Cache()

    class Forever:
        def __await__(self):
            yield

    computing = cache.aget_or_compute("a", Forever)
    computing.send(None)
    with cache._store._lock:
        computing.close()
    assert cache.get_or_compute("a", lambda: 2) == 2
    assert cache._store.flights == {}

    computing = cache.aget_or_compute("b", Forever)
    computing.send(None)
    with cache._store._lock:
        computing.close()
        assert len(cache._store.flights) == 1
        assert repr(cache).endswith(": 0 being computed>")
    cache.get_or_compute("c", lambda: 3)
    assert cache._store.flights == {}, "whoever comes next finishes it"


def test_a_lead_that_was_never_entered() -> None:
    """Ctrl-C between the making of a lead and its block leaves nothing behind."""
    cache: Cache[str, int] = Cache()
    lead = cache._store.begin("a")
    assert "a" in cache._store.flights
    del lead

    assert cache._store.flights == {}
    assert cache.get_or_compute("a", lambda: 2) == 2
