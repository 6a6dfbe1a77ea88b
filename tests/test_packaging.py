"""Both distributions hold what they should and no more; the gate is one command."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import concutil

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "concutil"

# Folders that a source distribution is built and tested from.
SHIPPED = {".ci", "benchmarks", "docs", "examples", "src", "tests"}
FILES = {
    *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "PKG-INFO", "README.md"),
    *(".gitignore", "noxfile.py", "pyproject.toml"),
}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel and a source distribution from this folder."""
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    return target


def wheel_of(dist: Path) -> Path:
    """Return the wheel in *dist*."""
    (wheel,) = dist.glob("*.whl")
    return wheel


def wheel_names(dist: Path) -> set[str]:
    """Return the files of the wheel."""
    with zipfile.ZipFile(wheel_of(dist)) as archive:
        return set(archive.namelist())


def wheel_metadata(dist: Path) -> Message:
    """Return what an installer reads of the wheel."""
    info = f"concutil-{concutil.__version__}.dist-info/METADATA"
    with zipfile.ZipFile(wheel_of(dist)) as archive:
        return Parser().parsestr(archive.read(info).decode("utf-8"))


def sdist_names(dist: Path) -> set[str]:
    """Return the files of the source distribution, below its one folder."""
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = [member.name for member in archive.getmembers() if member.isfile()]
    return {name.split("/", 1)[1] for name in names}


def test_the_wheel_holds_the_package_and_nothing_else(dist: Path) -> None:
    """Every module and py.typed are there, no test, no cache, no second top level."""
    modules = {
        path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*.py")
    }
    info = f"concutil-{concutil.__version__}.dist-info/"

    files = {name for name in wheel_names(dist) if not name.startswith(info)}

    assert files == modules | {"concutil/py.typed"}


def test_the_wheel_works_on_every_python(dist: Path) -> None:
    """One wheel of pure Python serves all builds, with and without the GIL."""
    assert wheel_of(dist).name == f"concutil-{concutil.__version__}-py3-none-any.whl"


def test_the_version_has_one_source(dist: Path) -> None:
    """The metadata tell the version that the package tells."""
    assert wheel_metadata(dist)["Version"] == concutil.__version__


def test_the_licence_comes_along(dist: Path) -> None:
    """The wheel names its licence as an expression and holds the text."""
    metadata = wheel_metadata(dist)
    info = f"concutil-{concutil.__version__}.dist-info"

    assert metadata["License-Expression"] == "MIT"
    assert metadata["License-File"] == "LICENSE"
    assert f"{info}/licenses/LICENSE" in wheel_names(dist)


def test_every_extra_is_part_of_all(dist: Path) -> None:
    """`concutil[all]` brings what all the other extras bring."""
    needed = wheel_metadata(dist).get_all("Requires-Dist", [])
    extras = re.findall(r"^(.*extra == )'(\w+)'$", "\n".join(needed), re.MULTILINE)

    assert extras
    assert {need for need, extra in extras if extra != "all"} == {
        need for need, extra in extras if extra == "all"
    }


def test_the_source_distribution_can_be_built_and_tested(dist: Path) -> None:
    """It holds the folders and files of the project, and no cache or environment."""
    names = sdist_names(dist)

    assert {name for name in names if "/" not in name} == FILES
    assert {name.split("/")[0] for name in names if "/" in name} == SHIPPED
    assert not [name for name in names if name.endswith(".pyc")]
    assert "tests/test_packaging.py" in names


def test_the_gate_is_run_as_the_readme_says() -> None:
    """`.ci/run` ends with the very command that the README gives to a stranger."""
    command = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()[-1]

    assert f"\n{command}\n" in (ROOT / "README.md").read_text("utf-8")


def test_the_source_distribution_holds_the_whole_package(dist: Path) -> None:
    """What the wheel has of the package, the source distribution has."""
    files = {f"src/{name}" for name in wheel_names(dist) if ".dist-info/" not in name}

    assert files <= sdist_names(dist)
