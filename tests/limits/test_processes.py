"""A limiter in a program that forks, is interrupted, or ends."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable

import pytest

from concutil import RateLimiter
from patience import eventually, threads

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
# A child of a program with threads is what these tests are about.
forks = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")


def in_child(check: Callable[[], bool]) -> bool:
    """Return what *check* returns in a forked child."""
    pid = os.fork()
    if pid == 0:
        result = False
        try:
            result = check()
        finally:
            os._exit(not result)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@needs_fork
@forks
def test_a_child_finds_nobody_inside_or_waiting() -> None:
    """After a fork in the middle of a wait the child uses the limiter at once."""
    limiter = RateLimiter("100/s", max_concurrent=1, burst=5)

    def fresh() -> bool:
        stats = limiter.stats()
        with limiter:
            inside = limiter.stats().in_flight
        return (stats.waiting, stats.in_flight, inside) == (0, 0, 1)

    def enter() -> None:
        with limiter:
            pass

    limiter.__enter__()
    with threads(enter, enter):
        eventually(lambda: limiter.stats().waiting == 2)
        assert in_child(fresh)
        assert limiter.stats().waiting == 2
        limiter.__exit__(None, None, None)

    assert limiter.stats().in_flight == 0


@needs_fork
@forks
def test_a_lock_held_by_another_thread_does_not_stop_the_child() -> None:
    """A fork while another thread is in a limiter's lock leaves a usable child."""
    limiter, held, go = RateLimiter("100/s"), threading.Event(), threading.Event()

    def hold() -> None:
        with limiter._gate.lock:
            held.set()
            go.wait(10)

    with threads(hold):
        held.wait(10)
        assert in_child(lambda: limiter.try_permit() is not None)
        go.set()


@needs_fork
@forks
def test_what_the_parent_entered_releases_nothing_in_the_child() -> None:
    """Blocks and permits from before the fork leave the child's places alone."""
    limiter = RateLimiter(max_concurrent=2)
    old = limiter.permit().wait()

    def check() -> bool:
        inside = limiter.try_permit()
        old.release()  # of the parent
        limiter.__exit__(None, None, None)  # the block that the parent had entered
        return inside is not None and limiter.stats().in_flight == 1

    with limiter:
        assert in_child(check)
        assert limiter.stats().in_flight == 2
    old.release()
    assert limiter.stats().in_flight == 0


@needs_fork
@forks
def test_the_rates_go_on_in_the_child() -> None:
    """A fork is no way round a rate: what was spent is spent in the child too."""
    limiter = RateLimiter("1/h")
    limiter.permit().wait()

    assert in_child(lambda: limiter.try_permit() is None)


def program(text: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run *text* as a program of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(text), *args],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals differ there")
@pytest.mark.parametrize("options", ["max_concurrent=1", "calls_per_second=1e-3"])
def test_ctrl_c_ends_a_wait_and_leaves_nothing(options: str) -> None:
    """Ctrl-C in the waiting main thread is prompt, and whoever is behind moves up."""
    result = program(
        f"""
        import os, signal, sys, threading, time
        from concutil import RateLimiter

        limiter = RateLimiter({options}, slack=0)
        taken = limiter.permit().wait()
        main = threading.get_ident()

        def interrupt():
            while sys._current_frames()[main].f_code.co_name != "block":
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        before = limiter.stats().next_in
        begin = time.monotonic()
        try:
            with limiter:
                print("entered")
        except KeyboardInterrupt:
            stats = limiter.stats()
            print(stats.waiting, stats.cancelled, time.monotonic() - begin < 2)
        taken.release()
        print(limiter.stats().in_flight, limiter.stats().next_in <= before)
        """
    )

    assert (result.stdout, result.stderr) == ("0 1 True\n0 True\n", "")


@pytest.mark.slow
def test_a_program_ends_while_threads_wait() -> None:
    """A daemon thread in the queue doesn't keep the interpreter from ending."""
    result = program(
        """
        import threading, time
        from concutil import RateLimiter

        limiter = RateLimiter(calls_per_second=1e-3, max_concurrent=1)
        limiter.__enter__()
        threading.Thread(target=limiter.__enter__, daemon=True).start()
        while limiter.stats().waiting < 1:
            time.sleep(0.001)
        print("end")
        """
    )

    assert (result.returncode, result.stdout, result.stderr) == (0, "end\n", "")
