"""What CPython's own tests of `functools.lru_cache` say of `memoize`.

They are loaded from the standard library's `test` package, which some interpreters
leave out; those of them that matter are in test_memoize.py in other words.
"""

from __future__ import annotations

import functools
import importlib
import unittest
import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from concutil import memoize

# What is different on purpose, and why.
DIFFERENT = {
    "test_common_signatures": "cache_info and cache_clear tell what they return",
    "test_lru_bug_35780": "a call that needs itself is a RecursiveComputeError",
    "test_lru_cache_threaded2": "it wants each of its threads to compute the same",
    "test_lru_hash_only_once": "a miss hashes a few times, a hit once",
    "test_lru_reentrancy_with_len": "its own code calls len, which can't be this one",
    "test_lru_with_maxsize_negative": "a negative maxsize is a ValueError",
}
# These may differ, for what they need of the interpreter.
DEPENDS = {
    "test_lru_recursion": "it wants all of C's stack, of which a level takes more here",
}


def _tests() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("test.test_functools").TestLRU
    except ImportError:
        return None


# To see this one fail takes as long as its threads wait for each other.
LONG = {"test_lru_cache_threaded2"}

TESTS: Any = _tests()
NAMES = [name for name in dir(TESTS) if name.startswith("test_")]
MISSING = "this interpreter comes without test.test_functools"

# What those tests look for in the module `functools`.
shim = SimpleNamespace(
    **{name: getattr(functools, name) for name in dir(functools)}
    | {"lru_cache": memoize}
)


@shim.lru_cache()
def cached_function(x: int, y: int) -> int:
    """Return a sum."""
    return 3 * x + y


class OfFunctools(*([TESTS] if TESTS else []), unittest.TestCase):  # type: ignore[misc]  # as above
    """CPython's tests, with `memoize` in the place of `lru_cache`."""

    __test__ = False  # pytest runs them one by one, below
    module = shim
    cached_func = (cached_function,)

    @shim.lru_cache()
    def cached_meth(self, x: int, y: int) -> int:
        return 3 * x + y

    @staticmethod
    @shim.lru_cache()
    def cached_staticmeth(x: int, y: int) -> int:
        return 3 * x + y


def run(name: str) -> unittest.TestResult:
    result = unittest.TestResult()
    OfFunctools(name).run(result)
    return result


@pytest.mark.skipif(TESTS is None, reason=MISSING)
@pytest.mark.parametrize("name", NAMES or ["none"])
def test_of_functools(name: str) -> None:
    """It holds for `memoize` as well, unless it differs on purpose."""
    if name in DIFFERENT or name in DEPENDS:
        pytest.skip(DIFFERENT.get(name) or DEPENDS[name])
    result = run(name)

    assert result.testsRun == 1
    assert [text for _, text in result.errors + result.failures] == []


@pytest.mark.skipif(TESTS is None, reason=MISSING)
@pytest.mark.parametrize(
    "name", [it for it in NAMES if it in DIFFERENT and it not in LONG] or ["none"]
)
def test_what_is_different(name: str) -> None:
    """Each difference on the list is one: nothing stays there by mistake."""
    assert not run(name).wasSuccessful()
