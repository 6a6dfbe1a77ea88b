"""The cancellation sweep finds what it is there to find."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from . import planted_queues as planted
from .scenario import FullHouse
from .sweep import NothingSwept, Report, sweep
from .ways import WAYS

ALL = {backend: set(ways) for backend, ways in WAYS.items()}


def swept(room: type[planted.Place]) -> Report:
    return sweep(room.__name__, lambda: FullHouse(room, room.look))


@pytest.mark.canary
@pytest.mark.parametrize(
    "room", [planted.WakesTheDead, planted.CountsTheDead, planted.KeepsBookedTime]
)
def test_plain_leaks_are_found_in_every_way(
    room: type[planted.Place], tell: Callable[[object], None]
) -> None:
    """Whatever a cancelled call leaves behind is found, however it was cancelled."""
    report = swept(room)
    tell(report)
    assert {backend: report.ways(backend) for backend in report.points} == ALL


@pytest.mark.canary
def test_unprotected_await_is_found(tell: Callable[[object], None]) -> None:
    """A place taken before an unprotected await is lost when that is cancelled."""
    report = swept(planted.LeaksAfterTaking)
    tell(report)
    # On asyncio a sibling's error comes when a bare yield is over already.
    assert report.ways("asyncio") == ALL["asyncio"] - {"sibling"}
    assert report.ways("trio") == ALL["trio"]
    assert {point.at for point in report.found} == {2}


@pytest.mark.canary
def test_kept_hand_over_is_found_by_late_only(tell: Callable[[object], None]) -> None:
    """Only cancellation after the wake-up reaches the code that passes a place on."""
    report = swept(planted.KeepsWhatItWasHanded)
    tell(report)
    assert report.ways("asyncio") == {"late"}
    assert not report.ways("trio")


@pytest.mark.canary
def test_handler_of_cancellation_alone_is_found(
    tell: Callable[[object], None],
) -> None:
    """Undoing only what the loop calls a cancellation is found by what is thrown."""
    report = swept(planted.MindsOnlyCancellation)
    tell(report)
    assert report.ways("asyncio") == report.ways("trio") == {"thrown", "abandoned"}


@pytest.mark.canary
@pytest.mark.parametrize(
    "room", [planted.Place, planted.GuardsAfterTaking, planted.BooksWhenDue]
)
def test_corrected_twins_are_clean(
    room: type[planted.Place], tell: Callable[[object], None]
) -> None:
    """Nothing is found where nothing was planted, though every strike hit."""
    report = swept(room)
    tell(report)
    assert not report.found, report
    assert report.cut >= sum(len(ways) for ways in WAYS.values())


def test_operation_that_never_suspends_is_refused() -> None:
    """An operation that needn't wait can't be swept, and that is said."""

    class Free(planted.Place):
        async def __aenter__(self) -> None: ...

        def _pass_on(self) -> None: ...

    with pytest.raises(NothingSwept, match="never suspends"):
        swept(Free)


class Fickle(FullHouse[planted.Place]):
    """Waits only in the first runs."""

    runs = 0

    def __init__(self) -> None:
        super().__init__(planted.Place, planted.Place.look)
        Fickle.runs += 1
        self.waits = Fickle.runs < 4

    async def operation(self) -> None:
        if self.waits:
            await super().operation()


def test_suspension_that_does_not_come_again_is_found() -> None:
    """A scenario that isn't the same in each run is not taken for a clean one."""
    report = sweep("Fickle", Fickle, backends=["asyncio"])
    assert "suspension 1 did not come again" in str(report)


def test_error_of_the_operation_is_found() -> None:
    """An operation that ends in an error of its own when cancelled is found."""

    class Raises(planted.Place):
        def _give_up(self, turn: anyio.Event, exc: BaseException) -> None:
            super()._give_up(turn, exc)
            raise LookupError("undone twice")

    report = swept(Raises)
    assert report.ways("asyncio") == ALL["asyncio"]
    assert "LookupError: undone twice" in str(report)


def test_swallowed_cancellation_is_held_to_an_untouched_run() -> None:
    """Who returns in spite of a cancellation must have done all of the work."""

    class Swallows(planted.Place):
        async def __aenter__(self) -> None:
            with anyio.CancelScope(shield=True):
                await super().__aenter__()

    report = swept(Swallows)
    assert not report.ways("trio"), report
