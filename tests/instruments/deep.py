"""Goes on where the gate ends: searches until a time is over, with fresh seeds.

    python -m instruments.deep 60m

What was done goes into the ledger, `ledger.jsonl`, one line for each search of a run:
the sources that were searched, the seeds, the counts, and what was found, with what
replays it. Commit it, so that nobody searches the same again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import Any, Final, final

import concutil

from .battery import HOLD_S, Subject, exhaust_one, plans, try_at_random
from .cache_fire import fire
from .histories import from_schedules
from .recorder import Trial

LEDGER: Final = Path(__file__).with_name("ledger.jsonl")
SLICE_SCHEDULES_COUNT: Final = 5_000  # of a random search, before the next has its turn
SLICE_HISTORIES_COUNT: Final = 2_000
SLICE_S: Final = 10.0  # of real threads
_SEED_BITS: Final = 32
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600}


@final
@dataclass
class Entry:
    """One search of one run, as a line of the ledger."""

    search: str
    when: str
    python: str
    source: str
    seeds: list[int] = field(default_factory=list)
    programs: int = 0
    schedules: int = 0
    steps: int = 0
    seconds: float = 0.0
    found: str | None = None

    def line(self) -> str:
        return json.dumps({**vars(self), "seconds": round(self.seconds, 1)})


@final
@dataclass(frozen=True)
class Search:
    """Something that can be searched for ever, a slice at a time.

    Attributes:
        name: What the ledger calls it.
        slice: Searches for a while from a seed; returns programs, schedules and steps,
            and raises AssertionError with what replays a failure.
    """

    name: str
    slice: Callable[[int], tuple[int, int, int]]


def at_random(subject: type[Subject]) -> Search:
    """Return the search for failures in random programs."""

    def search(seed: int) -> tuple[int, int, int]:
        done = try_at_random(subject, schedules=SLICE_SCHEDULES_COUNT, seed=seed)
        return done.programs, done.schedules, done.steps

    return Search(f"{subject.__name__}, random and pct", search)


def exhausting(subject: type[Subject]) -> Search:
    """Return the search of all schedules of programs too dear for the gate."""

    def search(seed: int) -> tuple[int, int, int]:
        rng = random.Random(seed)
        threads, length, bound, grain = rng.choice([
            (2, 1, 2, "line"),
            (2, 2, 1, "bytecode"),
            (2, 2, 3, "lock"),
            (3, 1, 2, "lock"),
            (3, 2, 1, "lock"),
        ])
        plan = rng.choice(plans(subject.alphabet, threads=threads, length=length))
        held = rng.choice([0.0, HOLD_S])
        done = exhaust_one(subject, plan, bound=bound, held=held, grain=grain)
        return done.programs, done.schedules, done.steps

    return Search(f"{subject.__name__}, all schedules of a program", search)


def under_fire() -> Search:
    """Return the search by real threads, whose keys are compared by Python code."""

    def search(seed: int) -> tuple[int, int, int]:
        return 1, 1, fire(seed, SLICE_S)

    return Search("Cache, under fire", search)


def histories_of(trial: Trial[Any]) -> Search:
    """Return the search for histories that have no order."""

    def search(seed: int) -> tuple[int, int, int]:
        done = from_schedules(trial, histories=SLICE_HISTORIES_COUNT, seed=seed)
        assert done.failure is None, done.failure
        return done.programs, done.histories, done.calls

    return Search(f"{trial.name}, histories", search)


def go(
    searches: Sequence[Search],
    seconds: float,
    *,
    draw: Callable[[], int],
    clock: Callable[[], float] = perf_counter,
) -> list[Entry]:
    """Search in turns until *seconds* are over; a search that finds something ends.

    Returns:
        What each of them did.
    """
    about = {
        "when": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M"),
        "python": platform.python_version(),
        "source": source_hash(),
    }
    entries = {search.name: Entry(search=search.name, **about) for search in searches}
    begun = clock()
    while clock() - begun < seconds and not all(it.found for it in entries.values()):
        for search in searches:
            entry = entries[search.name]
            if entry.found is None and clock() - begun < seconds:
                _add_slice(entry, search, draw(), clock)
    return list(entries.values())


def _add_slice(
    entry: Entry, search: Search, seed: int, clock: Callable[[], float]
) -> None:
    begun = clock()
    entry.seeds.append(seed)
    try:
        programs, schedules, steps = search.slice(seed)
    except AssertionError as error:
        entry.found = str(error)
    else:
        entry.programs += programs
        entry.schedules += schedules
        entry.steps += steps
    entry.seconds += clock() - begun


def source_hash() -> str:
    """Return what tells one state of the library's sources from another."""
    root = Path(concutil.__file__).parent
    whole = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        whole.update(path.relative_to(root).as_posix().encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()[:12]


def seconds_of(text: str) -> float:
    """Return the seconds in texts like "90s", "60m" and "2h".

    Raises:
        ValueError: If it is none.
    """
    found = re.fullmatch(r"(\d+)([smh])", text)
    if found is None:
        raise ValueError(f"a time is a number with s, m or h behind it, not {text!r}")
    return int(found[1]) * _UNITS[found[2]]


def write(entries: Iterable[Entry], ledger: Path) -> None:
    """Add *entries* to *ledger*."""
    with ledger.open("a", encoding="utf-8") as file:
        file.writelines(f"{entry.line()}\n" for entry in entries)


def read(ledger: Path) -> Iterator[dict[str, Any]]:
    """Return the entries of *ledger*."""
    with suppress(FileNotFoundError):
        for line in ledger.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


def main(arguments: Sequence[str]) -> int:
    """Search for as long as *arguments* say; return 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__, prog="deep")
    parser.add_argument("time", type=seconds_of, help="such as 60m")
    parser.add_argument("--ledger", type=Path, default=LEDGER)
    options = parser.parse_args(arguments)
    went = go(_all(), options.time, draw=lambda: random.getrandbits(_SEED_BITS))
    entries = [entry for entry in went if entry.seeds]
    write(entries, options.ledger)
    for entry in entries:
        rate = entry.schedules / max(entry.seconds, 1e-9)
        sys.stdout.write(
            f"{entry.search}: {entry.programs:,} programs, {entry.schedules:,}"
            f" schedules, {entry.steps:,} steps, {rate:,.0f}/s:"
            f" {entry.found or 'nothing found'}\n"
        )
    return 1 if any(entry.found for entry in entries) else 0


def _all() -> list[Search]:
    from .cache_circles import Circling
    from .cache_desk import SCHEDULES
    from .cache_subjects import SUBJECTS
    from .test_limiter_schedules import Placed, Rated, RatedAndPlaced
    from .test_retry_schedules import Budgeted, Retrying

    subjects = (
        *(Rated, Placed, RatedAndPlaced, Budgeted, Retrying),
        *(*SUBJECTS, Circling),
    )
    return [
        *(make(subject) for make in (at_random, exhausting) for subject in subjects),
        histories_of(SCHEDULES),
        under_fire(),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
