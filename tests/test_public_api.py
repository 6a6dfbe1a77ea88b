"""Every public name keeps the promises that all of them make."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
import sys
import typing
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import concutil
from concutil import (
    Attempt,
    Cache,
    CacheStats,
    ConcutilError,
    KeyedRateLimiter,
    LimiterStats,
    LimiterView,
    Permit,
    Rate,
    RateLimiter,
    RateLimitExceeded,
    RecursiveComputeError,
    Retry,
    RetryBudget,
    retry,
)
from concutil.events import (
    CacheRefreshFailed,
    Event,
    LimiterPaused,
    LimiterRefused,
    LimiterWaited,
    LoopBlocked,
    RetryGaveUp,
    RetryNested,
    RetryScheduled,
    RetrySucceeded,
    Subscription,
    subscribe,
)
from concutil.testing import ManualClock
from public_api import MODULES, RECORDED, described, members, public_objects

pytestmark = pytest.mark.smoke

OBJECTS = public_objects()
CLASSES = {name: value for name, value in OBJECTS.items() if isinstance(value, type)}
DOCUMENTED = OBJECTS | {
    f"{name}.{member}": function
    for name, kind in CLASSES.items()
    for member, content in members(kind).items()
    if inspect.isfunction(function := getattr(content, "__func__", content))
    if not member.startswith("__")  # the docstring of the class speaks for them
    if function.__qualname__ == f"{kind.__name__}.{member}"  # not a base's
}

# Made to be inherited or implemented; every other class is final.
OPEN = {
    "concutil.ConcutilError",  # to catch all of ours
    "concutil.events.Event",  # what hooks are annotated with
    "concutil.testing.Clock",  # a protocol: whoever wants to can write one
}

# In the order in which docstrings have them.
HEADS = (
    *("Args", "Attributes", "Returns", "Yields", "Raises"),
    *("Cancellation", "Threads", "Cost", "Source"),
)

# A class: one of its objects, and what that one shows of itself.
SHOWN: dict[str, tuple[Callable[[], object], str]] = {
    "concutil.Attempt": (
        lambda: next(iter(retry(OSError, name="api"))),
        "<Attempt 1 of retry 'api': new>",
    ),
    "concutil.Cache": (
        lambda: Cache(100, name="pages"),
        "<Cache 'pages' 0 of 100: 0 being computed>",
    ),
    "concutil.CacheStats": (
        lambda: CacheStats(**dict.fromkeys(CacheStats.__slots__, 0)),
        f"CacheStats({', '.join(f'{name}=0' for name in CacheStats.__slots__)})",
    ),
    "concutil.ConcutilError": (lambda: ConcutilError("no"), "ConcutilError('no')"),
    "concutil.KeyedRateLimiter": (
        lambda: KeyedRateLimiter("100/s", name="users"),
        "<KeyedRateLimiter 'users' 100/s burst 1: 0 of 100000 keys>",
    ),
    "concutil.LimiterStats": (
        lambda: LimiterStats(**dict.fromkeys(LimiterStats.__slots__, 0)),
        f"LimiterStats({', '.join(f'{name}=0' for name in LimiterStats.__slots__)})",
    ),
    "concutil.LimiterView": (
        lambda: KeyedRateLimiter("100/s", name="users")["eve"],
        "<limiter 'users' for 'eve', 100/s burst 1: 0 waiting>",
    ),
    "concutil.Permit": (
        lambda: RateLimiter("100/s", name="api").permit(),
        "<Permit of cost 1 from limiter 'api': new>",
    ),
    "concutil.Rate": (lambda: Rate(100), "Rate(100, per=1, burst=1)"),
    "concutil.RateLimitExceeded": (
        lambda: RateLimitExceeded("too late", retry_after=2.5),
        "RateLimitExceeded('too late')",
    ),
    "concutil.RateLimiter": (
        lambda: RateLimiter("100/s", name="api"),
        "<RateLimiter 'api' 100/s burst 1: 0 waiting>",
    ),
    "concutil.RecursiveComputeError": (
        lambda: RecursiveComputeError("a needs a", keys=("a",)),
        "RecursiveComputeError('a needs a')",
    ),
    "concutil.Retry": (
        lambda: retry((OSError, KeyError), name="api"),
        "<Retry 'api' on OSError, KeyError: 5 attempts in 45 s>",
    ),
    "concutil.RetryBudget": (
        RetryBudget,
        "<RetryBudget of 0.2 of requests and 1/s over 10 s: 0 of 10 spent>",
    ),
    "concutil.events.CacheRefreshFailed": (
        lambda: CacheRefreshFailed(cache="pages", key=1, error=OSError("down")),
        "CacheRefreshFailed(cache='pages', error=OSError('down'), key=1)",
    ),
    "concutil.events.LimiterPaused": (
        lambda: LimiterPaused(limiter="api", seconds=2.0),
        "LimiterPaused(limiter='api', seconds=2.0)",
    ),
    "concutil.events.LimiterRefused": (
        lambda: LimiterRefused(limiter="api", cost={"calls": 1.0}, retry_after=2.0),
        "LimiterRefused(cost={'calls': 1.0}, limiter='api', retry_after=2.0)",
    ),
    "concutil.events.LimiterWaited": (
        lambda: LimiterWaited(limiter="api", cost={"calls": 1.0}, waited=0.5),
        "LimiterWaited(cost={'calls': 1.0}, limiter='api', waited=0.5)",
    ),
    "concutil.events.LoopBlocked": (
        lambda: LoopBlocked(limiter=None, policy="api", cache=None),
        "LoopBlocked(cache=None, limiter=None, policy='api')",
    ),
    "concutil.events.RetryGaveUp": (
        lambda: RetryGaveUp(
            policy="api",
            function="fetch",
            attempts=5,
            seconds=2.0,
            error=None,
            reason="budget",
        ),
        (
            "RetryGaveUp(attempts=5, error=None, function='fetch', policy='api',"
            " reason='budget', seconds=2.0)"
        ),
    ),
    "concutil.events.RetryNested": (
        lambda: RetryNested(policy="api", function="fetch", outer=None),
        "RetryNested(function='fetch', outer=None, policy='api')",
    ),
    "concutil.events.RetryScheduled": (
        lambda: RetryScheduled(
            policy=None, function="fetch", attempt=1, error=OSError(5), wait=0.5
        ),
        (
            "RetryScheduled(attempt=1, error=OSError(5), function='fetch', policy=None,"
            " wait=0.5)"
        ),
    ),
    "concutil.events.RetrySucceeded": (
        lambda: RetrySucceeded(policy=None, function="f", attempts=2, seconds=0.5),
        "RetrySucceeded(attempts=2, function='f', policy=None, seconds=0.5)",
    ),
    "concutil.events.Subscription": (
        lambda: unsubscribed(print),
        "<Subscription of <built-in function print>: unsubscribed>",
    ),
    "concutil.testing.ManualClock": (
        lambda: ManualClock(2.5),
        "<ManualClock at 2.5 s: 0 timers>",
    ),
}

# Values and errors, which travel between processes; the others live in one.
TRAVELLING = [
    name
    for name in SHOWN
    if issubclass(CLASSES[name], (ConcutilError, Event, LimiterStats, Rate))
]


def unsubscribed(hook: Callable[[object], object]) -> object:
    """Return a subscription that has ended already."""
    subscription = subscribe(hook)
    subscription()
    return subscription


def heads(doc: str) -> list[str]:
    """Return the heads of a docstring, in the order in which they come."""
    found = re.findall(r"^(\w+):$|^\.\. (versionadded):: \d", doc, re.MULTILINE)
    return [head or directive for head, directive in found]


def lazy_block() -> dict[str, str]:
    """Return the imports that only checkers see: each name and where it lives."""
    tree = ast.parse(Path(concutil.__file__).read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname or "": node.module or alias.name
        for node in imports
        for alias in node.names
    }


def test_the_three_lists_of_public_names_agree() -> None:
    """What checkers see, what `__all__` says and what is loaded is the same."""
    assert lazy_block() == concutil._HOMES
    assert set(concutil.__all__) == {*concutil._HOMES, "__version__"}


def test_dir_shows_exactly_the_public_names() -> None:
    """`dir` is what completion offers, loaded or not."""
    assert dir(concutil) == sorted(concutil.__all__)


def test_an_unknown_name_is_an_ordinary_attribute_error() -> None:
    """A misspelt name says which module hasn't got it."""
    with pytest.raises(
        AttributeError, match="'concutil' has no attribute 'RateLimitr'"
    ):
        _ = concutil.RateLimitr


