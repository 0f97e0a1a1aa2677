"""What typed numbers of the documentation are held against: tables of pages, values of results."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NATS, PERCENT = (1, 1), (100, 2)  # of what a file has: times this, to so many decimals


def as_committed(path: str) -> Path:
    """A file or folder that pages tell of. Where it has changed since the last commit the test is
    passed over: `make repro` on another CPU rounds otherwise, and pages tell of what is in git."""
    asked = ["git", "status", "--porcelain", "--", path]
    if subprocess.run(asked, cwd=ROOT, capture_output=True, check=False).stdout:
        pytest.skip(f"{path}: has changed since the last commit, and pages tell of that")
    return ROOT / path


def by_seed(place: str, measure: str) -> list[float]:
    files = sorted(as_committed(f"results/{place}").glob("*/metrics.json"))
    return [json.loads(file.read_text())["values"][measure] for file in files]


def rows(page: str, *columns: str) -> list[dict[str, str]]:
    """By the names of its columns, each row of the one table of a page that has all of these."""
    tables = [
        [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
        for table in re.findall(r"(?:^\|.*\|\n)+", (DOCS / page).read_text(), re.M)
    ]
    ((heading, _, *found),) = [table for table in tables if {*columns} <= {*table[0]}]
    return [dict(zip(heading, row, strict=True)) for row in found]


def carried(place: str) -> tuple[dict[str, int], dict[str, dict[str, Any]]]:
    """Epochs of each kind that the first seed was trained for; by seed, of all as long as that,
    the measures, with the margin at first and the ends of the curves among them."""
    lengths, measures = [], {}
    for folder in sorted(as_committed(f"results/{place}").glob("*/")):
        card = json.loads((folder / "metrics.json").read_text())
        lengths.append({key: n["run"] for key, n in card["budget"]["epochs"].items()})
        if lengths[-1] != lengths[0]:
            continue
        curves = [*csv.DictReader((folder / "curves.csv").read_text().splitlines())]
        margins = [m for epoch in curves if (m := float(epoch.get("magan/margin") or 0))]
        ends = {f"last {key}": float(end) for key, end in curves[-1].items() if end}
        measures[folder.name] = card["values"] | ends | {"first margin": next(iter(margins), None)}
    return lengths[0], measures
