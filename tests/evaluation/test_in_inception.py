"""Measures in Inception features: what is kept of real images, and what is measured against it.

A small made-up extractor stands in the place of the network, which tests/metrics/test_inception.py
holds to pytorch-fid's.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from params_file import shipped

from ebmrepro.config.evaluation import Evaluate, InInception
from ebmrepro.evaluation import in_inception
from ebmrepro.metrics import (
    density_coverage,
    fid,
    flags,
    inception,
    inception_score,
    kid,
    memorisation,
    precision_recall,
)
from ebmrepro.metrics.features import Features, fit_gaussian
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.networks import threads
from ebmrepro.system.errors import UserError

DIMENSIONS, OUTPUTS = 6, 5
ASKED = shipped().suites["digits"].evaluate
ALL = {"fid", "inception_score", "inception_score_sd", "kid"}
ALL |= {"precision_inception", "recall_inception", "density_inception", "coverage_inception"}
ALL |= {"fid_infinity", "authenticity_inception", "copying_inception"}
MISSING = "the Inception weights are not on this machine: ..."


def asked(**changes) -> Evaluate:
    block = InInception(**({"split": "train", "images": 1000, "splits": 2} | changes))
    return ASKED.model_copy(update={"inception": block})


def pictures(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 1, 4, 4), dtype=np.uint8)


SPLITS = {"train": pictures(40, 1), "test": pictures(20, 2)}
GENERATED = pictures(30, 3) // 2


def extracted(images: np.ndarray) -> Features:
    x = images.mean(axis=1).reshape(len(images), -1) / 255
    weights = np.random.default_rng(0).normal(size=(16, DIMENSIONS + OUTPUTS))
    features, logits = np.split(x @ weights, [DIMENSIONS], axis=1)
    odds = np.exp(logits)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    return Features("inception", features.astype(np.float32), probabilities)


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images the extractor was given, call by call; with weights and data at hand."""
    calls: list[int] = []
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"weights")

    def features(images, path, batch, device, follow):
        assert torch.get_num_threads() == threads.GIVEN
        assert not torch.backends.cudnn.allow_tf32  # which torch allows by itself
        assert path == weights and batch == inception.BATCH[device]
        calls.append(len(images))
        assert list(follow([0, 1], 2)) == [0, 1]
        return extracted(images)

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(inception, "find_weights", lambda: (weights, None))
    monkeypatch.setattr(inception, "inception_features", features)
    monkeypatch.setattr(inception, "DIMENSIONS", DIMENSIONS)
    monkeypatch.setattr(in_inception.data, "read", lambda _, split: (SPLITS[split], None))
    hashes = {split: {"sha256": f"{split} of now"} for split in (*SPLITS, "validation")}
    monkeypatch.setattr(in_inception.data, "describe", lambda _: {"splits": hashes})
    return calls


def measured(place: Path, evaluate: Evaluate, about: dict) -> Measurement:
    return in_inception.measure("made_up", place, about, GENERATED, evaluate)


def test_values_are_those_of_the_measures_on_the_features(seen: list[int], tmp_path: Path):
    about = in_inception.keep("made_up", asked(), tmp_path)
    found = measured(tmp_path, asked(), about)
    real, fake = extracted(SPLITS["train"]), extracted(GENERATED)
    mean, spread = inception_score.inception_score(fake.probabilities, 2)
    k = ASKED.neighbours
    near = precision_recall.precision_recall(real.features, fake.features, k)
    dense = density_coverage.density_coverage(real.features, fake.features, k)
    held_out = extracted(SPLITS["test"]).features
    own, theirs = (memorisation.near(real.features, x) for x in (fake.features, held_out))
    expected = {
        "fid": fid.frechet_distance(fit_gaussian(fake.features), fit_gaussian(real.features)),
        "inception_score": mean,
        "inception_score_sd": spread,
        "kid": kid.kernel_distance(real.features, fake.features),
        "precision_inception": near.precision,
        "recall_inception": near.recall,
        "density_inception": dense.density,
        "coverage_inception": dense.coverage,
        "authenticity_inception": own.authentic,
        "copying_inception": memorisation.copying(own.distances, theirs.distances),
        "fid_infinity": None,
    }
    assert found.values == pytest.approx(expected) and set(found.values) == ALL
    assert set(found.reasons) == {"fid_infinity"}
    assert found.flags["kid"] == "only 30 images: a rough estimate"
    assert found.flags["inception_score"] == "only 15 images: a rough estimate"