@pytest.mark.parametrize("module", MODULES)
def test_a_module_lists_its_public_names(module: str) -> None:
    """`__all__` is a tuple without repeats, and each of its names is there."""
    names = import_module(module).__all__

    assert isinstance(names, tuple)
    assert len(set(names)) == len(names)
    assert all(hasattr(import_module(module), name) for name in names)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_docstring_has_its_heads_in_order(name: str) -> None:
    """The heads that a docstring has come in the order that all of them keep."""
    found = heads(inspect.getdoc(DOCUMENTED[name]) or "")

    assert found, "no heads at all"
    assert found[-1] == "versionadded"
    assert found[:-1] == [head for head in HEADS if head in found]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_docstring_tells_of_each_argument(name: str) -> None:
    """Under Args stands every parameter of the signature and nothing else."""
    value = DOCUMENTED[name]
    doc = f"{inspect.getdoc(value)}\n"
    part = re.search(r"^Args:\n((?: .*\n|\n)+)", doc, re.MULTILINE)

    told = re.findall(r"^    (\*{0,2}\w+):", part[1] if part else "", re.MULTILINE)

    assert told == (parameters(value) if made_by_users(value) else [])


def parameters(value: Any) -> list[str]:
    """Return what *value* takes, as docstrings write it."""
    stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
    return [
        stars.get(parameter.kind.name, "") + name
        for name, parameter in inspect.signature(value).parameters.items()
        if name not in {"self", "cls"}
    ]


