"""The deep auto-encoder's section, from made-up results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import made_up
import numpy as np
import pytest

from ebmrepro.metrics.interval import interval
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.report import autoencoder, page
from ebmrepro.report.blocks import Figure, Section, Table
from ebmrepro.report.gather import Run, Suite, System, gather
from ebmrepro.report.sections import sections

WIDE, TWO = "autoencoder", "autoencoder__two"
SEEDS = (0, 1)
ERRORS = {
    "reconstruction_sum_sq": (4.0, 4.4),
    "reconstruction_sum_sq_random": (30.25, 31.25),
    "reconstruction_sum_sq_small": (52.0, 53.0),
    "pca_sum_sq": (13.866, 13.866),
    "mean_image_sum_sq": (52.5, 52.5),
}


def made(root: Path, systems: Sequence[str] = (WIDE, TWO)) -> Sequence[Suite]:
    """A suite of the systems, of which those named `autoencoder` have what evaluation keeps."""
    methods = [name for name in systems if "__" not in name]
    variants = [name for name in systems if "__" in name]
    settings = made_up.params("mnist", methods=methods, variants=variants, seeds=SEEDS)
    made_up.results(root, settings)
    rng = np.random.default_rng(3)
    for name in systems:
        for i, seed in enumerate(SEEDS):
            folder = root / "results" / "mnist" / name / str(seed)
            if name.startswith("autoencoder"):
                keep(folder, i, rng, plane=name == TWO)
    return [with_curves(suite) for suite in gather(root, settings)]


def keep(folder: Path, i: int, rng: np.random.Generator, *, plane: bool) -> None:
    measured = json.loads((folder / "metrics.json").read_text())
    measured["values"] |= {measure: values[i] for measure, values in ERRORS.items()}
    ways = ("original", "pretrained", "random", "pca")
    pictures = {way: rng.integers(0, 256, (10, 1, 8, 8), dtype=np.uint8) for way in ways}
    np.savez(folder / "reconstructions.npz", allow_pickle=False, **pictures)
    if plane:
        measured["values"] |= {"neighbour_error_code": 0.1 + 0.1 * i, "neighbour_error_pca": 0.6}
        labels = np.arange(1200) % 10
        codes = {way: rng.normal(size=(1200, 2)).astype(np.float16) for way in ("code", "pca")}
        arrays = {**codes, "labels": labels.astype(np.uint8)}
        np.savez(folder / "codes.npz", allow_pickle=False, **arrays)
    (folder / "metrics.json").write_text(json.dumps(measured))


def with_curves(suite: Suite) -> Suite:
    """Squared errors of two epochs of fine-tuning, after two of the RBMs."""
    curve = {
        "sum_sq/pretrained": [np.nan, np.nan, 8, 4],
        "sum_sq/scratch": [np.nan, np.nan, 50, 30],
    }
    curves = {key: np.array(values, float) for key, values in curve.items()}
    systems = [
        replace(s, runs=[replace(run, curves=curves) for run in s.runs]) if s.base == WIDE else s
        for s in suite.systems
    ]
    return replace(suite, systems=systems)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Section:
    (found,) = autoencoder.section(made(tmp_path_factory.mktemp("project")))
    return found


def table(whole: Section, name: str) -> Table:
    return next(b for b in whole.blocks if isinstance(b, Table) and b.name == name)


def figure(whole: Section, name: str) -> Figure:
    return next(b for b in whole.blocks if isinstance(b, Figure) and b.name == name)


def test_errors_stand_beside_the_published_ones(whole: Section):
    (_, published), (title, own), _ = table(whole, "mnist-deep-errors").rows
    assert [cell.main for cell in published[:5]] == ["3.00", "–", "–", "13.87", "–"]
    assert title.startswith("Deep auto-encoder: 64")
    assert [cell.main for cell in own[:5]] == [
        f"{interval(v, 'log').mean:.3g}" for v in ERRORS.values()
    ]
    assert own[0].small.startswith("[") and own[3].small == "", "PCA varies with no seed"
    assert own[-1].main == "2"


LINEAR = {
    "pca_sum_sq": 13.866,
    "logistic_pca_sum_sq": 3.2,
    "mean_image_sum_sq": 52.5,
}


def test_linear_codes_stand_beside_the_published_ones(tmp_path: Path):
    made(tmp_path)
    for seed in SEEDS:
        folder = tmp_path / "results" / "mnist" / "linear_codes" / str(seed)
        folder.mkdir(parents=True)
        about = {"suite": "mnist", "method": "linear_codes", "seed": seed, "fingerprint": "0"}
        document = {**about, **Measurement({**LINEAR}).document()}
        (folder / "metrics.json").write_text(json.dumps(document))
    settings = made_up.params("mnist", methods=[WIDE], variants=[], seeds=SEEDS)
    (found,) = autoencoder.section(gather(tmp_path, settings))
    (name, published), (_, own) = table(found, "mnist-deep-linear").rows
    assert name == "Published, 30 components"
    assert [cell.main for cell in published] == ["13.87", "8.01", "–", "–"]
    assert [cell.main for cell in own] == ["13.9", "3.20", "52.5", "2"]


def test_a_suite_of_linear_codes_alone_stands_beside_the_networks_and_has_no_page(tmp_path: Path):
    whole = made(tmp_path)[0]
    run = Run(0, None, {}, Measurement({**LINEAR}).document(), {}, None)
    codes = System("linear_codes", "Linear codes", "linear_codes", {}, [], [run])
    alone = replace(whole, name="curves", title="Curves", systems=[], linear_codes=codes)
    assert not alone.generators
    shown = sections([whole, replace(alone, carried=True)])
    places = {at for section in shown for at in section.places}
    assert "mnist" in places and "curves" not in places
    (found,) = autoencoder.section([alone])
    assert table(found, "curves-deep-linear").rows
    assert "0 systems" not in "".join(page.pages(shown).values())


def test_published_errors_in_another_unit_are_brought_into_ours():
    """126 of 625 are 2.52 where all pixels' variance is 12.5."""
    values = {"total_variance": 12.5}
    run = Run(0, None, {}, Measurement({**values}).document(), {}, None)
    system = System("linear_codes", "", "", {}, [], [run])
    suite = Suite("patches", "", False, {}, {}, {}, None, [], "", linear_codes=system)
    measures = ["reconstruction_sum_sq", "pca_sum_sq"]
    ((_, _, cells),) = autoencoder._published("errors", suite, measures)
    assert [cell.main for cell in cells] == ["2.52", "2.70"]


