"""What holds of all files of Python, whatever room they are in."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST = 450  # lines of a file that has one idea


@pytest.mark.parametrize(
    "folder", ["benchmarks", "docs/hooks", "ebmrepro", "mutants", "stages", "tests"]
)
def test_no_file_is_too_long_for_one_idea(folder: str):
    files = sorted((ROOT / folder).rglob("*.py"))
    lines = {str(path.relative_to(ROOT)): path.read_bytes().count(b"\n") for path in files}
    assert lines and {name: count for name, count in lines.items() if count > LONGEST} == {}
