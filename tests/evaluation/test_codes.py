"""What evaluation keeps of codes and reconstructions, so that a report needs no model."""

from pathlib import Path

import numpy as np
import pytest
import small
import torch
from params_file import shipped

from ebmrepro.evaluation import evaluate
from ebmrepro.methods.base.abilities import ComparesStarts, Diagnoses
from ebmrepro.networks.images import from_uint8, to_uint8

ASKED = shipped().suites["digits"].evaluate


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """Blobs in the place of a suite's images; returns the test split."""
    splits = {"train": small.pictures(seed=0), "test": small.pictures(seed=1)}
    for place in (evaluate.data, evaluate.models.data):
        monkeypatch.setattr(place, "read", lambda _, split: splits[split])
    return splits["test"]


def model(code: int):
    return small.build("autoencoder", layers=[10, code]).eval()


def test_codes_of_two_numbers_are_kept_beside_two_principal_components(data, tmp_path: Path):
    images, labels = data
    whole = model(code=2)
    values = evaluate._of_a_plane("blobs", whole, ASKED, tmp_path)
    assert set(values) == {"neighbour_error_code", "neighbour_error_pca"}
    with np.load(tmp_path / "codes.npz", allow_pickle=False) as kept:
        code = whole.code(from_uint8(images)).detach().numpy()
        np.testing.assert_allclose(kept["code"], code, atol=2e-3)
        seen = small.pictures(seed=0)[0].reshape(len(images), -1) / 255
        axes = np.linalg.svd(seen - seen.mean(0), full_matrices=False)[2][:2]
        pca = (images.reshape(len(images), -1) / 255 - seen.mean(0)) @ axes.T
        np.testing.assert_allclose(np.abs(kept["pca"]), np.abs(pca), atol=5e-3)  # but for signs
        assert kept["labels"].tolist() == labels.tolist()
        assert kept["code"].dtype == np.float16 and kept["labels"].dtype == np.uint8
    # The classes of the blobs are what their pixels differ by.
    assert values["neighbour_error_pca"] == 0


def test_a_wider_code_is_not_drawn(data, tmp_path: Path):
    assert evaluate._of_a_plane("blobs", model(code=3), ASKED, tmp_path) == {}
    assert not (tmp_path / "codes.npz").exists()


def test_a_method_without_codes_is_not_drawn_either(data, tmp_path: Path):
    assert evaluate._of_a_plane("blobs", small.build("dcgan").eval(), ASKED, tmp_path) == {}


def test_reconstructions_of_the_first_images_are_kept_beside_those_of_pca(data, tmp_path: Path):
    images, _ = data
    whole = model(code=3)
    evaluate._rebuild("blobs", whole, ASKED, tmp_path)
    x = from_uint8(images[: evaluate.REBUILT])
    with np.load(tmp_path / "reconstructions.npz", allow_pickle=False) as kept:
        assert kept.files == ["original", "pretrained", "random", "pca"]
        assert all(kept[name].dtype == np.uint8 for name in kept.files)
        assert np.array_equal(kept["original"], images[:10])
        with torch.no_grad():
            assert np.array_equal(kept["pretrained"], to_uint8(whole.reconstruct(x)))
        seen = small.pictures(seed=0)[0].reshape(24, -1).astype(float)
        axes = np.linalg.svd(seen - seen.mean(0), full_matrices=False)[2][:3]
        rows = images[:10].reshape(10, -1) - seen.mean(0)
        rebuilt = (rows @ axes.T @ axes + seen.mean(0)).round().clip(0, 255)
        # A value that lies on half a grey level may be rounded either way.
        assert np.abs(kept["pca"].reshape(10, -1) - rebuilt).max() <= 1


def test_the_same_model_keeps_the_same_bytes(data, tmp_path: Path):
    files = []
    for name in ("once", "again"):
        out = tmp_path / name
        out.mkdir()
        evaluate._of_a_plane("blobs", model(code=2), ASKED, out)
        evaluate._rebuild("blobs", model(code=2), ASKED, out)
        files.append([path.read_bytes() for path in sorted(out.iterdir())])
    assert files[0] == files[1] and len(files[0]) == 2


def test_only_a_method_that_shows_reconstructions_is_asked_for_them():
    assert isinstance(model(code=2), ComparesStarts)
    assert not isinstance(small.build("ebgan"), ComparesStarts)


@pytest.mark.parametrize("name", ["autoencoder", "rbm"])
def test_what_a_method_says_of_itself_is_among_its_measures(data, name: str):
    whole, images = small.build(name).eval(), data[0]
    told: Diagnoses = whole
    said = told.diagnose(*(evaluate.models.Split("blobs", s) for s in ("train", "test")))
    found = evaluate._of_the_model("blobs", whole, images, ASKED)
    assert said and {key: found[key] for key in said} == said
