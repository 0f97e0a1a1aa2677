"""The check that users run: the files of a suite, and the error of PCA."""

import numpy as np
import pytest
from loopback import no_network
from small_sources import DIGITS

from ebmrepro import data
from ebmrepro.data import DataError, check

__all__ = ["no_network"]  # fixtures, used by name


def test_a_folder_as_it_was_written_passes_the_check(tmp_path):
    data.prepare("digits", DIGITS, tmp_path / "digits")
    report = check.check(tmp_path / "digits")
    assert report.counts == {"train": 1257, "validation": 180, "test": 360}
    assert report.shape == (1, 8, 8)
    assert report.agrees is None


def test_holding_out_images_for_validation_does_not_move_the_error(tmp_path):
    data.prepare("a", DIGITS, tmp_path / "a")
    data.prepare("b", DIGITS.model_copy(update={"validation": 0}), tmp_path / "b")
    a, b = (check.check(tmp_path / n).pca_error for n in ("a", "b"))
    assert a == b


@pytest.mark.parametrize("file", ["test.npy", "validation_labels.npy"])
def test_a_flipped_bit_is_found(tmp_path, file):
    data.prepare("digits", DIGITS, tmp_path / "digits")
    path = tmp_path / "digits" / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 0x80
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{file}: found sha256 .*, expected "):
        check.check(tmp_path / "digits")


def test_a_shape_that_dataset_json_does_not_know_is_found(tmp_path):
    data.prepare("digits", DIGITS, tmp_path / "digits")
    path = tmp_path / "digits/test.npy"
    np.save(path, np.load(path).reshape(-1, 1, 4, 16))
    with pytest.raises(DataError, match=r"uint8 \(360, 1, 4, 16\) .* says uint8 \(360, 1, 8"):
        check.check(tmp_path / "digits")


def test_an_array_cut_short_is_named(tmp_path):
    data.prepare("digits", DIGITS, tmp_path / "digits")
    path = tmp_path / "digits/train.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"train\.npy: not an array of NumPy: mmap length"):
        check.check(tmp_path / "digits")


def test_an_error_agrees_when_it_rounds_to_the_published_one():
    report = check.Report("S", (1, 2, 2), {}, 30, pca_error=13.8663, published=13.87)
    assert report.agrees
    assert not check.Report("S", (1, 2, 2), {}, 30, 13.8751, 13.87).agrees


def test_pca_reconstructs_images_of_its_own_rank():
    random = np.random.RandomState(0)
    parts = random.randint(0, 2, (3, 16))
    x = (random.randint(0, 80, (50, 3)) @ parts).astype(np.uint8).reshape(50, 1, 4, 4)
    assert check.pca_error([x[:30]], x[30:], 3) < 1e-20
    assert check.pca_error([x[:30]], x[30:], 2) > 1e-3


def test_pca_without_components_is_the_distance_from_the_mean():
    train = np.array([[0, 0], [255, 255]], dtype=np.uint8).reshape(2, 1, 1, 2)
    test = np.array([[255, 255]], dtype=np.uint8).reshape(1, 1, 1, 2)
    assert check.pca_error([train], test, 0) == pytest.approx(2 * 0.5**2)


def test_the_error_of_pca_is_what_lies_across_the_leading_direction():
    # Train varies along (1, 1) only, about (0.2, 0.2); the test image (0.6, 0) is 0.6 / sqrt 2 off.
    train = np.array([[0, 0], [102, 102]], dtype=np.uint8).reshape(2, 1, 1, 2)
    test = np.array([[153, 0]], dtype=np.uint8).reshape(1, 1, 1, 2)
    assert check.pca_error([train], test, 1) == pytest.approx(0.6**2 / 2)


def test_more_components_than_pixels_are_refused():
    x = np.zeros((2, 1, 2, 2), dtype=np.uint8)
    with pytest.raises(ValueError, match="found 5 components; images have 4"):
        check.pca_error([x], x, 5)
