"""The Fréchet distance: closed forms, pytorch-fid's values, singular covariances, refusals."""

import numpy as np
import pytest
import scipy.linalg

from ebmrepro.metrics.features import Gaussian, fit_gaussian
from ebmrepro.metrics.fid import frechet_distance, frechet_flag


def pytorch_fid_distance(a: Gaussian, b: Gaussian, monkeypatch: pytest.MonkeyPatch) -> float:
    """pytorch-fid's function, its call sqrtm(..., disp=False) served by any SciPy."""
    from pytorch_fid import fid_score

    # `disp` and the pair it returned went in SciPy 1.18; in 1.17 passing it warns.
    original = scipy.linalg.sqrtm

    def sqrtm(matrix, disp=True):
        root = original(matrix)
        return root if disp else (root, 0.0)

    monkeypatch.setattr(fid_score.linalg, "sqrtm", sqrtm)
    return float(fid_score.calculate_frechet_distance(a.mean, a.covariance, b.mean, b.covariance))


def correlated(seed: int, n: int, dim: int, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(dim, dim)) * np.geomspace(1, 0.01, dim)
    return rng.normal(size=(n, dim)) @ mixing + shift


def test_in_one_dimension_it_is_the_sum_of_two_squares():
    # (mu_a - mu_b)^2 + (sigma_a - sigma_b)^2 = 3^2 + (2 - 5)^2
    a = Gaussian(np.array([1.0]), np.array([[4.0]]), 10)
    b = Gaussian(np.array([4.0]), np.array([[25.0]]), 10)
    assert frechet_distance(a, b) == pytest.approx(18, rel=1e-14)


def test_commuting_covariances_give_the_differences_of_their_standard_deviations():
    # Rotated together: 1^2 + 2^2 + (1 - 3)^2 + (4 - 2)^2 + (0 - 1)^2, one of them singular.
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    a = Gaussian(np.zeros(3), rotation @ np.diag([1.0, 16.0, 0.0]) @ rotation.T, 10)
    b = Gaussian(np.array([1.0, 2.0, 0.0]), rotation @ np.diag([9.0, 4.0, 1.0]) @ rotation.T, 10)
    assert frechet_distance(a, b) == pytest.approx(14, rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(14, rel=1e-6)


def test_covariances_that_do_not_commute_match_a_value_worked_by_hand():
    # S_a = diag(4, 1), S_b = [[2, 1], [1, 2]]: S_a S_b has trace 10 and determinant 12, so
    # tr (S_a S_b)^(1/2) = sqrt(10 + 2 sqrt(12)).
    a = Gaussian(np.zeros(2), np.diag([4.0, 1.0]), 10)
    b = Gaussian(np.zeros(2), np.array([[2.0, 1.0], [1.0, 2.0]]), 10)
    expected = 5 + 4 - 2 * np.sqrt(10 + 2 * np.sqrt(12))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("dim", [2, 64, 256])
def test_it_agrees_with_pytorch_fid(dim, monkeypatch):
    a = fit_gaussian(correlated(1, 2000, dim))
    b = fit_gaussian(correlated(2, 1500, dim, shift=0.1))
    expected = pytorch_fid_distance(a, b, monkeypatch)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_it_agrees_with_the_root_of_a_general_matrix():
    a = fit_gaussian(correlated(3, 500, 32))
    b = fit_gaussian(correlated(4, 500, 32))
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance)
    difference = a.mean - b.mean
    traces = np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.trace(root).real
    assert frechet_distance(a, b) == pytest.approx(difference @ difference + traces, rel=1e-9)


def spread_over(eigenvalues: np.ndarray, seed: int = 0) -> tuple[Gaussian, Gaussian, float]:
    """Gaussians of such a covariance and of one with the same axes, and how far apart they are."""
    rng, dim = np.random.default_rng(seed), len(eigenvalues)
    axes, _ = np.linalg.qr(rng.normal(size=(dim, dim)))
    other = rng.uniform(0.5, 1.5, dim)
    a, b = (Gaussian(np.zeros(dim), (axes * e) @ axes.T, None) for e in (eigenvalues, other))
    return a, b, float(np.square(np.sqrt(eigenvalues) - np.sqrt(other)).sum())


@pytest.mark.parametrize("least", [1e-2, 1e-12, 1e-15, 1e-18, 0.0])
def test_it_is_as_exact_where_a_covariance_has_lost_its_rank_or_nearly(least):
    eigenvalues = np.concatenate([np.linspace(1, 2, 40), np.full(60, least)])
    a, b, exact = spread_over(eigenvalues)
    # Rounding takes eigenvalues up to 1e-15 for 0 or the other way round: 60 times 2 sqrt(1e-15).
    assert frechet_distance(a, b) == pytest.approx(exact, abs=5e-6)
    assert frechet_distance(b, a) == pytest.approx(exact, abs=5e-6)