def made_by_users(value: Any) -> bool:
    """Return whether users call *value*: not what only we make."""
    if not isinstance(value, type):
        return True
    records = (Event, CacheStats, LimiterStats)
    ours = (*records, BaseException, Attempt, LimiterView, Permit, Retry, Subscription)
    return not (issubclass(value, ours) or getattr(value, "_is_protocol", False))


@pytest.mark.parametrize("name", DOCUMENTED)
def test_what_waits_says_how_it_is_cancelled_and_shared(name: str) -> None:
    """Who can be awaited or entered tells of cancellation and threads."""
    value = DOCUMENTED[name]
    waits = inspect.iscoroutinefunction(value) or any(
        hasattr(value, face) for face in ("__await__", "__aenter__", "__anext__")
    )

    assert not waits or {"Cancellation", "Threads"} <= set(
        heads(inspect.getdoc(value) or "")
    )


@pytest.mark.parametrize("name", OBJECTS)
def test_annotations_resolve(name: str) -> None:
    """`typing.get_type_hints` works on all that is exported, members included."""
    value = OBJECTS[name]
    inner = members(value).values() if isinstance(value, type) else ()

    typing.get_type_hints(value)
    for member in inner:
        function = getattr(member, "fget", getattr(member, "__func__", member))
        if inspect.isfunction(function):
            typing.get_type_hints(function)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 keeps no mark of @final")
@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_final_or_listed_as_open(name: str) -> None:
    """Nobody inherits by accident from what was not made for it."""
    assert getattr(CLASSES[name], "__final__", False) is (name not in OPEN)


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_goes_by_its_public_name(name: str) -> None:
    """Tracebacks, the reference and pickles name the module that users import."""
    value = OBJECTS[name]

    assert f"{value.__module__}.{value.__qualname__}" == name
    assert pickle.loads(pickle.dumps(value)) is value


@pytest.mark.parametrize("name", TRAVELLING)
def test_a_value_survives_pickling(name: str) -> None:
    """Errors, events and other values arrive in another process with their data."""
    sent = SHOWN[name][0]()

    arrived = pickle.loads(pickle.dumps(sent))

    assert type(arrived) is type(sent)
    assert repr(arrived) == repr(sent)
    assert getattr(arrived, "__dict__", None) == getattr(sent, "__dict__", None)


@pytest.mark.parametrize(
    "name", sorted(CLASSES.keys() - OPEN | {"concutil.ConcutilError"})
)
def test_a_repr_helps(name: str) -> None:
    """What an object shows of itself is enough to recognise it in a log."""
    make, shown = SHOWN[name]

    assert repr(make()) == shown


@pytest.mark.parametrize("name", OBJECTS)
def test_a_name_is_in_the_reference(name: str) -> None:
    """The reference has an entry for every public name."""
    pages = (Path(__file__).parents[1] / "docs").glob("api*/**/*.md")
    entries = re.findall(r"auto\w+:: *([\w.]+)", "".join(p.read_text() for p in pages))

    assert name in entries


def test_the_recorded_api_is_the_api() -> None:
    """A public name or signature changes only on purpose."""
    recorded = RECORDED.read_text("utf-8").splitlines()

    assert list(described()) == recorded, (
        "The public API differs from tests/api/public.txt. If that is meant, run"
        " `python tests/public_api.py` and tell of it in CHANGELOG.md."
    )
