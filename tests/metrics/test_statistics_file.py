"""Files of mu and sigma: pytorch-fid's form, both ways, and what is refused."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from ebmrepro.metrics import statistics_file
from ebmrepro.metrics.features import fit_gaussian
from ebmrepro.system.errors import UserError

FEATURES = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)


def test_what_is_saved_comes_back(tmp_path: Path):
    statistics_file.save(tmp_path / "real.npz", FEATURES)
    found, expected = statistics_file.load(tmp_path / "real.npz", 4), fit_gaussian(FEATURES)
    assert found.count == 9
    assert np.array_equal(found.mean, expected.mean)
    assert np.array_equal(found.covariance, expected.covariance)
    with np.load(tmp_path / "real.npz", allow_pickle=False) as stored:
        assert np.array_equal(stored["features"], FEATURES)


def test_pytorch_fid_reads_what_is_saved(tmp_path: Path):
    from pytorch_fid.fid_score import compute_statistics_of_path

    path = tmp_path / "real.npz"
    statistics_file.save(path, FEATURES)
    mean, covariance = compute_statistics_of_path(str(path), None, 1, 4, "cpu")
    np.testing.assert_allclose(mean, FEATURES.mean(axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(covariance, np.cov(FEATURES, rowvar=False), rtol=1e-5, atol=1e-7)


def test_a_file_of_others_says_not_how_many_images_it_is_of(tmp_path: Path):
    path = tmp_path / "theirs.npz"
    np.savez_compressed(path, mu=np.zeros(4, np.float32), sigma=np.eye(4, dtype=np.float32))
    found = statistics_file.load(path, 4)
    assert found.count is None
    assert found.covariance.dtype == np.float64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"mu": np.zeros(4)}, "sigma"),
        ({"mu": np.zeros(4), "sigma": np.eye(3)}, r"shape \(3, 3\), expected \(4, 4\)"),
        ({"mu": np.zeros(4), "sigma": np.diag([1, 1, 1, np.nan])}, "not finite"),
        ({"mu": np.zeros(3), "sigma": np.eye(3)}, "mu has 3 numbers, expected 4"),
        ({"mu": np.array([None] * 4), "sigma": np.eye(4)}, "allow_pickle=False"),
    ],
)
def test_a_file_of_anything_else_is_refused_by_its_name(tmp_path: Path, content, message: str):
    path = tmp_path / "theirs.npz"
    np.savez(path, **content)
    with pytest.raises(UserError, match=message) as refused:
        statistics_file.load(path, 4)
    assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)


def test_what_is_no_archive_is_refused(tmp_path: Path):
    path = tmp_path / "theirs.npz"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match="not a file of mu and sigma"):
        statistics_file.load(path, 4)


def test_an_array_that_would_fill_the_memory_is_not_read(tmp_path: Path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mu.npy", b"")
        archive.writestr("sigma.npy", b"\0" * (statistics_file.LARGEST + 1))
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match=r"sigma\.npy has 67,108,865 bytes, at most 67,108,864"):
        statistics_file.load(path, 4)
