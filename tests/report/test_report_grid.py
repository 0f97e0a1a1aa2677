"""EBGAN's grid on the page, from made-up results."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import made_up
import numpy as np
import pytest

from ebmrepro.metrics.separation import auroc
from ebmrepro.networks import images
from ebmrepro.report import page
from ebmrepro.report.blocks import Figure, Gallery, Section, Table
from ebmrepro.report.gather import gather
from ebmrepro.report.grid import section
from ebmrepro.system.errors import UserError

COUNTS = {"ebgan": 12, "gan": 18, "ebgan_pt": 4}


def row(kind: str, score: float, rng: np.random.Generator) -> dict[str, Any]:
    layers = [int(n) for n in rng.integers(2, 6, 2)]
    gan = kind == "gan"
    return {
        "kind": kind,
        "nLayerG": layers[0],
        "nLayerD": layers[1],
        "sizeG": 400,
        "sizeD": 128,
        "dropoutD": "true",
        "optimD": str(rng.choice(["adam", "sgd"])) if gan else "adam",
        "optimG": "adam",
        "lr": float(rng.choice([0.01, 0.001])) if gan else 0.001,
        "margin": "" if gan else 10,
        "score": score,
        "score_squared": score**2,
        "inception_score": 1 + score / 4,
        "real": "" if kind == "sweep" and score == 0 else 3.0,
        "fake": "" if kind == "sweep" and score == 0 else 5.0,
    }


def write(root: Path, seed: int) -> None:
    """What the stage `grid` leaves: EBGANs above GANs."""
    folder, rng = (
        root / "results" / "digits" / "ebgan_grid" / str(seed),
        np.random.default_rng(seed),
    )
    folder.mkdir(parents=True)
    high = {"ebgan": 20.0, "gan": 8.0, "ebgan_pt": 22.0}
    rows = [
        row(kind, float(rng.uniform(0, high[kind])), rng)
        for kind, n in COUNTS.items()
        for _ in range(n)
    ]
    # The first margin diverged.
    sweep = [{**row("sweep", 5.0 * i, rng), "margin": m} for i, m in enumerate((1, 10, 32))]
    for name, table in (("scores", rows), ("margin", sweep)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    score = {k: [r["score"] for r in rows if r["kind"] == k] for k in COUNTS}
    picture = images.grid(rng.integers(0, 256, (16, 1, 8, 8), dtype=np.uint8), 4)
    for name in ("best_ebgan", "best_gan", "best_ebgan_pt", "margin_10", "margin_32"):
        images.save_png(folder / f"{name}.png", picture)
    metrics = {
        "suite": "digits",
        "method": "ebgan_grid",
        "seed": seed,
        "fingerprint": 64 * "9",
        "step": 300,
        "values": {
            "grid_auroc": auroc(score["gan"], score["ebgan"]),
            "grid_auroc_pt": 0.5,
            **{f"grid_median_{k}": float(np.median(s)) for k, s in score.items()},
            **{f"grid_best_{k}": max(s) for k, s in score.items()},
        },
        "intervals": {"grid_auroc": [0.6, 0.9], "grid_auroc_pt": [0.2, 0.8]},
        "counts": {k: {"drawn": n, "of": 512, "diverged": 1} for k, n in COUNTS.items()},
        "reference": {"score": 30.0, "inception_score": 9.0, "classes": 10},
        "protocol": {"training": "300 steps"},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))


def sections(root: Path) -> Sequence[Section]:
    return section(gather(root, made_up.params()))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for seed in (0, 1):
        write(root, seed)
    return root


def blocks(section: Section) -> list[Any]:
    return [block for part in section.sections for block in part.blocks]


def test_a_grid_has_its_histograms_digits_margins_and_protocol(root: Path):
    (whole,) = sections(root)
    assert whole.slug == "digits-grid"  # where the claim points
    parts = ["scores", "best", "margins", "protocol"]
    assert [part.slug for part in whole.sections] == [f"digits-grid-{part}" for part in parts]
    histograms = next(b for b in blocks(whole) if b.name == "digits-grid-histograms")
    assert [panel.title for panel in histograms.panels] == [
        "All configurations",
        "At most 4 layers in G and in D",
        "At most 3 layers in G and in D",
    ]
    drawn = [b for b in blocks(whole) if isinstance(b, Figure | Gallery)]
    assert all(block.caption.endswith(".") and block.title for block in drawn)
    for name, data in page.files([whole]):
        assert data, name


def test_the_probability_is_that_of_the_rows_and_stands_with_its_interval(root: Path):
    (whole,) = sections(root)
    table = next(b for b in blocks(whole) if b.name == "digits-grid-probability")
    assert [label for label, _ in table.rows] == ["Seed 0", "Seed 1"]
    for seed, (_, cells) in enumerate(table.rows):
        path = root / f"results/digits/ebgan_grid/{seed}/metrics.json"
        values = json.loads(path.read_text())["values"]
        assert cells[1].main == f"{values['grid_auroc']:.3f}"
        assert cells[1].small == "[0.600, 0.900]"


def test_adam_against_adam_comes_first(root: Path):
    (whole,) = sections(root)
    table = next(b for b in blocks(whole) if b.name == "digits-grid-probability")
    with (root / "results/digits/ebgan_grid/0/scores.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["optimD"] == "adam"]
    score = {k: [float(r["score"]) for r in rows if r["kind"] == k] for k in ("gan", "ebgan")}
    assert table.rows[0][1][0].main == f"{auroc(score['gan'], score['ebgan']):.3f}"


def test_results_of_before_are_said_to_be_squared(root: Path, tmp_path: Path):
    told = "every I' in them is the squared form"
    assert told not in str(sections(root)[0].blocks)
    write(tmp_path, 0)
    table = tmp_path / "results/digits/ebgan_grid/0/scores.csv"
    table.write_text(table.read_text().replace("score_squared", "other", 1))
    assert told in str(sections(tmp_path)[0].blocks)


def test_the_panels_of_few_layers_hold_only_such_networks(root: Path):
    (whole,) = sections(root)
    with (root / "results/digits/ebgan_grid/0/scores.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if max(int(r["nLayerG"]), int(r["nLayerD"])) <= 4]
    score = {k: [float(r["score"]) for r in rows if r["kind"] == k] for k in ("gan", "ebgan")}
    table = next(b for b in blocks(whole) if b.name == "digits-grid-probability")
    assert isinstance(table, Table)
    assert table.rows[0][1][2].main == f"{auroc(score['gan'], score['ebgan']):.3f}"


def test_a_margin_that_diverged_has_no_digits_and_says_why(root: Path):
    (whole,) = sections(root)
    digits = next(b for b in blocks(whole) if b.name == "digits-grid-digits")
    assert [(tile.png is None, tile.missing) for tile in digits.tiles] == [
        (True, "diverged"),
        (False, "diverged"),
        (False, "diverged"),
    ]
    assert "I' 0.0" in digits.tiles[0].label


def test_without_a_grid_there_is_no_section_and_half_a_grid_is_said(tmp_path: Path):
    assert sections(tmp_path) == []
    write(tmp_path, 3)
    (tmp_path / "results/digits/ebgan_grid/3/scores.csv").unlink()
    with pytest.raises(UserError, match=r"scores\.csv: no such file"):
        sections(tmp_path)
