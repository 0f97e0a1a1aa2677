"""What is no system is measured as systems are: copies, noise, the mean image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from params_file import shipped
from PIL import Image

from ebmrepro.config import params
from ebmrepro.evaluation import in_inception, kept, reference
from ebmrepro.metrics import fid, memorisation
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.flags import COPIES
from ebmrepro.networks import images
from ebmrepro.system.errors import UserError

SHIPPED = shipped()
RANDOM = np.random.default_rng(0)
DRAWN = 128 + 40 * RANDOM.normal(size=(1797, 6)) @ RANDOM.normal(size=(6, 64))
IMAGES = DRAWN.clip(0, 255).astype(np.uint8).reshape(-1, 1, 8, 8)
SPLITS = {"train": IMAGES[:1400], "test": IMAGES[1400:]}
GENERATED = 600
WIDTH = 12
NONE = {"fid_reason": "no weights"}  # of the Inception network


class Made:
    """A classifier by seed: fixed random features."""

    def __init__(self, suite: str, seed: int, settings: params.Params):
        self.W = np.random.default_rng(seed).normal(size=(64, WIDTH))
        self.title, self.sha256, self.calls = f"made up, seed {seed}", 64 * str(seed), []

    def __call__(self, pictures: np.ndarray) -> Features:
        self.calls.append(len(pictures))
        x = np.tanh(pictures.reshape(len(pictures), -1) / 255 @ self.W)
        odds = np.exp(x[:, :10])
        return Features("dbn", x.astype(np.float32), odds / odds.sum(axis=1, keepdims=True))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> params.Params:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reference, "Classifier", Made)
    monkeypatch.setattr(reference.data, "read", lambda _, split: (SPLITS[split], None))
    monkeypatch.setattr(reference.data, "describe", lambda place: {"name": place.name})
    monkeypatch.setattr(in_inception.inception, "find_weights", lambda: (None, "no weights"))
    for seed in (3, 4):
        weights = tmp_path / f"models/digits/dbn/{seed}/model.safetensors"
        weights.parent.mkdir(parents=True)
        weights.touch()
    digits = SHIPPED.suites["digits"]
    evaluate = digits.evaluate.model_copy(update={"generated": GENERATED})
    suites = {"digits": digits.model_copy(update={"evaluate": evaluate})}
    return SHIPPED.model_copy(update={"suites": suites})


def measured(project: params.Params) -> dict:
    reference.reference("digits", project)
    return json.loads(Path("results/digits/reference/reference.json").read_text())


def test_copies_noise_and_the_mean_image_have_all_measures_of_a_system(project: params.Params):
    rows = measured(project)["rows"]
    system = reference.Extractor("digits", project).measure(SPLITS["test"][:300], NONE)
    assert set(rows) == {"copies", "noise", "mean"}
    for row in rows.values():
        assert set(row["values"]) == set(system.values)
        assert row["values"]["fid"] is None and row["reasons"]["fid"] == "no weights"
    copies, noise, mean = rows["copies"], rows["noise"], rows["mean"]
    names = ("authenticity_dbn", "copying_dbn", "fd_dbn")
    assert all(copies["flags"][name] == COPIES for name in names)
    assert COPIES not in [*noise["flags"].values(), *mean["flags"].values()]
    assert "all its images are one" in mean["flags"]["classes_covered"]
    assert copies["values"]["fd_dbn"] < noise["values"]["fd_dbn"]
    assert copies["values"]["authenticity_dbn"] == 0
    assert mean["values"]["is_dbn"] == pytest.approx(1)


def test_a_row_has_as_many_images_as_a_system(project: params.Params):
    block = project.suites["digits"].evaluate
    rows = reference._rows(SPLITS["train"], block)
    assert {len(x) for x in rows.values()} == {GENERATED}
    seen = {image.tobytes() for image in SPLITS["train"]}
    assert all(image.tobytes() in seen for image in rows["copies"])
    assert np.array_equal(rows["mean"][5, 0], SPLITS["train"].mean(axis=0)[0].round())


def test_a_report_learns_what_real_images_are_without_the_data(project: params.Params):
    measured(project)
    place = Path("results/digits/reference")
    shown = np.array(Image.open(place / "real.png"))
    assert np.array_equal(shown, images.grid(SPLITS["test"][:64], columns=8))
    own, told = (
        json.loads(path.read_text())
        for path in (Path("reference/digits/reference.json"), place / "reference.json")
    )
    assert (told["split"], told["count"]) == ("test", len(SPLITS["test"]))
    asked = project.suites["digits"].evaluate
    block = asked.model_dump(exclude_none=True)
    assert told == own | {"dataset": {"name": "digits"}, "evaluate": block}
    assert told["extractor_sha256"] == 64 * "3" and told["second_extractor_sha256"] == 64 * "4"
    copies = reference._rows(SPLITS["train"], asked)["copies"]
    found = reference.Extractor("digits", project).measure(copies, own)
    assert told["protocol"] == found.protocol


def test_copies_are_looked_for_among_all_training_images_or_evenly_spaced_ones(
    project: params.Params, monkeypatch: pytest.MonkeyPatch
):
    known = reference.Extractor("digits", project).known
    assert len(known.seen.features) == 1400 and known.told == "1,400 images"
    monkeypatch.setattr(reference, "SEEN", 500)
    known = reference.Extractor("digits", project).known
    assert len(known.seen.features) == 467 and known.told == "467 images, one in 3"


def test_the_distance_in_a_second_network_stands_beside_the_first_and_is_named(
    project: params.Params,
):
    extract = reference.Extractor("digits", project)
    found = extract.measure(SPLITS["train"], NONE)
    for name, seed in (("fd_dbn", 3), ("fd_dbn_second", 4)):
        one = Made("digits", seed, project)
        fake, real = (one(SPLITS[split]).gaussian for split in ("train", "test"))
        assert found.values[name] == pytest.approx(fid.frechet_distance(fake, real))
    assert found.protocol["extractor"] == f"made up, seed 3, {WIDTH} features"
    assert found.protocol["second_extractor"] == f"made up, seed 4, {WIDTH} features"
    assert found.protocol["second_extractor_sha256"] == 64 * "4"


def test_real_images_are_looked_at_once(project: params.Params):
    extract = reference.Extractor("digits", project)
    for _ in range(3):
        extract.measure(SPLITS["test"][:100], NONE)
    first: Any = extract.first
    assert sorted(first.calls) == [100, 100, 100, 397, 1400]


def test_what_was_kept_of_real_images_gives_the_measures_that_finding_it_gives(
    project: params.Params, monkeypatch: pytest.MonkeyPatch
):
    found = reference.Extractor("digits", project).measure(SPLITS["test"][:300], NONE)
    reference.reference("digits", project)
    for room, name in ((memorisation, "own_nearest"), (kept, "find")):  # is not done again
        monkeypatch.setattr(room, name, None)
    extract = reference.Extractor("digits", project, kept=True)
    assert extract.measure(SPLITS["test"][:300], NONE) == found


def test_what_was_kept_of_other_images_or_features_is_refused(
    project: params.Params, monkeypatch: pytest.MonkeyPatch
):
    reference.reference("digits", project)
    other = project.model_copy(update={"run": project.run.model_copy(update={"seeds": [4]})})
    with pytest.raises(UserError, match=r"kept-dbn\.npz: .* of another extractor .* SHA-256 4444"):
        reference.Extractor("digits", other, kept=True).measure(SPLITS["test"], NONE)
    monkeypatch.setitem(SPLITS, "train", SPLITS["train"][:1000])
    with pytest.raises(UserError, match="run the stage `reference` again"):
        reference.Extractor("digits", project, kept=True).measure(SPLITS["test"], NONE)


@pytest.mark.parametrize("seeds", [[3], [3, 9]])  # no second seed, and one that was not trained
def test_without_a_second_network_it_is_null_with_the_reason(project: params.Params, seeds):
    run = project.run.model_copy(update={"seeds": seeds})
    extract = reference.Extractor("digits", project.model_copy(update={"run": run}))
    found = extract.measure(SPLITS["test"][:100], NONE)
    assert found.values["fd_dbn_second"] is None
    assert found.reasons["fd_dbn_second"] == "there is no DBN of a second seed"
    assert "second_extractor" not in found.protocol


def test_a_copy_of_any_training_image_of_mnist_is_found():
    assert reference.SEEN >= 60_000


def test_it_may_be_made_again_beside_the_results_that_are_there(project: params.Params):
    assert measured(project) == measured(project)
