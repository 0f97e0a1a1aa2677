"""Numbers and labels stand where they belong."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import made_up
import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas
from test_comparison import SEEDS, change, held, made, root, row, set_values
from test_report_front import DOCUMENT, run, suite, system
from test_report_grid import blocks
from test_report_grid import root as gridded
from test_report_grid import sections as of_grid
from test_report_tour import root as toured
from test_report_tour import sections as of_tour

from ebmrepro.report import belief_network, compared, comparison, curves, front, numbers, tour
from ebmrepro.report.blocks import Finding, Table, Text
from ebmrepro.report.gather import Run, System, Tour, gather
from ebmrepro.report.suite import of_suite, quality

__all__ = ["gridded", "made", "root", "toured"]


def of(name: str, measure: str, *values: float | None) -> System:
    runs = [Run(i, measured={"values": {measure: value}}) for i, value in enumerate(values)]
    return System(name, name, name, {}, [], runs)


def test_the_best_is_on_the_better_side_and_a_single_seed_leaves_it_open():
    def best(measure: str, **values: list[float]) -> list[str]:
        systems = [of(name, measure, *own) for name, own in values.items()]
        rows = numbers.table(("t", "", ""), systems, [measure]).rows
        return [label for label, cells in rows if cells[0].best]

    low, high = [1.0, 1.1, 1.2], [5.0, 5.1, 5.2]
    assert best("fd_dbn", a=low, b=high) == ["a"]
    assert best("is_dbn", a=low, b=high) == ["b"]
    assert best("fd_dbn", a=low, b=high, c=[0.1]) == []


def test_features_of_several_dbns_are_told_apart_and_none_is_the_best_among_them(
    toured: Path,
):
    def measured_by(name: str, weights: str, *values: float) -> System:
        runs = [
            Run(i, measured={"values": {"fd_dbn": v}, "protocol": {"extractor_sha256": weights}})
            for i, v in enumerate(values)
        ]
        return System(name, name, name, {}, [], runs)

    systems = [measured_by("a", "f" * 64, 1.0, 1.1, 1.2), measured_by("b", "0" * 64, 5.0, 5.1, 5.2)]
    assert numbers.extractors(systems) == {"f" * 64: ["a"], "0" * 64: ["b"]}
    rows = numbers.table(("t", "", ""), systems, ["fd_dbn"]).rows
    assert not any(cells[0].best for _, cells in rows)
    suite_ = replace(next(iter(gather(toured, made_up.params()))), systems=systems)
    told = next(block for block in quality(suite_) if isinstance(block, Text))
    assert told.lines == ["ffffffff: a", "00000000: b"]
    alike = [systems[0], measured_by("c", "f" * 64, 2.0, 2.1, 2.2)]
    blocks_ = quality(replace(suite_, systems=alike))
    assert not any(isinstance(block, Text) and "several" in block.text for block in blocks_)
    assert quality(replace(suite_, systems=alike, rows=()))  # a reference that is not there


def test_a_mean_is_of_the_seeds_that_one_dbn_measured():
    """That of the first, in whose features other systems are; no other number is of a DBN."""
    measured = [("f" * 64, 5.0, 0.1), ("0" * 64, 1.0, 0.2), ("f" * 64, 6.0, 0.3)]
    runs = [
        Run(i, measured={"values": {"fd_dbn": d, "ratio": r}, "protocol": {"extractor_sha256": by}})
        for i, (by, d, r) in enumerate(measured)
    ]
    own = System("a", "a", "a", {}, [], runs)
    assert own.values("fd_dbn") == [5.0, 6.0] and own.values("ratio") == [0.1, 0.2, 0.3]
    assert replace(own, runs=runs[1:]).values("fd_dbn") == [1.0]
    ((_, cells),) = numbers.table(("t", "", ""), [own], ["fd_dbn", "ratio"]).rows
    assert cells[0].small.endswith("n = 2") and "n =" not in cells[1].small


def test_a_mean_of_fewer_seeds_than_were_measured_says_of_how_many():
    ((_, cells),) = numbers.table(
        ("t", "", ""), [of("a", "fd_dbn", 1.0, 2.0, None)], ["fd_dbn"]
    ).rows
    assert cells[0].small.endswith("] n = 2") and cells[-1].main == "3"


def test_results_held_to_other_real_images_are_refused(root: Path, tmp_path: Path):
    other = Path(shutil.copytree(root, tmp_path / "other"))
    path = other / "results/digits/reference/reference.json"
    told = json.loads(path.read_text())
    told["dataset"]["splits"]["test"]["sha256"] = 64 * "f"
    path.write_text(json.dumps(told))
    found = comparison.of((root, "", "digits", "ebgan"), (other, "x", "digits", "ebgan"))
    (reason,) = [why for why, measures in found.refused.items() if "fd_dbn" in measures]
    assert "ffffffffffff" in reason and "fd_dbn" not in {each.measure for each in found.rows}


def test_a_part_of_the_epochs_is_among_what_differs(root: Path):
    for seed in SEEDS:
        change(root, "magan", seed, lambda d: d["budget"]["epochs"]["epochs"].update(run=1))
    differing = {each.key: (each.method, each.variant) for each in held(root).parameters}
    assert differing["epochs run"] == ("10 of 40", "1 of 40")


def test_a_difference_of_shares_stays_within_one(root: Path):
    set_values(root, "ebgan", "recall_dbn", [0.01, 0.2, 0.02, 0.05])
    set_values(root, "magan", "recall_dbn", [0.99, 0.9, 0.95, 0.97])
    found = row(held(root), "recall_dbn").effect
    assert found.scale == "atanh" and found.high is not None and found.high < 1


def test_curves_are_those_of_the_runs_that_are_paired_and_their_ratio_is_generated_over_real(
    root: Path,
):
    shutil.rmtree(root / "results/digits/magan/3")
    found = held(root)
    assert [len(line.curves) for line in compared._lines(found, "energy/real")] == [3, 3]
    (panel,) = compared._ratios(found)
    ax: Any = Canvas().add_subplot()
    panel.draw(ax)
    drawn = np.asarray(ax.get_lines()[0].get_ydata())[-1]
    ends = [run.curves["energy/fake"][-1] / run.curves["energy/real"][-1] for run, _ in found.runs]
    assert drawn == pytest.approx(np.mean(ends)) and drawn > 1


def test_curves_of_fine_tuning_have_the_names_of_their_starts():
    ways = {"classifier": [3.0, 1.0], "scratch": [9.0, 8.0]}
    own = {f"{kind}/{way}": np.array(v) for kind in ("loss", "error") for way, v in ways.items()}
    system = System("dbn", "DBN", "dbn", {}, [], [Run(0, curves=own)])
    figure: Any = next(iter(belief_network._fine_tuning(system, "#000000")))
    ax: Any = Canvas().add_subplot()
    figure.panels[0].draw(ax)
    ends = {line.get_label(): line.get_ydata()[-1] for line in ax.get_lines()}
    assert ends == {"pretrained start": 1.0, "random start": 8.0}


def test_the_ratio_that_began_steers_by_is_generated_over_real():
    run = Run(0, curves={"energy/real": np.array([4.0]), "energy/fake": np.array([2.0])})
    assert curves._ratios(System("began", "", "began", {}, [], [run])) == [[0.5]]


def test_a_sweep_goes_by_the_number_that_is_swept(tmp_path: Path):
    settings = made_up.params(methods=["began"], seeds=(0,))
    made_up.results(tmp_path, settings)
    (suite,) = gather(tmp_path, settings)
    figure: Any = next(iter(curves.sweeps(suite)))
    ax: Any = Canvas().add_subplot()
    figure.panels[0].draw(ax)
    assert list(ax.get_lines()[0].get_xdata()) == [0.5, 0.7, 0.9]


def test_an_array_of_the_tour_is_that_of_its_own_system():
    arrays = {f"rise/{name}/0": np.zeros(1) for name in ("dbn", "dbn_updown", "dbn__deep")}
    assert len(Tour({}, arrays, {}).seeds("rise", "dbn")) == 1


def test_a_bin_of_the_diagram_lies_at_its_confidence_and_as_high_as_its_accuracy():
    bins = np.array([[0.9], [0.5], [80.0]])
    arrays = {f"reliability_{how}/dbn/0": bins for how in ("raw", "scaled")}
    system = of("dbn", "x")
    ax: Any = Canvas().add_subplot()
    tour._reliability(tour.Asked(suite("digits"), Tour({}, arrays, {})), system, ax)
    assert [line.get_xydata().tolist() for line in ax.get_lines()[1:]] == 2 * [[[0.9, 0.5]]]


def test_a_dot_of_the_front_page_is_ours_over_the_papers():
    part = {"values": {"0": 3.0}, "mean": 3.0, "low": None, "high": None, "fraction": 0.5}
    ax: Any = Canvas().add_subplot()
    front._forest([front.Held("it", 2.0, part, False)], ax)
    assert [*ax.get_lines()[1].get_xdata()] == [1.5]
    assert ax.get_lines()[1].get_markerfacecolor() == "none"
    assert "paper 2, here 3.00, n = 1, 50 % of epochs" in [text.get_text() for text in ax.texts]


def test_the_best_model_of_a_kind_is_that_of_the_highest_score(gridded: Path):
    (whole,) = of_grid(gridded)
    table = next(b for b in blocks(whole) if b.name == "digits-grid-models")
    path = gridded / "results/digits/ebgan_grid/0/metrics.json"
    best = json.loads(path.read_text())["values"]["grid_best_ebgan"]
    assert dict(table.rows)["EBGAN, seed 0"][-2].main == f"{best:.2f}"


def test_a_cell_of_the_tour_is_the_mean_over_seeds_with_its_interval(toured: Path):
    (whole,) = of_tour(toured)
    table = next(
        b
        for p in whole.sections
        for b in p.blocks
        if isinstance(b, Table) and b.name == "digits-tour-ranking"
    )
    values = json.loads((toured / "results/digits/tour/metrics.json").read_text())["values"]
    told = [*values["tau_noise@ebgan"].values()]
    cell = dict(table.rows)["EBGAN"][0]
    assert len(told) == 2 and cell == numbers.cell(told, 3, scale="atanh")


def test_a_finding_of_a_suite_that_was_only_tried_is_no_finding():
    def links(share):
        tried = suite(
            "mnist",
            system("dbn", run(measured={"budget": {"epoch_fraction": share}, "values": {}})),
            carried=True,
        )
        whole = front.section([suite("digits"), tried], DOCUMENT, [of_suite(tried)])
        found = {p.slug: p.blocks for p in whole.sections}["front-findings"]
        return [b.link.text for b in found if isinstance(b, Finding)]

    assert "pretrained-error" in links(1.0) and "pretrained-error" not in links(0.01)
