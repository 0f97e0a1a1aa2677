"""Two systems held against each other, seed by seed, and what marks a report as uncommitted."""

import io
import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import made_up
import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from ebmrepro.config.documents import parse
from ebmrepro.report import compared, compared_terminal, comparison, page, uncommitted
from ebmrepro.report.blocks import Section
from ebmrepro.system.atomic import CannotWrite
from ebmrepro.system.errors import UserError

SEEDS = (3, 4, 5, 6)
SYSTEMS = ["ebgan", "magan"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    made_up.results(folder, made_up.params(methods=SYSTEMS, variants=[], seeds=SEEDS))
    return folder


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """One that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "project"))


def held(root: Path, a: str = "ebgan", b: str = "magan") -> comparison.Comparison:
    return comparison.of((root, "", "digits", a), (root, "", "digits", b))


def change(root: Path, system: str, seed: int, change: Any) -> None:
    path = root / f"results/digits/{system}/{seed}/metrics.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def set_values(root: Path, system: str, measure: str, values: list[float]) -> None:
    for seed, value in zip(SEEDS, values, strict=True):
        change(root, system, seed, lambda d, v=value: d["values"].update({measure: v}))


def row(found: comparison.Comparison, measure: str) -> comparison.Row:
    return next(each for each in found.rows if each.measure == measure)


def test_a_system_against_itself_has_no_difference(made: Path):
    found = held(made, "ebgan", "ebgan")
    assert found.rows and not found.parameters and not found.protocol and not found.refused
    assert {each.said for each in found.rows} == {"the same"} and not found.surest
    for each in found.rows:
        assert set(each.by_seed.values()) == {each.none}
        assert (each.effect.mean, each.effect.low, each.effect.high) == (each.none,) * 3
    assert "the same number for every seed" in compared.summary(found)


def test_a_difference_is_that_of_each_seed_with_students_interval(root: Path):
    """Of numbers that seeds move more than systems do, the difference is still sure."""
    a, b = [10.0, 40.0, 20.0, 30.0], [11.0, 42.0, 21.0, 32.0]
    set_values(root, "ebgan", "is_dbn", a)
    set_values(root, "magan", "is_dbn", b)
    found = row(held(root), "is_dbn")
    assert dict(found.by_seed) == {3: 1.0, 4: 2.0, 5: 1.0, 6: 2.0}
    # Two distinct values are a range; with three, Student's t.
    assert (found.effect.low, found.effect.high, found.effect.by) == (1.0, 2.0, "range")
    set_values(root, "magan", "is_dbn", [11.0, 42.0, 21.5, 32.0])
    found = row(held(root), "is_dbn")
    whole = stats.ttest_rel([11.0, 42.0, 21.5, 32.0], a).confidence_interval(0.95)
    assert found.effect.low == pytest.approx(whole.low)
    assert found.effect.high == pytest.approx(whole.high)
    assert not found.ratio and found.said == "better"  # higher is


def test_a_distance_is_compared_by_its_ratio(root: Path):
    a, b = [0.1, 1.0, 10.0, 100.0], [0.2, 2.2, 19.0, 210.0]
    set_values(root, "ebgan", "fd_dbn", a)
    set_values(root, "magan", "fd_dbn", b)
    found = row(held(root), "fd_dbn")
    logs = np.log(b) - np.log(a)
    half = stats.t.ppf(0.975, 3) * logs.std(ddof=1) / 2
    assert found.ratio and found.said == "worse"  # lower is better
    assert found.effect.mean == pytest.approx(math.exp(logs.mean()))
    assert found.effect.low == pytest.approx(math.exp(logs.mean() - half))
    assert compared.effect(found).main.startswith("×2.")


def test_runs_are_paired_by_the_seeds_that_both_have(root: Path):
    shutil.rmtree(root / "results/digits/magan/3")
    shutil.rmtree(root / "results/digits/ebgan/6")
    found = held(root)
    assert found.seeds == [4, 5] and set(row(found, "is_dbn").by_seed) == {4, 5}
    for seed in (4, 5):
        shutil.rmtree(root / f"results/digits/magan/{seed}")
    with pytest.raises(UserError, match="digits/magan has 6: no seed is measured of both"):
        held(root)


def test_one_seed_decides_nothing(root: Path):
    for seed in SEEDS[1:]:
        shutil.rmtree(root / f"results/digits/magan/{seed}")
    found = held(root)
    assert {each.said for each in found.rows} <= {"", "the same"}
    assert "nothing is decided" in compared.summary(found)


def test_what_has_no_measure_in_common_is_not_said_to_be_of_one_seed(root: Path):
    found = held(root)
    found.__dict__["rows"] = []
    assert len(found.seeds) > 1 and "can be held against" in compared.summary(found)


@pytest.mark.parametrize(
    ("key", "value", "measure"),
    [
        ("extractor_sha256", "f" * 64, "fd_dbn"),
        ("second_extractor_sha256", "f" * 64, "fd_dbn_second"),
        ("inception_sha256", "f" * 64, "fid"),
        ("inception reference", "validation split, 7 images", "fid"),
        ("generated", "7 images, drawn", "kd_dbn"),
        ("reference", "validation split, 7 images", "precision_dbn"),
    ],
)
def test_distances_without_a_common_unit_are_refused_with_the_reason(
    root: Path, key: str, value: str, measure: str
):
    """`dvc metrics diff` calls the difference of two extractors an improvement."""
    set_values(root, "ebgan", measure, [1, 2, 3, 4])
    set_values(root, "magan", measure, [1, 2, 3, 5])
    assert row(held(root), measure)
    for seed in SEEDS:
        change(root, "magan", seed, lambda d: d["protocol"].update({key: value}))
    found = held(root)
    assert measure not in {each.measure for each in found.rows}
    (reason,) = [why for why, measures in found.refused.items() if measure in measures]
    assert "different" in reason and value.partition(" images")[0][:12] in reason
    assert row(held(root), "ratio")  # which hangs on no features
    out = io.StringIO()
    compared_terminal.show(found, Console(file=out, width=80))
    assert "Not compared, " in out.getvalue()


def test_energies_are_compared_in_one_unit_only(made: Path):
    """EBGAN's is a norm, MAGAN's a sum of squares: no number of one says a thing of the other."""
    found = held(made)
    assert "energy_test" not in {each.measure for each in found.rows}
    assert any("L2 norm" in why and "sum of squares" in why for why in found.refused)
    assert row(found, "auroc_noise") and row(held(made, "ebgan", "ebgan"), "energy_test")


def test_parameters_are_those_that_the_trainings_recorded(made: Path):
    differing = {each.key: (each.method, each.variant) for each in held(made).parameters}
    assert differing["hparams.reduction"] == ("norm", "sum_sq")
    assert differing["hparams.margin"] == (2.0, None)
    assert "hparams.epochs" not in differing


def test_the_page_holds_all_of_it_and_fetches_nothing(made: Path, tmp_path: Path):
    path = compared.write([held(made)], ("digits/ebgan", "digits/magan"), tmp_path)
    assert path == Path("reports/comparisons/digits-ebgan--digits-magan.html")
    html = (tmp_path / path).read_text()
    for part in (
        "hparams.reduction",
        "Ratio of energies",
        "A, seed 3",
        "B, seed 6",
        "Not compared",
    ):
        assert part in html
    assert 'src="http' not in html and "<script" not in html


def test_a_file_where_its_folder_should_be_is_named(made: Path, tmp_path: Path):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/comparisons").write_text("in the way")
    with pytest.raises(CannotWrite, match=r"reports/comparisons/.*: cannot be written: "):
        compared.write([held(made)], ("digits/ebgan", "digits/magan"), tmp_path)


def test_a_measure_without_words_is_named_with_the_system_that_has_it(root: Path):
    change(root, "magan", SEEDS[0], lambda document: document["values"].update(retired_measure=1.5))
    with pytest.raises(UserError, match="results of magan: no measure 'retired_measure'"):
        _ = held(root).rows


def test_the_terminal_has_80_columns(made: Path):
    out = io.StringIO()
    compared_terminal.show(held(made), Console(file=out, width=80))
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "…" not in out.getvalue()


# The banner -------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[2]


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def front(found: uncommitted.Uncommitted | None) -> str:
    return page.pages([], Section("front", "Front"), found)[page.FRONT]


def edit(root: Path, before: str, after: str) -> None:
    text = (root / "params.yaml").read_text()
    assert before in text
    (root / "params.yaml").write_text(text.replace(before, after, 1))


def test_a_report_of_committed_parameters_bears_no_mark(committed: Path):
    assert uncommitted.find(committed) is None
    assert "uncommitted" not in front(uncommitted.find(committed))
    edit(committed, "# Every number", "# Each number")  # a comment changes no system
    assert uncommitted.find(committed) is None


@pytest.mark.parametrize("block", ["digits:\n", "digits: 3\n", "digits: {methods: [1], dbn: 2}\n"])
def test_what_was_committed_may_be_anything(tmp_path: Path, block: str):
    (tmp_path / "params.yaml").write_text(block)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True, capture_output=True)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    found = uncommitted.find(tmp_path)
    assert found is not None
    lines = [line for line in found.lines if line.startswith(("MAGAN of digits", "DBN of digits:"))]
    assert lines == ["MAGAN of digits is not in it."]


def test_a_frozen_magan_is_not_called_magan_without_a_word(committed: Path):
    edit(committed, "margin_moves: true", "margin_moves: false")
    found = uncommitted.find(committed)
    assert found is not None
    assert found.lines == ["MAGAN of digits: hparams.margin_moves is false, committed is true."]
    html = front(found)
    assert f"commit {found.commit}" in html and found.lines[0] in html


@pytest.mark.parametrize(
    ("head", "before", "after", "said"),
    [
        (
            "    began__gamma_low:\n",
            "gamma: 0.7",
            "gamma: 0.6",
            "BEGAN, gamma low of digits: hparams.gamma is 0.6, committed is 0.7.",
        ),
        (
            "  dbn:\n",
            "cd_steps: 1",
            "cd_steps: 2",
            "DBN of digits: hparams.cd_steps is 2, committed is 1.",
        ),
    ],
)
def test_a_variant_that_is_run_and_the_judge_are_held_to_what_is_committed(
    committed: Path, head: str, before: str, after: str, said: str
):
    text = (committed / "params.yaml").read_text()
    place = text.index(before, text.index(head))
    changed = text[:place] + after + text[place + len(before) :]
    (committed / "params.yaml").write_text(changed)
    found = uncommitted.find(committed)
    assert found is not None and found.lines == [said]


def test_a_smaller_budget_and_a_new_system_are_named_and_what_is_not_shown_is_not(committed: Path):
    edit(committed, "  budget: 1.0", "  budget: 0.01")
    edit(committed, "  variants: [", "  variants: [magan__he, ")
    text = (committed / "params.yaml").read_text()
    head, mnist = text.split("\nmnist:\n")
    mnist = mnist.replace("budget: 1.0", "budget: 0.5", 1)
    (committed / "params.yaml").write_text(f"{head}\nmnist:\n{mnist}")
    found = uncommitted.find(committed)
    assert found is not None and len(found.lines) == 2, found
    assert found.lines[0] == "digits: budget is 0.01, committed is 1.0."
    assert found.lines[1].startswith("run.variants is [magan__he, ")


def test_a_study_that_is_run_is_held_to_what_is_committed_and_one_that_is_not_is_not(
    committed: Path,
):
    text = (committed / "params.yaml").read_text()
    head, mnist = text.split("\nmnist:\n")
    mnist = mnist.replace("    padding: 0 ", "    padding: 2 ", 1)
    (committed / "params.yaml").write_text(f"{head}\nmnist:\n{mnist}")
    assert uncommitted.find(committed) is None
    edit(committed, "  grids: []", "  grids: [mnist]")
    found = uncommitted.find(committed)
    assert found is not None and found.lines == [
        "mnist: grid.padding is 2, committed is 0.",
        "run.grids is [mnist], committed is [].",
    ]


def test_systems_come_first_and_what_is_new_takes_one_line(committed: Path):
    edit(committed, "    dcgan:\n", "    began__new:\n      x: 1\n    dcgan:\n")
    edit(committed, "margin_moves: true", "margin_moves: false")
    text = (committed / "params.yaml").read_text()
    before = {"run": {}, "digits": {"methods": {}, "budget": 1.0, "data": {}}}
    lines = list(uncommitted._lines(parse(text, "now"), before))
    assert "MAGAN of digits is not in it." in lines[:12]
    assert "digits: evaluate is not in it." in lines and "fundamentals is not in it." in lines


def test_a_folder_without_git_has_nothing_to_be_unlike(tmp_path: Path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    assert uncommitted.find(tmp_path) is None