def test_fewer_samples_than_features_give_the_distance_of_the_samples_own_gaussians():
    # With X, Y centred, tr (S_a S_b)^(1/2) is the sum of the singular values of X Y', divided by
    # sqrt((n - 1) (m - 1)): exact at any rank, and formed without a covariance.
    x, y = correlated(5, 40, 200), correlated(6, 30, 200, shift=0.2)
    centred_x, centred_y = x - x.mean(0), y - y.mean(0)
    nuclear = np.linalg.svd(centred_x @ centred_y.T, compute_uv=False).sum()
    expected = (
        ((x.mean(0) - y.mean(0)) ** 2).sum()
        + (centred_x**2).sum() / 39
        + (centred_y**2).sum() / 29
        - 2 * nuclear / np.sqrt(39 * 29)
    )
    assert frechet_distance(fit_gaussian(x), fit_gaussian(y)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n", [50, 1000])
def test_a_gaussian_is_at_distance_zero_of_itself(n):
    a = fit_gaussian(correlated(7, n, 100))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6 * np.trace(a.covariance))
    assert frechet_distance(a, a) >= 0


def test_two_points_without_spread_are_their_squared_distance_apart():
    a, b = fit_gaussian(np.zeros((5, 3))), fit_gaussian(np.full((5, 3), 2.0))
    assert frechet_distance(a, b) == 12


def test_it_is_symmetric_and_does_not_change_under_a_common_rotation_and_shift():
    x, y = correlated(8, 300, 20), correlated(9, 300, 20, shift=1.0)
    rotation, _ = np.linalg.qr(np.random.default_rng(10).normal(size=(20, 20)))
    expected = frechet_distance(fit_gaussian(x), fit_gaussian(y))
    assert frechet_distance(fit_gaussian(y), fit_gaussian(x)) == pytest.approx(expected, rel=1e-9)
    moved = frechet_distance(fit_gaussian(x @ rotation + 3), fit_gaussian(y @ rotation + 3))
    assert moved == pytest.approx(expected, rel=1e-9)


def test_features_that_are_a_constant_are_no_obstacle():
    # Dead units of a network: rows and columns of zeros in both covariances.
    x, y = correlated(11, 200, 10), correlated(12, 200, 10)
    pad = np.zeros((200, 5))
    expected = frechet_distance(fit_gaussian(x), fit_gaussian(y))
    padded = frechet_distance(fit_gaussian(np.hstack([pad, x])), fit_gaussian(np.hstack([pad, y])))
    assert padded == pytest.approx(expected, rel=1e-9)


def test_a_gaussian_has_numpys_mean_and_covariance_in_double_precision():
    features = correlated(13, 50, 4).astype(np.float32)
    fitted = fit_gaussian(features)
    assert fitted.count == 50
    assert fitted.mean.dtype == fitted.covariance.dtype == np.float64
    np.testing.assert_allclose(fitted.mean, features.astype(np.float64).mean(0), rtol=1e-12)
    np.testing.assert_allclose(
        fitted.covariance, np.cov(features.astype(np.float64), rowvar=False), rtol=1e-10
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused_by_their_place(bad):
    features = np.zeros((4, 3))
    features[2, 1] = bad
    with pytest.raises(
        ValueError, match=r"features: 1 of 12 .* not finite, first at index \[2, 1\]"
    ):
        fit_gaussian(features)


def test_one_row_has_no_covariance():
    with pytest.raises(ValueError, match="1 rows, at least 2 needed"):
        fit_gaussian(np.zeros((1, 3)))


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (5, 0)])
def test_features_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected \(N, K\)"):
        fit_gaussian(np.zeros(shape))


def test_different_extractors_do_not_compare():
    with pytest.raises(ValueError, match="3 and of 4 dimensions"):
        frechet_distance(fit_gaussian(np.eye(3)), fit_gaussian(np.eye(4)))


def test_a_covariance_that_is_none_is_refused():
    with pytest.raises(ValueError, match="not symmetric"):
        Gaussian(np.zeros(2), np.array([[1.0, 0.5], [0.0, 1.0]]), 10)
    with pytest.raises(ValueError, match=r"shape \(3, 3\), expected \(2, 2\)"):
        Gaussian(np.zeros(2), np.eye(3), 10)
    with pytest.raises(ValueError, match=r"covariance: .* not finite"):
        Gaussian(np.zeros(2), np.diag([1.0, np.nan]), 10)


def test_a_flag_is_raised_when_either_count_is_not_above_the_dimension():
    assert frechet_flag(65, 1000, 64) is None
    flag = frechet_flag(1000, 64, 64)
    assert flag is not None
    assert "64 images for 64 features" in flag
    assert frechet_flag(64, 1000, 64) == flag
