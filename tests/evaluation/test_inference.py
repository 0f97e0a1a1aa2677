"""What evaluation keeps of a model that infers labels, so that a report needs no model."""

from pathlib import Path

import numpy as np
import pytest
import small
from params_file import shipped

from ebmrepro.evaluation import inference
from ebmrepro.methods.base.abilities import InfersLabels

ASKED = shipped().suites["digits"].evaluate
P = np.array(
    [
        [0.7, 0.2, 0.1],
        [0.5, 0.3, 0.2],  # the second by 0.2
        [0.1, 0.6, 0.3],
        [0.05, 0.05, 0.9],
        [0.45, 0.1, 0.45],  # a tie: the first of the highest
        [0.36, 0.34, 0.3],
    ]
)


def test_images_taken_for_others_come_with_the_worst_first_by_hand():
    labels = np.array([0, 0, 2, 0, 2, 1])
    # Wrong: 2 (0.6 against 0.3, twice), 3 (0.9 against 0.05), 4 (even), 5 (0.36 against 0.34).
    listed = inference.mistaken(np.log(P), labels)
    assert listed.tolist() == [[3, 0, 2], [2, 2, 1], [5, 1, 0], [4, 2, 0]]
    assert inference.errors({"x": np.log(P)}, labels) == {"error_x": 4 / 6}


def test_images_that_are_hardly_right_come_with_the_closest_first_by_hand():
    labels = np.array([0, 0, 1, 1, 1, 0])
    # Right: 0 (by 0.5), 1 (by 0.2), 2 (by 0.3 and no less), 5 (by 0.02).
    listed = inference.close(np.log(P), labels)
    assert [row for row in listed.tolist() if row[0] != 2] == [[5, 0, 1], [1, 0, 1]]


def test_no_image_is_listed_where_all_are_right_beyond_doubt():
    labels = P.argmax(1)[:1]
    sure = np.log(P[:1])
    assert inference.mistaken(sure, labels).shape == inference.close(sure, labels).shape == (0, 3)


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """Blobs in the place of a suite's test images."""
    images, labels = small.pictures(seed=1)
    for place in (inference.data, inference.models.data):
        monkeypatch.setattr(place, "read", lambda *_: (images, labels))
    monkeypatch.setattr(inference, "STEPS", 3)
    monkeypatch.setattr(inference, "LOOKS", [0, 2])
    return images, labels


def test_what_is_kept_is_what_was_measured(data, tmp_path: Path):
    images, labels = data
    model = small.build("dbn_updown").eval()
    values = inference.measure("blobs", model, ASKED, 3, tmp_path)
    assert "error_updown" in values
    with np.load(tmp_path / "labels.npz", allow_pickle=False) as kept:
        assert kept["samples"].shape == (3, 10, 1, 8, 8) and kept["sample_steps"] == 3
        assert kept["chains"].shape == (3, 2, 1, 8, 8) and kept["chain_steps"].tolist() == [0, 2]
        assert kept["samples"].dtype == kept["pictures"].dtype == np.uint8
        for measure, value in values.items():
            rows = kept[f"wrong_{measure.removeprefix('error_')}"]
            assert len(rows) == round(value * len(images)) and len(rows) > 0
            assert (labels[rows[:, 0]] == rows[:, 1]).all() and (rows[:, 1] != rows[:, 2]).all()
            assert set(rows[: inference.KEPT, 0]) <= set(kept["numbers"])
        assert np.array_equal(kept["pictures"], images[kept["numbers"]])


def test_what_is_hardly_right_is_so_by_the_papers_own_way(data, tmp_path: Path, monkeypatch):
    """The first that a model has."""
    own, labels = np.log(np.resize(P, (24, 3))), data[1]
    scores = {"own": own, "other": own[:, ::-1], "third": np.roll(own, 1, axis=1)}
    monkeypatch.setattr(inference, "infer", lambda *_: (scores, labels))
    inference.measure("blobs", small.build("dbn_updown").eval(), ASKED, 3, tmp_path)
    close = [inference.close(each, labels).tolist() for each in scores.values()]
    assert close[0] not in close[1:]
    with np.load(tmp_path / "labels.npz", allow_pickle=False) as kept:
        assert kept["close"].tolist() == close[0]


def test_only_the_worst_are_kept_as_pictures(data, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(inference, "KEPT", 1)
    inference.measure("blobs", small.build("dbn_updown").eval(), ASKED, 3, tmp_path)
    with np.load(tmp_path / "labels.npz", allow_pickle=False) as kept:
        lists = [kept[name] for name in kept.files if name.startswith("wrong_") or name == "close"]
        assert set(kept["numbers"]) == {rows[0, 0] for rows in lists if len(rows)}


def test_the_same_model_and_seed_keep_the_same_bytes(data, tmp_path: Path):
    model, files = small.build("dbn_updown").eval(), []
    for seed in (0, 0, 1, 2):
        inference.measure("blobs", model, ASKED, seed, tmp_path)
        files.append((tmp_path / "labels.npz").read_bytes())
    assert files[0] == files[1] and len(set(files)) == 3


def test_only_a_method_that_infers_labels_is_asked():
    assert [m for m in small.METHODS if isinstance(small.build(m), InfersLabels)] == ["dbn_updown"]
