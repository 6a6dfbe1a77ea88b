"""The search that goes on after the gate notes what it did, and what it found."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import deep
from .battery import Subject
from .test_battery import Counted, Miscounted

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep, "SLICE_SCHEDULES_COUNT", 200)


def run(subject: type[Subject], *, slices: int) -> list[deep.Entry]:
    """Search until so many slices are done."""
    seeds: list[int] = []

    def draw() -> int:
        seeds.append(len(seeds))
        return seeds[-1]

    searches = [deep.at_random(subject), deep.exhausting(subject)]
    return deep.go(searches, slices, draw=draw, clock=lambda: len(seeds))


def test_what_was_done_is_counted() -> None:
    """Each search has had its turns, each with a seed of its own."""
    entries = run(Counted, slices=4)
    seeds = [seed for entry in entries for seed in entry.seeds]
    assert len(seeds) == len(set(seeds)) == 4
    for entry in entries:
        assert entry.found is None
        assert min(entry.programs, entry.schedules, entry.steps) > 0


def test_a_finding_is_noted_with_what_replays_it() -> None:
    """A search that finds something ends, and says how to see it again."""
    found, _ = run(Miscounted, slices=6)
    assert found.found is not None
    assert "replay(program, {" in found.found
    assert len(found.seeds) == 1


def test_the_ledger_grows_by_a_line_for_each_search(tmp_path: Path) -> None:
    """A run adds its entries behind those that are there."""
    ledger = tmp_path / "ledger.jsonl"
    assert list(deep.read(ledger)) == []
    entries = run(Counted, slices=2)
    deep.write(entries, ledger)
    deep.write(entries, ledger)
    lines = list(deep.read(ledger))
    assert len(lines) == 2 * len(entries)
    assert {line["source"] for line in lines} == {deep.source_hash()}


def test_the_committed_ledger_can_be_read() -> None:
    """Every line says which sources were searched how much."""
    for line in deep.read(deep.LEDGER):
        assert line["source"]
        assert line["seeds"]
        assert line["schedules"] > 0 or line["found"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("60m", 3600), ("2h", 7200)]
)
def test_times_have_units(text: str, seconds: int) -> None:
    """A time is given in seconds, minutes or hours."""
    assert deep.seconds_of(text) == seconds


def test_a_time_without_a_unit_is_refused() -> None:
    """A bare number could mean anything."""
    with pytest.raises(ValueError, match="s, m or h"):
        deep.seconds_of("60")
