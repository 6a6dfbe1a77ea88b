"""Mutants are made where there is something to break, and live where nobody looks."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from .mutant_runs import BatteryBroken, Subject, run
from .mutants import Mutant, mutants_of

HERE = Path(__file__).parent
FLIGHTS = HERE / "planted_flights"
# Under one lock nobody can see the order; a new gate is nobody's before it is stored.
EXPLAINED = {
    "Flights.get: swapped with the next: `gate.acquire()`": (
        "whoever opens the gate needs the lock first, which is held"
    ),
    "Flights.invalidate: swapped with the next: `self.values.pop(key, None)`": (
        "both happen under the lock"
    ),
}


def flights(*scenarios: str, limit_s: float = 60.0) -> Subject:
    command = ("-m", "instruments.flights_battery", *scenarios)
    return Subject(FLIGHTS, "flights.py", command, limit_s)


def named(part: str) -> list[Mutant]:
    return [mutant for mutant in flights().mutants() if part in mutant.name]


def bodies(body: str) -> dict[str, str]:
    """Return what each mutant makes of *body*, the body of a function f."""
    source = f"def f(self):\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}"
    made = {}
    for mutant in mutants_of(source):
        lines = mutant.source.splitlines()[1:]
        made[mutant.name.removeprefix("f: ")] = textwrap.dedent("\n".join(lines))
    return made


@pytest.mark.parametrize(
    ("body", "name", "mutated"),
    [
        ("with self.lock:\n a = 1", "lock not taken: `with self.lock:`", "a = 1"),
        ("waiter.wake()", "wake-up not given: `waiter.wake()`", "pass"),
        (
            "if not waiter.wake():\n return",
            "wake-up not given: `if not waiter.wake():`",
            "if not True:\n    return",
        ),
        (
            "try:\n a()\nfinally:\n b()",
            "finally emptied: `b()`",
            "try:\n    a()\nfinally:\n    pass",
        ),
        (
            "try:\n a()\nexcept BaseException:\n b()\n raise",
            "handler narrowed: `b()`",
            "try:\n    a()\nexcept Exception:\n    b()\n    raise",
        ),
        (
            "try:\n a()\nexcept BaseException:\n b()\n raise",
            "handler only raises: `b()`",
            "try:\n    a()\nexcept BaseException:\n    raise",
        ),
        ("while a:\n b()", "while -> if: `while a:`", "while a:\n    b()\n    break"),
        (
            "with self.lock:\n a = 1\n b = 2",
            "swapped with the next: `a = 1`",
            "with self.lock:\n    b = 2\n    a = 1",
        ),
        (
            "a = now()\nwith self.lock:\n b()",
            "swapped with the next: `a = now()`",
            "with self.lock:\n    b()\na = now()",
        ),
        ("self.free += 1", "not counted: `self.free += 1`", "pass"),
        ("del self.queue[me]", "not removed: `del self.queue[me]`", "pass"),
        ("self.queue.remove(me)", "not given back: `self.queue.remove(me)`", "pass"),
        (
            "if full:\n self.free += 1",
            "as if never: `if full:`",
            "if False:\n    self.free += 1",
        ),
    ],
)
def test_each_operator_breaks_one_thing(body: str, name: str, mutated: str) -> None:
    """A lock, a wake-up, a clean-up, a second look or an order is taken away."""
    assert bodies(body)[name] == mutated


def test_statements_without_a_lock_keep_their_order() -> None:
    """Only under a lock, or around it, is the order of statements a mutant's matter."""
    assert not bodies("a = 1\nb = 2")


def test_names_are_stable() -> None:
    """Names tell function and statement, not the line; what is twice is numbered."""
    names = [m.name for m in mutants_of("class A:\n  def f(s):\n    x()\n" * 1)]
    assert not names
    source = "class A:\n  def f(s):\n    s.n += 1\n    y()\n    s.n += 1\n"
    wanted = ["A.f: not counted: `s.n += 1`", "A.f: not counted: `s.n += 1` (2)"]
    assert [mutant.name for mutant in mutants_of(source)] == wanted
    assert [mutant.name for mutant in mutants_of(f"\n\n# moved\n{source}")] == wanted


def test_mutants_compile_and_differ() -> None:
    """Each mutant is a module of its own."""
    sources = [mutant.source for mutant in flights().mutants()]
    assert len(sources) == len(set(sources)) >= 20
    for source in sources:
        ast.parse(source)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_good_battery_kills_all(tell: Callable[[object], None]) -> None:
    """Whatever is broken in a small cache is noticed, but for what can't be seen."""
    report = run(flights(), EXPLAINED, again=True)
    tell(report)
    assert report.names("survived") == []
    assert set(report.names("explained")) == EXPLAINED.keys()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_poor_battery_lets_one_live(tell: Callable[[object], None]) -> None:
    """What no test looks at lives, and that is told."""
    handlers = named("handler")
    report = run(flights("once", "invalidated"), {}, mutants=handlers)
    tell(report)
    assert report.names("survived") == [mutant.name for mutant in handlers]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_mutant_that_hangs_is_killed_by_time() -> None:
    """A mutant that never ends is killed, and so is what it has started."""
    endless = Mutant("endless", "while True: pass")
    report = run(flights("once", limit_s=10.0), {}, mutants=[endless])
    assert report.names("killed by time") == ["endless"]


@pytest.mark.slow
def test_battery_that_fails_anyway_is_refused() -> None:
    """Tests that fail without a mutant would kill all of them."""
    with pytest.raises(BatteryBroken, match="KeyError: 'no such'"):
        run(flights("no such"), {}, mutants=[])


def test_explanation_of_nothing_is_refused() -> None:
    """An explanation whose statement is gone has to go as well."""
    with pytest.raises(BatteryBroken, match="no such mutants"):
        run(flights(), {"gone": "it was"})


@pytest.mark.slow
def test_explained_mutants_are_not_run_again() -> None:
    """What is explained costs nothing, unless it is asked for."""
    known = [mutant for mutant in flights().mutants() if mutant.name in EXPLAINED]
    report = run(flights("once"), EXPLAINED, mutants=known)
    assert report.names("explained") == [mutant.name for mutant in known]
    assert not any(result.seconds for result in report.results)
