"""A cache in a program that forks, or is interrupted."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from concutil import Cache
from concutil._cache import flights
from patience import eventually, threads

WORLDS = ["thread", "asyncio", "trio"]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
# A child of a program with threads is what these tests are about.
forks = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")


@needs_fork
@forks
@pytest.mark.parametrize("world", WORLDS)
def test_nothing_is_being_computed_in_the_child(world: str, calls, in_child) -> None:
    """It computes by itself what the parent is at, and neither disturbs the other."""
    cache: Cache[str, int] = Cache()
    cache["b"] = 2
    gate = calls.gate()
    leader = calls.lead(world, cache, "a", lambda: 1, gate)
    waiter = calls.join("thread", cache, "a", int)

    def check() -> bool:
        before = repr(cache), cache["b"], "a" in cache
        value = cache.get_or_compute("a", lambda: 5)
        return (before, value, cache["a"]) == (
            ("<Cache 1 of 1024: 0 being computed>", 2, False),
            5,
            5,
        )

    assert in_child(check)
    assert "a" not in cache
    gate.open()
    assert leader.result() == waiter.result() == 1


@needs_fork
@forks
def test_a_lock_held_by_another_thread_does_not_stop_the_child(in_child) -> None:
    """A fork while another thread is in the cache's lock leaves a usable child."""
    cache: Cache[str, int] = Cache()
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with cache._store._lock:
            held.set()
            go.wait(10)

    with threads(hold):
        held.wait(10)
        assert in_child(lambda: cache.get_or_compute("a", lambda: 1) == 1)
        go.set()


@needs_fork
@forks
def test_a_fork_inside_of_a_computation() -> None:
    """Its end in the child gives the value; what the child computed anew stays."""
    cache: Cache[str, int] = Cache()
    parent = os.getpid()
    children = []

    def compute() -> int:
        child = os.fork()
        if child:
            children.append(child)
            return 1
        assert cache.get_or_compute("a", lambda: 2) == 2, "of another flight"
        return 3

    try:
        value = cache.get_or_compute("a", compute)
        stored = cache.peek("a")
    finally:
        if os.getpid() != parent:  # pragma: no branch - the child ends here
            os._exit((value, stored) != (3, 2))

    assert (value, stored) == (1, 1)
    (child,) = children
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@needs_fork
@forks
def test_nobody_is_blocked_in_the_child(calls, in_child) -> None:
    """Threads of the parent that wait are no steps of a circle there."""
    cache: Cache[str, int] = Cache()
    gate = calls.gate()
    leader = calls.lead("thread", cache, "a", lambda: 1, gate)

    def check() -> bool:
        return not flights._threads.blocked

    async def main() -> int:
        def fork_when_blocked() -> None:
            eventually(lambda: bool(flights._threads.blocked))
            assert in_child(check)
            gate.open()

        with threads(fork_when_blocked):
            return cache.get_or_compute("a", int)

    assert asyncio.run(main()) == leader.result() == 1
    assert not flights._threads.blocked


@needs_fork
@forks
def test_a_child_and_its_threads(in_child) -> None:
    """Single flight works in the child as in the parent."""
    cache: Cache[str, object] = Cache()

    def check() -> bool:
        values = []
        with threads(*[lambda: values.append(cache.get_or_compute("a", object))] * 4):
            pass
        return len(set(values)) == 1

    assert in_child(check)


INTERRUPTED = """
    import os, signal, threading
    from concutil import Cache

    cache, begun, go = Cache(), threading.Event(), threading.Event()

    def compute():
        begun.set()
        go.wait(10)
        return 1

    def waiting():
        return sum(map(len, list(cache._store.flights["a"].lines.values())))

    def interrupt():
        while not waiting():
            pass
        os.kill(os.getpid(), signal.SIGINT)

    leader = threading.Thread(target=cache.get_or_compute, args=("a", compute))
    leader.start()
    begun.wait(10)
    threading.Thread(target=interrupt).start()
    try:
        cache.get_or_compute("a", int)
    except KeyboardInterrupt:
        print("interrupted", waiting())
    go.set()
    leader.join()
    print(cache["a"])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals differ there")
def test_ctrl_c_while_it_waits() -> None:
    """The main thread stops waiting at once, and who computes goes on."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(INTERRUPTED)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout.split() == ["interrupted", "0", "1"]
