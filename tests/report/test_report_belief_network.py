"""The DBN with labels: what it has in mind, what it gets wrong, and who errs beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import made_up
import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas
from params_file import shipped

from ebmrepro.claims import claims_file
from ebmrepro.report import belief_network, figures
from ebmrepro.report.blocks import Block, Captioned, Figure, Panel, Table
from ebmrepro.report.gather import gather
from ebmrepro.report.markdown import markdown
from ebmrepro.report.sections import sections
from ebmrepro.system.errors import UserError

ROOT = Path(__file__).parents[2]


def keep(folder: Path) -> None:
    """What evaluation keeps: 55 images wrong by (c), of 0 to 54 the first 50 with pictures."""
    images = np.full((60, 1, 8, 8), 7, np.uint8)
    rows = np.stack([np.arange(55), np.full(55, 8), np.full(55, 3)], 1).astype(np.int32)
    lists = {"wrong_updown": rows, "wrong_updown_sampled": rows[:12]}
    lists |= {"wrong_updown_gibbs": rows[:1], "close": rows[:0]}
    np.savez(
        folder / "labels.npz",
        allow_pickle=False,
        samples=images[:30].reshape(3, 10, 1, 8, 8),
        sample_steps=np.array(1000),
        chains=images[:6].reshape(3, 2, 1, 8, 8),
        chain_steps=np.array([0, 1040]),
        numbers=np.arange(50),
        pictures=images[:50],
        **lists,
    )


def others(root: Path, errors: Sequence[float]) -> None:
    """What the stage `classifiers` leaves, a seed each."""
    for seed, error in enumerate(errors):
        place = root / "results/digits/classifiers" / str(seed)
        place.mkdir(parents=True)
        values = {"error_support_vectors": 0.02, "error_backprop_two": error}
        values |= {} if seed else {"error_selected": 0.03}
        told = {"suite": "digits", "method": "classifiers", "seed": seed, "fingerprint": 64 * "0"}
        told |= {"schema": 1, "values": values, "reasons": {}, "flags": {}, "protocol": {}}
        (place / "metrics.json").write_text(json.dumps(told))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made_up.results(tmp_path, SETTINGS)
    return tmp_path


SETTINGS = made_up.params(methods=["ebgan", "dbn_updown"], variants=[], seeds=(0, 1))


def blocks(root: Path) -> dict[str, Block]:
    (suite,) = gather(root, SETTINGS)
    return {b.name: b for b in belief_network.blocks(suite) if isinstance(b, Captioned)}


def drawn(panel: Panel) -> tuple[list[str], int]:
    """Its words, and how many pictures it has."""
    ax = Canvas().add_axes((0, 0, 1, 1))
    panel.draw(ax)
    return [text.get_text() for text in ax.texts], len(ax.images)


def test_a_row_is_drawn_for_each_label_and_a_chains_columns_are_its_steps(root: Path):
    keep(root / "results/digits/dbn_updown/0")
    figure = blocks(root)["dbn-labels"]
    assert isinstance(figure, Figure) and "after 1,000 Gibbs steps" in figure.caption
    samples, chains = figure.panels
    assert samples.title == "Samples, 1,000 Gibbs steps each"
    assert drawn(samples) == (["0", "1", "2"], 1)
    assert drawn(chains) == (["0", "1", "2", "0", "1,040"], 1)


def test_images_that_a_way_gets_wrong_stand_over_both_labels_up_to_fifty(root: Path):
    keep(root / "results/digits/dbn_updown/1")
    figure = blocks(root)["dbn-mistaken"]
    assert isinstance(figure, Figure) and "seed 1" in figure.caption
    by_c, by_b, by_a = figure.panels  # a list without an image is not drawn
    assert by_c.title.endswith(": 50 of 55") and by_b.title.endswith(": 12 of 12")
    assert drawn(by_c) == (50 * ["8→3"], 5)
    assert drawn(by_b) == (12 * ["8→3"], 2) and drawn(by_a) == (["8→3"], 1)
    assert by_c.height > by_b.height > by_a.height
    assert figures.files(figure.panels, "x")["png"]


def test_a_list_that_is_missing_is_named(root: Path):
    path = root / "results/digits/dbn_updown/0/labels.npz"
    np.savez(path, samples=np.zeros((3, 10, 1, 8, 8), np.uint8))
    with pytest.raises(UserError, match=r"labels\.npz: found no array 'sample_steps'"):
        blocks(root)


def test_classifiers_stand_beside_the_dbn_with_what_the_paper_prints(root: Path):
    others(root, [0.02, 0.04])
    table = blocks(root)["dbn-beside"]
    assert isinstance(table, Table) and "80 test, 160 train images" in table.caption
    rows = {label: [cell.main for cell in cells] for label, cells in table.rows}
    assert rows["DBN with labels, greedy phase alone, by (c)"] == ["0.0249", "0.0600", "2", "25 %"]
    assert rows["Support vectors, degree 9"] == ["0.0140", "0.0200", "2", "100 %"]
    assert rows["Back-propagation, two hidden layers"][2] == "2"
    assert rows["the same, epoch chosen on images held out"][1:3] == ["0.0300", "1"]
    assert rows["Nearest training image, L2"] == ["0.0310", "not run here", "", ""]
    intervals = {label: cells[1].small for label, cells in table.rows}
    assert intervals["Support vectors, degree 9"] == "", "no seed moves it"
    assert intervals["Back-propagation, two hidden layers"].startswith("[")
    assert "Test errors beside other classifiers" in markdown(sections(gather(root, SETTINGS)))


def test_a_suite_with_neither_labels_nor_classifiers_has_no_such_table(tmp_path: Path):
    settings = made_up.params(methods=["ebgan"], variants=[], seeds=(0,))
    made_up.results(tmp_path, settings)
    (suite,) = gather(tmp_path, settings)
    assert not [b for b in belief_network.blocks(suite) if getattr(b, "name", "") == "dbn-beside"]


def test_results_of_before_labels_were_kept_are_shown_without_them(root: Path):
    names = blocks(root)
    assert "dbn-beside" in names and "dbn-labels" not in names and "dbn-mistaken" not in names


def test_what_the_table_says_of_the_paper_is_what_a_claim_or_its_page_says():
    """A number stands in both: there for the verdict, here for the reader."""
    page = (ROOT / "docs/papers/dbn_updown.md").read_text()
    claims = claims_file.load(shipped(), ROOT / "reports/claims.yaml")
    papers = ("hinton_2006", "hinton_salakhutdinov_2006")
    published = {
        (part.statistic.measure, paper.value)
        for claim in claims
        if claim.paper in papers
        for part in claim.tests
        if part.statistic.kind == "measure"
        for paper in claim.published
    }
    rows = belief_network.WORDS["beside"]["rows"]
    printed = [row for row in rows if isinstance(row["published"], float)]
    assert len(printed) == 10  # of 13: the other three are words
    for row in printed:
        there = f" {100 * row['published']:g} %" in page.replace("**", " ")
        assert (row["measure"], row["published"]) in published or there, row["label"]
