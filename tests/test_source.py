"""What holds of all files of Python, whatever room they are in."""

import os
from pathlib import Path

import pytest

from ebmrepro.system import machine

ROOT = Path(__file__).parents[1]
LONGEST = 450  # lines of a file that has one idea


@pytest.mark.parametrize(
    "folder", ["benchmarks", "docs/hooks", "ebmrepro", "mutants", "stages", "tests"]
)
def test_no_file_is_too_long_for_one_idea(folder: str):
    files = sorted((ROOT / folder).rglob("*.py"))
    lines = {str(path.relative_to(ROOT)): path.read_bytes().count(b"\n") for path in files}
    assert lines and {name: count for name, count in lines.items() if count > LONGEST} == {}


# Of Python's `os`, what macOS has not.
MACOS_LACKS = [
    "sched_getaffinity",
    "sched_setaffinity",
    "pidfd_open",
    "memfd_create",
    "eventfd",
    "posix_fadvise",
    "posix_fallocate",
    "splice",
    "copy_file_range",
    "getrandom",
    "setresuid",
    "unshare",
]


def test_what_macos_lacks_is_asked_for_where_it_may_be_missing():
    asked = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / "ebmrepro").rglob("*.py"))
        for name in MACOS_LACKS
        if f"os.{name}" in (text := path.read_text()) and f'hasattr(os, "{name}")' not in text
    ]
    assert asked == []


def test_cores_are_those_that_we_may_use_or_those_there_are(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 8}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert machine.cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.cores() == 7
