"""What is broken and what is not, and that the last result and its list are true of the code."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
MODULE = '''"""A mean: 1 + 1."""
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import a as b

__all__ = ["mean"]
Number = int | float


def mean(values: list[int | None], least: float | None = 3) -> float | None:
    if len(values) < 1:
        raise ValueError(f"{len(values) + 1} values: " + "none")
    model.eval()
    total = 0
    for value in values:
        total += value
    print(total + 7)
    return total / len(values)
'''


@pytest.fixture
def places(tmp_path: Path):
    found = pytest.importorskip("mutants.places", reason="cosmic-ray comes with `make mutants`")
    (tmp_path / "ebmrepro" / "metrics").mkdir(parents=True)
    (tmp_path / "ebmrepro" / "metrics" / "mean.py").write_text(MODULE)
    return found


def test_what_is_broken_is_arithmetic_order_and_calls_never_words_or_types(places, tmp_path: Path):
    mutants, counts = places.sample(tmp_path, 1000, seed=0)
    # 3; the order, the number and a `not`; eval(); 0; the loop; the sum's going; the quotient
    assert sorted(m.was.strip() for m in mutants) == sorted(
        ["def mean(values: list[int | None], least: float | None = 3) -> float | None:"]
        + ["if len(values) < 1:"] * 3
        + ["model.eval()", "total = 0", "for value in values:", "total += value"]
        + ["return total / len(values)"]
    )
    assert counts["places"] == len(mutants) < counts["ways"] and counts["left_out"] > 0


def test_lines_of_no_function_are_executed_on_import_whichever_test_came_first(places):
    text = "@cache\nclass A:\n    x = 1\n\n    @cache\n    def f(self, n=2):\n        return n\n"
    assert [places.on_import(text, line) for line in range(1, 8)] == [True] * 6 + [False]


def test_a_mutant_compiles_and_differs_in_one_line(places, tmp_path: Path):
    for mutant in places.sample(tmp_path, 1000, seed=0)[0]:
        assert ast.dump(ast.parse(mutant.text)) != ast.dump(ast.parse(MODULE))
        pairs = zip(MODULE.splitlines(), mutant.text.splitlines(), strict=True)
        assert [a for a, b in pairs if a != b] == [mutant.was]


def test_the_seed_alone_draws(places, tmp_path: Path):
    drawn = [[m.name for m in places.sample(tmp_path, 4, seed)[0]] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_change_elsewhere_leaves_the_draw(places, tmp_path: Path):
    before = places.sample(tmp_path, 4, seed=1)[0]
    file = tmp_path / "ebmrepro" / "metrics" / "mean.py"
    file.write_text(MODULE.replace("Number =", "# Another line.\nNumber ="))
    after = places.sample(tmp_path, 4, seed=1)[0]
    assert [m.name for m in after] == [m.name for m in before]
    assert [m.line for m in after] == [m.line + 1 for m in before]


def test_every_explained_survivor_is_a_line_of_the_code_with_a_reason():
    explained = YAML(typ="safe").load((ROOT / "mutants" / "explained.yaml").read_text())
    for name, reason in explained.items():
        file, _, change = name.partition(": ")
        was = change.partition(" => ")[0]
        assert was in [line.strip() for line in (ROOT / file).read_text().splitlines()], name
        assert len(reason.split()) > 3, name


def test_the_last_result_adds_up():
    last = json.loads((ROOT / "mutants" / "last.json").read_text())
    outcomes = ("killed", "time", "explained", "survived")
    assert sum(last[o] for o in outcomes) == last["sampled"] <= last["drawn"] >= 400
    for outcome in outcomes:
        assert sum(room[outcome] for room in last["rooms"].values()) == last[outcome]
    assert last["survived"] == len(last["unexplained"])
