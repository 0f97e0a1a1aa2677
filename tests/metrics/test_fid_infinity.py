"""The distance at infinitely many images: a line that is read at 0."""

import numpy as np
import pytest

from ebmrepro.metrics import fid_infinity
from ebmrepro.metrics.features import Features, Gaussian, fit_gaussian, fit_gaussians
from ebmrepro.metrics.fid import frechet_distance
from ebmrepro.metrics.fid_infinity import at_infinity, counts, intercept


def test_a_line_in_one_over_n_is_read_at_0():
    parts = [500, 1000, 2000, 4000]
    assert intercept(parts, [3 + 250 / n for n in parts]) == pytest.approx(3)


def test_parts_reach_from_a_tenth_or_four_times_the_features_to_all():
    parts = counts(50_000, 1000)  # the paper's numbers of images
    assert (parts[0], parts[-1], len(parts)) == (5000, 50_000, 15)
    assert counts(2000, 128)[0] == 512
    assert counts(1023, 128) == [] and counts(1024, 128)[0] == 512


WIDTH = 16
TRUTH = Gaussian(np.zeros(WIDTH), np.eye(WIDTH), None)
SHIFT = 0.2


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (SHIFT, 1.0), (0.0, 1.5), (SHIFT, 0.5)])
def test_of_a_gaussian_it_is_nearer_to_the_truth_than_the_distance_of_all_images(shift, scale):
    """The distance of the densities is K (shift^2 + (scale - 1)^2), exactly."""
    exact = WIDTH * (shift**2 + (scale - 1) ** 2)
    found, plain = [], []
    for seed in range(20):
        x = shift + scale * np.random.default_rng(seed).normal(size=(1000, WIDTH))
        found.append(at_infinity(x, TRUTH))
        plain.append(frechet_distance(fit_gaussian(x), TRUTH))
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - exact) < 3 * error
    assert abs(np.mean(found) - exact) < abs(np.mean(plain) - exact) / 2


def test_samples_of_different_size_agree_where_plain_distances_do_not():
    rng = np.random.default_rng(0)
    small, large = ([rng.normal(size=(n, WIDTH)) for _ in range(20)] for n in (500, 5000))
    plain = [np.mean([frechet_distance(fit_gaussian(x), TRUTH) for x in s]) for s in (small, large)]
    found = [np.mean([at_infinity(x, TRUTH) for x in s]) for s in (small, large)]
    assert plain[0] > 8 * plain[1]
    assert abs(found[0] - found[1]) < (plain[0] - plain[1]) / 5


def test_parts_are_fitted_in_one_pass_as_each_is_by_itself(monkeypatch: pytest.MonkeyPatch):
    x = 40 + 3 * np.random.default_rng(1).normal(size=(300, WIDTH)).astype(np.float32)
    parts = [2, 70, 71, 300]
    for block in (4096, 64):
        monkeypatch.setattr("ebmrepro.metrics.features.BLOCK", block)
        for n, found in zip(parts, fit_gaussians(x, parts), strict=True):
            assert found.count == n
            assert found.mean == pytest.approx(x[:n].astype(float).mean(axis=0), rel=1e-12)
            assert found.covariance == pytest.approx(np.cov(x[:n].T.astype(float)), abs=1e-11)


def features(n: int) -> Features:
    x = np.random.default_rng(n).normal(size=(n, WIDTH)).astype(np.float32)
    return Features("dbn", x, np.empty((0, 0), np.float32))


def test_too_few_images_give_none_with_the_reason():
    found = fid_infinity.of_features(features(40), features(127), None)  # type: ignore[arg-type]
    assert found.values == {"fd_dbn_infinity": None}
    assert found.reasons["fd_dbn_infinity"].startswith("127 images for 16 features: too few")
    with pytest.raises(ValueError, match="127 rows of 16, at least 128 needed"):
        at_infinity(features(127).features, TRUTH)


def test_the_protocol_says_the_range_of_n():
    found = fid_infinity.of_features(features(40), features(400), None)  # type: ignore[arg-type]
    told = "a line through 15 parts of 64 to 400 generated images"
    assert found.protocol == {"fd dbn infinity": told}
