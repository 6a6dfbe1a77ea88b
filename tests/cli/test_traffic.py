import sys
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest

from concutil._cli import crew
from concutil._cli.crew import TrafficError, Work
from concutil._cli.server import Ledger
from concutil._cli.traffic import (
    CLIENTS_PER_WORLD,
    THREADS,
    Contender,
    Outcome,
    run_traffic,
)

PLENTY = 1_000_000


def free() -> nullcontext[None]:
    """Let in at once, thread or task."""
    return nullcontext()


FREE = Contender("free", free, {"asyncio": free, "trio": free})


def run(
    contender: Contender,
    *,
    calls: int,
    look: Callable[[Outcome], object] = bool,
    seconds: float = 5.0,
) -> Outcome:
    """Run traffic to a server that refuses nobody."""
    return run_traffic(
        contender, Ledger(PLENTY), calls=calls, seconds=seconds, port=0, look=look
    )


@pytest.fixture
def short_switches() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("short_switches")
def test_each_call_is_taken_once() -> None:
    """Threads that take calls at the same time take exactly as many as there are."""
    work = Work(500)

    def take_all(_: int) -> int:
        taken = 0
        while work.take():
            taken += 1
        return taken

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(take_all, range(4))) == 500


def test_a_call_that_was_put_back_is_taken_again() -> None:
    """Who couldn't make a call gives it back, unless all calls were called off."""
    work = Work(1)
    assert work.take()
    work.put_back()
    assert [work.take(), work.take()] == [True, False]
    work.stop()
    work.put_back()
    assert not work.take()


def test_all_worlds_share_the_calls() -> None:
    """Threads and the tasks of both loops make all calls between them, and no more."""
    outcome = run(FREE, calls=200)
    by_world = [outcome.answered(world) for world in (THREADS, "asyncio", "trio")]
    assert sum(by_world) == outcome.tally.answered == outcome.tally.arrived == 200


def test_clients_and_server_count_refusals_alike() -> None:
    """Each call that the server refuses is seen by its client as a refusal."""
    outcome = run_traffic(FREE, Ledger(5), calls=50, seconds=5, port=0, look=bool)
    assert outcome.tally == (50, 50, 50, 45, 45)


def test_permits_say_when_they_were_granted() -> None:
    """A grant lies between asking plus the wait, and the moment of being let in."""

    class Held:
        waited = 0.0

    outcome = run(Contender("held", lambda: nullcontext(Held()), {}), calls=20)
    assert len(outcome.grants) == 20
    assert all(grant.earliest <= grant.latest for grant in outcome.grants)


def test_no_permit_no_grant() -> None:
    """A limiter that hands out nothing leaves nothing to judge."""
    assert run(FREE, calls=20).grants == []


@pytest.mark.parametrize("world", [THREADS, "asyncio", "trio"])
def test_a_failing_client_ends_the_run(world: str) -> None:
    """One client that fails ends all others, and the error says what happened."""

    def broken() -> nullcontext[None]:
        raise OSError("out of sockets")

    threads = broken if world == THREADS else free
    tasks = {loop: broken if world == loop else free for loop in FREE.tasks}
    with pytest.raises(TrafficError, match="out of sockets") as caught:
        run(Contender("broken", threads, tasks), calls=PLENTY)
    assert isinstance(caught.value.__cause__, OSError)


def test_whoever_looks_may_end_the_run() -> None:
    """What `look` raises comes through when all clients have ended."""

    def interrupt(outcome: Outcome) -> None:
        if outcome.tally.answered:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(FREE, calls=PLENTY, look=interrupt)


def gate_for_threads(
    opened: threading.Event,
) -> Callable[[], AbstractContextManager[None]]:
    """Return a gate that lets threads in once *opened* is set."""

    @contextmanager
    def gate() -> Generator[None, None, None]:
        opened.wait()
        yield

    return gate


def test_late_calls_are_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time a run begins no call any more, but ends those that it began."""
    monkeypatch.setattr(crew, "_PATIENCE_S", 0.0)
    opened = threading.Event()
    looks = iter(range(PLENTY))

    def open_later(_: Outcome) -> None:
        if next(looks) == 1:  # by then the run has looked at its time
            opened.set()

    gate = gate_for_threads(opened)
    outcome = run(Contender("late", gate, {}), calls=100, look=open_later, seconds=0)
    assert outcome.tally.planned == 100
    assert outcome.tally.answered == outcome.tally.arrived == CLIENTS_PER_WORLD


def test_a_client_that_is_never_let_in_hangs_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A limiter that lets nobody in is an error soon after the planned time."""
    monkeypatch.setattr(crew, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(crew, "_GRACE_S", 0.05)
    opened = threading.Event()
    stuck = f"{CLIENTS_PER_WORLD} clients still wait"
    try:
        with pytest.raises(TrafficError, match=stuck):
            run(Contender("stuck", gate_for_threads(opened), {}), calls=9, seconds=0)
    finally:
        opened.set()
        for thread in threading.enumerate():
            if thread.name.startswith("concutil-demo"):
                thread.join()
