"""Set-up: the lock, the choice of a Python, and what a stage says outside the environment."""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import ebmrepro

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ASKED = [
    *PYPROJECT["project"]["dependencies"],
    *PYPROJECT["project"]["optional-dependencies"]["dev"],
    *PYPROJECT["project"]["optional-dependencies"]["dask"],
    *PYPROJECT["build-system"]["requires"],  # the project is built without fetching a builder
]
LOCK = (ROOT / "requirements.lock").read_text()
STAGES = sorted(path.name for path in (ROOT / "stages").glob("*.py"))


def locked() -> list[tuple[Requirement, int]]:
    """Each pin of the lock with its number of hashes."""
    blocks = re.split(r"\n(?=\S)", LOCK.strip())
    return [
        (
            Requirement(block.split(" \\\n")[0]),
            len(re.findall(r"--hash=sha256:[0-9a-f]{64}", block)),
        )
        for block in blocks
    ]


def make(folder: Path, *arguments: str, first_on_path: Path | None = None):
    """Run make in a folder as a person would: not as a child of the make that runs these tests."""
    environment = {
        key: value for key, value in os.environ.items() if "MAKE" not in key and key != "PYTHON"
    }
    if first_on_path:
        environment["PATH"] = f"{first_on_path}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def fake_python(path: Path, version: str) -> None:
    """A program that says this version when asked, and runs anything else without a word."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\ncase "$*" in *version*) echo {version};; esac\n')
    path.chmod(0o755)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what set-up reads, where the lock is older than anything made later."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
        os.utime(folder / name, (0, 0))
    return folder


@pytest.fixture
def ready(clone: Path) -> Path:
    """A clone whose set-up is finished, on Python 3.12."""
    fake_python(clone / ".venv/bin/python", "3.12.1")
    (clone / ".venv/ready-3.12").write_text(f"{clone}\n")
    return clone


def test_the_lock_names_no_index():
    assert "://" not in LOCK
    assert not re.search(r"^-", LOCK, re.MULTILINE)


def test_every_package_in_the_lock_is_pinned_and_hashed():
    for pin, hashes in locked():
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), pin
        assert hashes, f"{pin} has no hash"


def test_every_dependency_has_its_reason():
    reasons = (ROOT / "docs/decisions/dependencies.md").read_text()
    given = re.findall(r"^\| ([\w, -]+) \| \S", reasons, re.MULTILINE)
    named = {name for names in given for name in names.split(", ")}
    assert {Requirement(asked).name for asked in ASKED} <= named


def test_the_lock_holds_everything_that_pyproject_asks_for():
    pins: dict[str, list[Requirement]] = {}
    for pin, _ in locked():
        pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    for requirement in map(Requirement, ASKED):
        found = pins.get(canonicalize_name(requirement.name), [])
        assert found, f"requirements.lock lacks {requirement}: make lock"
        for pin in found:
            version = str(pin.specifier).removeprefix("==")
            assert version in requirement.specifier, f"{pin} is not {requirement}: make lock"


def test_the_makefile_supports_the_pythons_that_pyproject_allows():
    line = re.search(r"^SUPPORTED := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert line
    allowed = SpecifierSet(PYPROJECT["project"]["requires-python"])
    assert line[1].split() == [f"3.{minor}" for minor in range(30) if f"3.{minor}" in allowed]


@pytest.mark.parametrize("version", ["3.10.13", "3.14.0", "2.7.18"])
def test_an_unsuitable_python_is_refused_in_one_line(clone: Path, tmp_path: Path, version: str):
    fake_python(tmp_path / "bin/python3", version)
    result = make(clone, "test", first_on_path=tmp_path / "bin")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert f"python3 is Python {version}" in line
    assert "3.11 3.12 3.13" in line
    assert "make PYTHON=python3.12 test" in line
    assert not (clone / ".venv").exists()


def test_a_python_that_is_not_there_is_refused_in_one_line(clone: Path):
    result = make(clone, "PYTHON=no-such-python")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "there is no Python at no-such-python" in line


def test_a_finished_set_up_runs_nothing_more(ready: Path):
    result = make(ready)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "ready: source .venv/bin/activate\n"


def test_a_plain_make_keeps_the_python_an_earlier_one_was_told(ready: Path, tmp_path: Path):
    fake_python(tmp_path / "bin/python3", "3.10.13")
    assert make(ready, first_on_path=tmp_path / "bin").returncode == 0


def test_a_link_to_the_environment_of_another_folder_is_refused_and_left(
    clone: Path, tmp_path: Path
):
    fake_python(tmp_path / "other/bin/python", "3.12.1")
    fake_python(tmp_path / "bin/python3", "3.12.1")
    (clone / ".venv").symlink_to(tmp_path / "other")
    result = make(clone, first_on_path=tmp_path / "bin")
    assert result.returncode == 2 and "rm .venv" in result.stderr.splitlines()[0]
    assert (tmp_path / "other/bin/python").exists()


def another_lock(clone: Path) -> None:
    os.utime(clone / "requirements.lock")
    os.utime(clone / ".venv/ready-3.12", (1, 1))


def another_place(clone: Path) -> None:
    (clone / ".venv/ready-3.12").write_text("/elsewhere\n")


def interrupted(clone: Path) -> None:
    (clone / ".venv/ready-3.12").rename(clone / ".venv/unfinished")


def python_removed(clone: Path) -> None:
    (clone / ".venv/bin/python").unlink()


@pytest.mark.parametrize("change", [another_lock, another_place, interrupted, python_removed])
def test_set_up_is_redone_when_it_no_longer_holds(ready: Path, tmp_path: Path, change):
    fake_python(tmp_path / "bin/python3", "3.12.1")
    asked = ("--question", ".venv/ready-3.12")  # 0: up to date, 1: there is work to do
    assert make(ready, *asked, first_on_path=tmp_path / "bin").returncode == 0
    change(ready)
    assert make(ready, *asked, first_on_path=tmp_path / "bin").returncode == 1


@pytest.mark.parametrize("stage", STAGES)
def test_outside_the_environment_a_stage_says_what_to_do(stage: str):
    without_packages = [sys.executable, "-E", "-S"]
    result = subprocess.run(
        [*without_packages, ROOT / "stages" / stage], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert sys.executable in line
    assert "source .venv/bin/activate" in line
    assert "make repro" in line


@pytest.mark.parametrize("stage", STAGES)
def test_an_old_python_can_read_a_stage_as_far_as_that_line(stage: str):
    ast.parse((ROOT / "stages" / stage).read_text(), feature_version=(3, 7))


def test_dvc_calls_nobody():
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc/config")
    assert not config.getboolean("core", "analytics")
    assert not config.getboolean("core", "check_update")


def test_the_version_is_the_same_everywhere():
    citation = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert citation
    assert citation[1] == PYPROJECT["project"]["version"] == ebmrepro.__version__
