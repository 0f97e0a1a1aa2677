"""What holds of all files of Python, whatever room they are in."""

import ast
import os
from functools import cache
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


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    """Every node of the package's code, with its file."""
    code = ROOT / "ebmrepro"
    return [
        (path.relative_to(code).as_posix(), node)
        for path in sorted(code.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ]


# Filled or moved while somebody works with them; all other records stay as they were made.
FILLED = {
    "claims/measurements.py: Files",
    "claims/verdict.py: _Judge",
    "metrics/measurement.py: Measurement",
    "pipeline/offload/parts.py: Told",
    "studies/plane/members.py: Measured",
    "studies/tour/question.py: Answer",
}


def test_records_cannot_be_changed_unless_it_is_what_they_are_for():
    changed = {
        f"{file}: {node.name}"
        for file, node in nodes()
        if isinstance(node, ast.ClassDef)
        for how in map(ast.unparse, node.decorator_list)
        if how.startswith("dataclass") and "frozen=True" not in how
    }
    assert changed == FILLED


# A loop that ends with the shorter one on purpose; everywhere else that is a fault.
UNEQUAL = {
    "report/compared.py: zip(real[first:end], fake[first:end], strict=False)",
    "methods/greedy.py: zip(learnt, self.classifiers, strict=False)",
    "methods/base/rbm_stack.py: zip(self.stack, layers.linear_layers(upwards), strict=False)",
    "methods/base/rbm_stack.py: zip(self.stack, last_first, strict=False)",
}


def test_what_is_paired_is_of_one_length_unless_it_is_meant_to_be_cut():
    cut = {
        f"{file}: {ast.unparse(node)}"
        for file, node in nodes()
        if isinstance(node, ast.Call)
        if ast.unparse(node.func) == "zip" and "strict=True" not in ast.unparse(node)
    }
    assert cut == UNEQUAL


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