def test_the_network_has_all_threads_where_a_small_classifier_has_one(
    seen: list[int], tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(threads, "GIVEN", 2)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        in_inception.keep("made_up", ASKED, tmp_path)
        assert seen == [20] and torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_real_images_are_looked_at_once(seen: list[int], tmp_path: Path):
    about = in_inception.keep("made_up", asked(), tmp_path)
    for _ in range(3):
        measured(tmp_path, asked(), about)
    assert seen == [40, 20, 30, 30, 30]
    kept = {"inception-test.npz", "inception-train.npz", "kept-inception.npz"}
    assert {path.name for path in tmp_path.glob("*.npz")} == kept


def test_without_weights_all_are_null_with_the_reason(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(inception, "find_weights", lambda: (None, MISSING))
    about = in_inception.keep("made_up", asked(statistics="x.npz"), tmp_path)
    assert about == {"fid_reason": MISSING} and not list(tmp_path.iterdir())
    assert in_inception.held_out("made_up", asked(), tmp_path, about) == {}
    found = measured(tmp_path, asked(statistics="x.npz"), about)
    assert found.values == dict.fromkeys([*ALL, "fid_published"])
    assert found.reasons == dict.fromkeys([*ALL, "fid_published"], MISSING)
    assert found.protocol == {}


def test_a_suite_that_asks_for_no_more_has_fid_alone(seen: list[int], tmp_path: Path, monkeypatch):
    about = in_inception.keep("made_up", ASKED, tmp_path)
    assert set(measured(tmp_path, ASKED, about).values) == {"fid"}
    assert in_inception.held_out("made_up", ASKED, tmp_path, about) == {}
    assert seen == [20, 30]  # held to evaluate.split
    monkeypatch.setattr(inception, "find_weights", lambda: (None, MISSING))
    found = measured(tmp_path, ASKED, in_inception.keep("made_up", ASKED, tmp_path))
    assert found.values == {"fid": None} and found.reasons == {"fid": MISSING}


def test_the_protocol_has_the_hash_the_reference_and_the_rule_for_grey_images(
    seen: list[int], tmp_path: Path, monkeypatch
):
    def told() -> dict[str, str]:
        evaluate = asked(images=15)
        about = in_inception.keep("made_up", evaluate, tmp_path)
        return dict(measured(tmp_path, evaluate, about).protocol)

    found = told()
    assert found["inception_sha256"] == inception.digest(tmp_path / "weights.pth")
    assert found["inception features"].endswith("grey images are replicated to three channels")
    assert found["inception reference"] == "train split, 14 images, one in 3"
    assert found["inception_score"].startswith("2 contiguous splits; softmax over all 5")
    monkeypatch.setitem(SPLITS, "train", SPLITS["train"].repeat(3, axis=1))
    assert "grey" not in told()["inception features"]


def test_images_are_taken_from_all_of_a_split_that_is_too_large(
    seen: list[int], tmp_path: Path, monkeypatch
):
    in_inception.keep("made_up", asked(images=20), tmp_path)
    with np.load(tmp_path / "inception-train.npz", allow_pickle=False) as stored:
        assert np.array_equal(stored["features"], extracted(SPLITS["train"][::2]).features)
    assert seen == [20, 20]


def test_images_that_were_not_trained_on_are_a_row_beside_training_images(
    seen: list[int], tmp_path: Path
):
    about = in_inception.keep("made_up", asked(), tmp_path)
    found = in_inception.held_out("made_up", asked(), tmp_path, about)["held_out"]
    sides = [fit_gaussian(extracted(SPLITS[side]).features) for side in ("train", "test")]
    assert set(found.values) == ALL
    assert found.values["fid"] == pytest.approx(fid.frechet_distance(*sides))
    assert found.values["copying_inception"] == 0  # held to themselves
    other = asked(split="test")  # copies of training images are that row
    about = in_inception.keep("made_up", other, tmp_path)
    assert in_inception.held_out("made_up", other, tmp_path, about) == {}


@pytest.mark.parametrize("split", ["train", "test"])
def test_copies_of_training_images_are_flagged_whatever_they_are_compared_with(
    seen: list[int], tmp_path: Path, split: str
):
    about = in_inception.keep("made_up", asked(split=split), tmp_path)
    copies = SPLITS["train"].repeat(5, axis=0)
    found = in_inception.measure("made_up", tmp_path, about, copies, asked(split=split))
    assert found.values["authenticity_inception"] == 0 and found.flags["fid"] == flags.COPIES
    told = found.protocol["inception memorisation"]
    assert told.startswith("training split, 40 images, and 20 held-out images")


def test_published_statistics_give_a_number_of_their_own(
    seen: list[int], tmp_path: Path, monkeypatch
):
    mirror, place = tmp_path / "mirror", tmp_path / "place"
    mirror.mkdir()
    place.mkdir()
    np.savez(mirror / "theirs.npz", mu=np.ones(DIMENSIONS), sigma=np.eye(DIMENSIONS))
    monkeypatch.setenv("EBMREPRO_DATA_MIRROR", str(mirror))
    evaluate = asked(statistics="theirs.npz")
    about = in_inception.keep("made_up", evaluate, place)
    digest = inception.digest(mirror / "theirs.npz")
    (mirror / "theirs.npz").unlink()  # `evaluate` needs no mirror
    found = measured(place, evaluate, about)
    theirs = fid.Gaussian(np.ones(DIMENSIONS), np.eye(DIMENSIONS), None)
    own = fit_gaussian(extracted(GENERATED).features)
    assert found.values["fid_published"] == pytest.approx(fid.frechet_distance(own, theirs))
    assert found.protocol["fid_published"] == f"theirs.npz, SHA-256 {digest}"
    with pytest.raises(UserError, match=r"inception\.statistics: no file theirs\.npz in the mir"):
        in_inception.keep("made_up", evaluate, place)


@pytest.mark.parametrize(
    ("change", "what"),
    [("sha256", "other Inception weights"), ("images_sha256", "other train images")],
)
def test_what_was_kept_of_other_weights_or_images_is_not_compared_with(
    seen: list[int], tmp_path: Path, change: str, what: str
):
    about = in_inception.keep("made_up", asked(), tmp_path)
    about["inception"][change] = 64 * "0"
    with pytest.raises(UserError, match=f"{what}, SHA-256 000000000000.*`reference` again"):
        measured(tmp_path, asked(), about)


def test_weights_that_are_gone_are_named(seen: list[int], tmp_path: Path, monkeypatch):
    about = in_inception.keep("made_up", asked(), tmp_path)
    monkeypatch.setattr(inception, "find_weights", lambda: (None, MISSING))
    with pytest.raises(UserError, match="has Inception features, but the Inception weights"):
        measured(tmp_path, asked(), about)


def test_images_without_a_kth_neighbour_have_no_precision_and_recall(
    seen: list[int], tmp_path: Path, monkeypatch
):
    monkeypatch.setitem(SPLITS, "train", SPLITS["train"][: ASKED.neighbours])
    found = measured(tmp_path, asked(), in_inception.keep("made_up", asked(), tmp_path))
    assert found.values["precision_inception"] is None
    assert found.reasons["recall_inception"] == "3 images have no neighbour number 3"
    assert found.values["kid"] is not None


def test_all_three_splits_may_be_different_ones(seen: list[int], tmp_path: Path, monkeypatch):
    monkeypatch.setitem(SPLITS, "validation", pictures(16, 4))
    about = in_inception.keep("made_up", asked(split="validation"), tmp_path)
    assert set(about["inception"]["images"]) == {"validation", "train", "test"}
    assert set(measured(tmp_path, asked(split="validation"), about).values) == ALL
