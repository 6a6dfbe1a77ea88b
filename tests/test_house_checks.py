"""Each house check finds what is planted for it, and leaves the sound twin alone."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from house_checks import BODY_LINES, MODULE_LINES, main, standing
from house_syntax import Module

PACKAGE = "src/concutil/_limits/limiter.py"
TESTS = "tests/limits/test_limiter.py"

TWINS = """
    def get(self, key):
        with self._lock:
            entry = self._entries.get(key)
        if entry is None:
            entry = self._load(key)
            self._entries[key] = entry
        return entry

    {colour}def aget(self, key):
        with self._lock:
            entry = self._entries.get(key)
        if entry is None:
            entry = {wait}self._load(key)
            self._entries[key] = entry
        return entry
"""
STATEMENTS = "    a = 1\n" * BODY_LINES

# code: where it is, what is found there, what is not
PLANTED = {
    "HC1": (
        PACKAGE,
        """
        async def enter(self):
            with self._lock:
                await self.park()
        """,
        """
        async def enter(self):
            with self._lock:
                self.book()
            async with self._task_lock:
                await self.park()
        """,
    ),
    "HC2": (
        PACKAGE,
        TWINS.format(colour="async ", wait="await "),
        TWINS.format(colour="", wait=""),
    ),
    "HC3": (
        PACKAGE,
        '''
        def open_file(path):
            """Open the file."""
        ''',
        '''
        def open_file(path):
            """Open *path* for reading, text decoded as UTF-8."""

        def _open_file(path):
            """Open the file."""
        ''',
    ),
    "HC5": (PACKAGE, "WAIT = 0.05", "WAIT_SECONDS = 0.05\nLIMITS = ()"),
    "HC6": (
        PACKAGE,
        "from threading import Lock",
        "import threading\nfrom time_machine import travel",
    ),
    "HC7": (
        PACKAGE,
        """
        import threading

        class Gate:
            make = threading.Lock
        """,
        """
        import threading

        class Gate:
            lock: threading.Lock

            def __init__(self):
                self.lock = threading.Lock()
        """,
    ),
    "HC8": (
        PACKAGE,
        "a = 1  # type: ignore\nb = 2  # noqa: SLF001\nc = 3  # pragma: no cover",
        """
        a = 1  # type: ignore[misc]  # the stub lags behind
        b = 2  # noqa: SLF001, E501 - its own field
        c = 3  # pragma: no cover - Windows only
        """,
    ),
    "HC9": (
        TESTS,
        "# TODO: the rest\ndef rest():\n    raise NotImplementedError",
        "TODO = 'a list of things to do'",
    ),
    "HC10": (
        PACKAGE,
        """
        try:
            enter()
        except BaseException:
            leave()
        """,
        """
        try:
            enter()
        except BaseException:
            leave()
            raise
        except (OSError, ValueError):
            pass
        """,
    ),
    "HC11": (
        PACKAGE,
        """
        threading.Thread(target=pump, daemon=True)

        class Pool:
            def __del__(self):
                self.close()
        """,
        "threading.Thread(target=pump)",
    ),
    "HC12": (
        PACKAGE,
        f"def f():\n{STATEMENTS}    a = 2\n",
        f'def f():\n    """Count.\n\n    Slowly.\n    """\n{STATEMENTS}',
    ),
    "HC13": (
        TESTS,
        "def test_a():\n    pass",
        'def test_a():\n    """A thing holds."""\n\ndef battery():\n    pass',
    ),
    "HC14": (
        TESTS,
        "time.sleep(0.1)",
        "asyncio.sleep(0)\nclock.sleep(5)",
    ),
}


def codes(path: str, text: str) -> set[str]:
    """Return the codes of what is found in *text*, if it stood at *path*."""
    return {found.code for found in standing([Module(Path(path), dedent(text))])}


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_fault_is_found(code: str) -> None:
    """Each check finds its fault and nothing else in the example."""
    path, faulty, _ = PLANTED[code]

    assert codes(path, faulty) == {code}


@pytest.mark.parametrize("code", PLANTED)
def test_sound_code_is_left_alone(code: str) -> None:
    """What looks like the fault but is none is not reported by any check."""
    path, _, sound = PLANTED[code]

    assert codes(path, sound) == set()


def test_each_of_several_faults_in_a_file_is_found() -> None:
    """Every ignore without a reason is reported with its own line."""
    _, faulty, _ = PLANTED["HC8"]

    found = standing([Module(Path(PACKAGE), faulty)])

    assert [finding.line for finding in found] == [1, 2, 3]


@pytest.mark.parametrize("default", ["make=threading.Lock", "*, lock=_thread.lock()"])
def test_a_lock_as_a_default_is_found(default: str) -> None:
    """A lock in a signature is made, or looked up, when the module is imported."""
    assert codes(PACKAGE, f"def enter({default}):\n    pass") == {"HC7"}


def test_a_module_is_found_by_its_name() -> None:
    """A drawer for everything is reported whatever lies in it."""
    assert codes("src/concutil/_utils.py", "") == {"HC4"}
    assert codes("src/concutil/_core/rates.py", "") == set()


def test_a_long_module_is_found() -> None:
    """A module may have 350 lines and not one more."""
    assert codes(PACKAGE, "\n" * MODULE_LINES) == set()
    assert codes(PACKAGE, "\n" * (MODULE_LINES + 1)) == {"HC12"}


def test_virtual_time_may_sleep() -> None:
    """The instruments' own tests sleep, since no real time passes there."""
    assert codes("tests/instruments/test_virtual.py", "time.sleep(3600)") == set()


def test_a_finding_is_excused_by_its_code_and_a_reason() -> None:
    """An excuse holds for the code it names, and must tell why."""
    fault = "from time import sleep"

    assert (
        codes(PACKAGE, f"{fault}  # noqa: HC6 - shown as the user writes it") == set()
    )
    assert codes(PACKAGE, f"{fault}  # noqa: HC7 - wrong code") == {"HC6"}
    assert codes(PACKAGE, f"{fault}  # noqa: HC6") == {"HC8"}


def test_the_command_prints_places_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run from the command line it names file, line, code, and what to do."""
    (tmp_path / "gate.py").write_text("import threading\nLOCK = threading.Lock()\n")

    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == (
        f"{tmp_path}/gate.py:2: HC7 call threading.Lock where the object is made\n"
    )


def test_the_command_is_silent_when_nothing_is_found(tmp_path: Path) -> None:
    """A clean folder ends with status 0."""
    (tmp_path / "gate.py").write_text("import threading\n")

    assert main([str(tmp_path)]) == 0