def test_two_numbers_are_drawn_beside_two_principal_components(whole: Section):
    drawn = figure(whole, "mnist-deep-codes")
    assert [panel.title for panel in drawn.panels] == [
        "Deep auto-encoder, two, seed 0",
        "Two principal components",
    ]
    ((_, cells),) = table(whole, "mnist-deep-apart").rows
    assert [cell.main for cell in cells] == ["0.14", "0.600", "2"]


def test_reconstructions_have_a_row_for_each_way(whole: Section):
    html = "".join(page.pages([whole]).values())
    for label in ("test image", "pretrained", "random start", "PCA"):
        assert f">{label}</text>" in html


def test_fine_tuning_is_counted_from_its_own_first_epoch(whole: Section):
    from matplotlib.figure import Figure as Canvas

    ax = Canvas().add_subplot()
    figure(whole, "mnist-deep-learning").panels[0].draw(ax)
    lines = {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in ax.get_lines()}
    assert lines["random start"] == [[1, 50], [2, 30]]
    assert lines["pretrained start"] == [[1, 8], [2, 4]]
    assert {text.get_text() for text in ax.texts} == {"PCA", "mean image"}


def test_the_same_results_give_the_same_bytes(tmp_path: Path):
    once, again = (autoencoder.section(made(tmp_path / name)) for name in ("once", "again"))
    assert "".join(page.pages(once).values()) == "".join(page.pages(again).values())
    assert dict(page.files(once)) == dict(page.files(again))


def test_a_suite_without_an_auto_encoder_has_no_section(tmp_path: Path):
    assert autoencoder.section(made(tmp_path, ["ebgan"])) == []


def test_without_the_plane_the_rest_is_shown(tmp_path: Path):
    (found,) = autoencoder.section(made(tmp_path, [WIDE]))
    names = [getattr(block, "name", "") for block in found.blocks]
    assert "mnist-deep-errors" in names and "mnist-deep-codes" not in names
