"""Which modules are mutated, what kills the mutants, and what can't.

Results are written down in `mutants.json`, with a hash of all mutants of a module:
while that fits, nothing has to be run again. `python -m instruments.limiter_mutants`,
called in `tests`, runs all, also those that are explained, and writes it anew; with
names of modules, those.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import concutil

from . import cache_mutants
from .explained_mutants import EXPLAINED
from .mutant_runs import Report, Subject, run

RECORD: Final = Path(__file__).with_name("mutants.json")
_LIMIT_S: Final = 240.0

# Each argument is a run of pytest. Nobody waits long for what a mutant never does, and
# threads that it leaves behind must not keep the process.
_DRIVER: Final = """
import os, sys, patience, pytest
patience.LONG_S = 2.0
for part in sys.argv[1:]:
    code = pytest.main(part.split())
    if code:
        break
sys.stdout.flush()
os._exit(code)
"""
_OPTIONS: Final = "-x -q --no-header -p no:cacheprovider --timeout-method=thread"
_HISTORIES: Final = "instruments/test_limiter_histories.py::test_results_have_an_order"

# What kills most mutants of a module, the quickest to do so first.
FIRST: Final[dict[str, Sequence[str]]] = {
    "_runtime/waiters.py": ("runtime/test_waiters.py",),
    "_runtime/on_threads.py": ("runtime/test_waiters.py", "limits/test_threads.py"),
    "_runtime/on_asyncio.py": ("runtime/test_waiters.py", "limits/test_asyncio.py"),
    "_runtime/on_trio.py": ("runtime/test_waiters.py", "limits/test_trio.py"),
    "_limits/face.py": (
        "limits/test_changes.py",
        "runtime/test_events.py::test_a_pause_is_told",
    ),
    "_limits/gate.py": (
        *("limits/test_threads.py", "limits/test_asyncio.py", "limits/test_changes.py"),
        _HISTORIES,
    ),
    "_limits/permit.py": (
        *("limits/test_threads.py", "limits/test_costs.py", "limits/test_tasks.py"),
    ),
    "_limits/limiter.py": (
        *("limits/test_options.py", "limits/test_changes.py"),
        *("limits/test_asyncio.py", "limits/test_threads.py"),
    ),
    "_limits/shard.py": (
        "limits/test_keyed.py",
        "instruments/test_keyed_schedules.py",
    ),
    "_limits/shards.py": (
        "limits/test_keyed.py",
        "instruments/test_keyed_schedules.py",
    ),
    "_limits/view.py": ("limits/test_keyed.py", "limits/test_keyed_worlds.py"),
    "_core/admission.py": ("core/test_admission.py", "limits/test_changes.py"),
    "_core/buckets.py": ("core/test_buckets.py",),
    "_core/ledger.py": ("core/test_ledger.py", "limits/test_keyed.py"),
    "_core/ticket.py": ("limits/test_costs.py",),
}
MODULES: Final = (*FIRST, *cache_mutants.FIRST)
# What is run when these let a mutant live.
_THEN: Final = (
    *("runtime/test_waiters.py", "limits/test_threads.py", "limits/test_changes.py"),
    *("limits/test_costs.py", "limits/test_asyncio.py", "limits/test_trio.py"),
    *("limits/test_tasks.py", "limits/test_worlds.py", "limits/test_keyed.py"),
    "limits/test_keyed_worlds.py",
    *("core/test_admission.py", "core/test_buckets.py", "core/test_ledger.py"),
    *("limits/test_keyed_model.py", "instruments/test_limiter_sweep.py"),
    *("instruments/test_limiter_timeline.py", _HISTORIES),
)


def subject(module: str) -> Subject:
    """Return *module* with the tests that should kill its mutants."""
    of_caches = module in cache_mutants.FIRST
    first = cache_mutants.FIRST[module] if of_caches else FIRST[module]
    whole = cache_mutants.THEN if of_caches else _THEN
    then = [name for name in whole if name not in first]
    # The first tests take a second each, or a few: what hangs is to be noticed soon.
    limits = (20, 60) if of_caches else (5, 20)
    parts = [
        f"{_OPTIONS} --timeout={limit} {' '.join(f'tests/{name}' for name in names)}"
        for limit, names in zip(limits, (first, then), strict=True)
    ]
    package = Path(concutil.__file__).parent
    return Subject(package, module, ("-c", _DRIVER, *parts), _LIMIT_S)


def explained(module: str) -> dict[str, str]:
    """Return why mutants of *module* are no faults, by name."""
    return EXPLAINED.get(module, {})


def fingerprint(module: str) -> str:
    """Return a hash of all mutants of *module*: comments don't change it."""
    digest = hashlib.sha256()
    for mutant in subject(module).mutants():
        digest.update(f"{mutant.name}\n{mutant.source}\n".encode())
    return digest.hexdigest()


def is_recorded(module: str) -> bool:
    """Whether all mutants of *module*, as it is now, were killed or are explained."""
    record = _recorded().get(module, {})
    return (
        record.get("hash") == fingerprint(module)
        and set(record["lived"]) == explained(module).keys()
    )


def recorded(module: str) -> str:
    """Return what the record says of *module*."""
    record = _recorded()[module]
    return (
        f"{module}: {record['killed']} mutants killed and {len(record['lived'])}"
        " explained, as recorded"
    )


def _recorded() -> dict[str, Any]:
    if not RECORD.exists():
        return {}
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


def write_down(reports: Iterable[Report]) -> None:
    """Put *reports* in the record."""
    record = _recorded()
    for report in reports:
        record[report.module] = {
            "hash": fingerprint(report.module),
            "killed": len(report.names("killed", "killed by time")),
            "lived": sorted(report.names("explained", "survived")),
        }
    text = json.dumps(dict(sorted(record.items())), indent=2)
    RECORD.write_text(text + "\n", encoding="utf-8")


def run_all(modules: Iterable[str] = MODULES) -> Iterator[Report]:
    """Run all mutants of *modules*, explained or not, and write down the results."""
    for module in modules:
        report = run(subject(module), explained(module), again=True, hear=_say)
        write_down([report])
        yield report


def main(modules: Sequence[str]) -> bool:
    """Run and print; return whether a mutant lives that shouldn't, or doesn't."""
    wrong: list[str] = []
    for report in run_all(modules or MODULES):
        _say(report)
        wrong += report.names("survived")
        stale = explained(report.module).keys() - set(report.names("explained"))
        wrong += [f"explained, but killed: {name}" for name in stale]
    _say("\n".join(wrong))
    return bool(wrong)


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
