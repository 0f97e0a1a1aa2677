"""The report's section on likelihoods, from made-up measurements."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from ebmrepro.report import figures, page
from ebmrepro.report.blocks import Figure, Section, Table
from ebmrepro.report.gather import Run, Suite, System
from ebmrepro.report.likelihoods import section


def run(seed: int, values: Mapping[str, float | None]) -> Run:
    """Seed 1 ran half of the epochs, all others all."""
    measured = {"values": values, "budget": {"epoch_fraction": 0.5 if seed == 1 else 1.0}}
    return Run(seed, None, {}, measured, {}, None)


def system(name: str, layers: list[int], ks: list[int], *runs: Run, **hparams: str) -> System:
    numbers: dict[str, Any] = {"hparams.layers": layers, "hparams.cd_steps": ks}
    numbers |= {f"hparams.{key}": value for key, value in hparams.items()}
    return System(name, name, "rbm", numbers, [], runs)


def of_rbm(test: float) -> dict[str, float | None]:
    found = {"log_likelihood": test, "log_likelihood_train": test + 2, "ais_effective": 40.0}
    found |= {"log_z_gap": 0.25, "r_hat": 1.04}
    return {
        **found,
        "log_likelihood_low": test - 0.3,
        "log_likelihood_high": test + 0.5,
        "ais_temperatures": 14501,
    }


def suite(*systems: System) -> Suite:
    return Suite("mnist", "MNIST", True, {}, {}, {}, None, [], "", systems)


EXACT = {
    "log_z": 200.5,
    "log_z_low": None,
    "log_z_high": 201.0,
    "log_z_exact": 200.25,
    "ais_trials": 20,
    "ais_within": 0.95,
    "ais_error": -0.125,
    "ais_error_worst": 0.5,
}


@pytest.fixture
def whole() -> Section:
    (found,) = section(
        [
            suite(
                system("rbm__cd1", [500], [1], run(0, of_rbm(-120.0)), run(1, of_rbm(-122.0))),
                system("rbm", [500], [25], run(0, of_rbm(-91.0)), run(1, of_rbm(-92.0))),
                system("rbm__exact", [20], [25], run(0, {**of_rbm(-150.0), **EXACT})),
                system(
                    "rbm__stack",
                    [500, 2000],
                    [25, 3],
                    run(0, {"log_likelihood_bound": -99.0, "log_likelihood_bound_low": -100.0}),
                ),
                system("rbm__cd3", [500], [3]),
            )
        ]
    )
    return found


def cells(whole: Section, name: str) -> dict[str, list[tuple[str, str]]]:
    (table,) = (b for b in whole.blocks if isinstance(b, Table) and b.name == f"mnist-{name}")
    return {title: [(c.main, c.small) for c in row] for title, row in table.rows}


def test_a_likelihood_stands_beside_the_papers_with_both_of_its_intervals(whole: Section):
    assert whole.slug == "mnist-likelihoods"
    rows = cells(whole, "likelihoods")
    one = rows["RBM, 500 hidden units, CD-25"]
    assert one[0][0] == "−86.34"
    assert one[1][0] == "50 to 100 %"
    assert rows["RBM, 20 hidden units, CD-25"][1][0] == "100 %"
    assert one[2][0] == "−91.5" and one[2][1].startswith("[")
    assert [main for main, _ in one[3:]] == ["−89.5", "2"]
    assert rows["RBM, 20 hidden units, CD-25"][0][0] == "–", "the paper's is not for this one"
    sure = cells(whole, "certainty")["RBM, 500 hidden units, CD-25"]
    ends = "[−91.80, −91.00]"  # each the mean over seeds
    assert [main for main, _ in sure] == [ends, "40.0", "0.25", "1.04", "14,501"]


def test_rows_come_as_the_paper_counts_and_its_own_recipe_is_told_from_ours():
    recipe = {"binarised": "once", "rate": "constant", "visible_bias": "zero"}
    theirs = system("rbm__paper", [500], [25], run(0, of_rbm(-86.0)), **recipe)
    ours = system("rbm", [500], [25], run(0, of_rbm(-88.0)), **recipe | {"rate": "falling"})
    stack = system("rbm__stack", [500, 2000], [25, 3], run(0, {"log_likelihood_bound": -99.0}))
    small = system("rbm__exact", [20], [25], run(0, of_rbm(-150.0)))
    first = system("rbm__cd1", [500], [1], run(0, of_rbm(-120.0)))
    (found,) = section([suite(stack, theirs, ours, small, first)])
    for name in ("likelihoods", "certainty"):
        assert list(cells(found, name)) == [
            "RBM, 500 hidden units, CD-1",
            "RBM, 500 hidden units, CD-25",
            "RBM, 500 hidden units, CD-25, paper's recipe",
            "RBM, 20 hidden units, CD-25",
            "Stack, 500-2000 hidden units, CD-25, CD-3",
        ]


def test_of_a_stack_the_bound_is_shown_and_an_end_that_is_not_known_is_not_made_up(whole: Section):
    stack = cells(whole, "likelihoods")["Stack, 500-2000 hidden units, CD-25, CD-3"]
    assert (stack[0][0], stack[2][0]) == ("−86.22", "−99.0")
    sure = cells(whole, "certainty")["Stack, 500-2000 hidden units, CD-25, CD-3"]
    assert (sure[0][0], sure[2][0]) == ("[−100.00, no end]", "not measured")


def test_ais_stands_beside_enumeration_only_where_there_is_one(whole: Section):
    rows = cells(whole, "ais")
    assert list(rows) == ["RBM, 20 hidden units, CD-25, seed 0"]
    (row,) = rows.values()
    assert [main for main, _ in row] == [
        "200.25",
        "200.50",
        "20",
        "0.950",
        "−0.125",
        "0.500",
        "40.0",
    ]
    assert row[1][1] == "[not measured, 201.00]"


def test_what_was_not_measured_has_no_row_and_no_section_of_its_own(whole: Section):
    assert not any("CD-3" in title and "RBM" in title for title in cells(whole, "likelihoods"))
    assert section([suite(system("rbm", [500], [25]))]) == []


def test_the_figure_draws_every_seed_and_the_papers_value(whole: Section):
    import matplotlib.pyplot as plt

    (figure,) = (b for b in whole.blocks if isinstance(b, Figure))
    canvas, ax = plt.subplots()
    figure.panels[0].draw(ax)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    lines = [np.asarray(line.get_xdata()).tolist() for line in ax.get_lines()]
    plt.close(canvas)
    assert labels[:2] == [
        "RBM, 500 hidden\nCD-1\n50 to 100 %",
        "RBM, 500 hidden\nCD-25\n50 to 100 %",
    ]
    assert [-91.0, -92.0] in lines and [-86.34, -86.34] in lines
    assert figures.files(figure.panels, "salt").keys() == {"svg", "png"}
    assert io.StringIO("".join(page.pages([whole]).values())).read().count("mnist-likelihoods")
