"""The Fréchet distance between Gaussians fitted to features.

Heusel et al., *GANs Trained by a Two Time-Scale Update Rule* (2017), arXiv:1706.08500. The distance
is called FID only in the features of `inception.py`; elsewhere it carries the extractor's name.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import get_lapack_funcs

from ebmrepro.metrics import checks
from ebmrepro.metrics.checks import Array

SYMMETRY_TOLERANCE = 1e-6  # of the largest entry; a covariance is symmetric up to rounding


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Mean (K,) and covariance (K, K) of `count` feature vectors (None: unknown), float64.

    ValueError if the shapes do not fit, a value is not finite, or the covariance is not symmetric.
    """

    mean: Array
    covariance: Array
    count: int | None

    def __post_init__(self) -> None:
        mean = checks.vector("mean", self.mean)
        covariance = checks.matrix("covariance", self.covariance)
        if covariance.shape != (len(mean), len(mean)):
            raise ValueError(
                f"covariance: shape {covariance.shape}, expected {(len(mean), len(mean))}"
            )
        skew = np.abs(covariance - covariance.T).max()
        if skew > SYMMETRY_TOLERANCE * np.abs(covariance).max():
            raise ValueError(f"covariance: not symmetric, entries differ by up to {skew:.3g}")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "covariance", covariance)


def gaussian(features: ArrayLike) -> Gaussian:
    """Sample mean and unbiased covariance (divisor N - 1) of features (N, K).

    ValueError if a value is not finite or N < 2.
    """
    x = checks.matrix("features", features, rows=2)
    mean = x.mean(axis=0)
    centred = x - mean
    return Gaussian(mean, centred.T @ centred / (len(x) - 1), len(x))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Squared Fréchet (2-Wasserstein) distance of two Gaussians, in squared units of the features.

    |mu_a - mu_b|^2 + tr S_a + tr S_b - 2 tr (S_a S_b)^(1/2), at least 0; 0 iff they are equal.
    Dowson and Landau (1982). ValueError if the dimensions differ.

    S_a S_b is not symmetric, but with S_a = L L' its eigenvalues are those of L' S_b L, which is
    symmetric and positive semi-definite. So a factor and one symmetric eigenvalue solve replace
    the square root of a general matrix, with nothing imaginary to drop and nothing to add to the
    diagonal.
    """
    if len(a.mean) != len(b.mean):
        raise ValueError(
            f"Gaussians of {len(a.mean)} and of {len(b.mean)} dimensions do not compare"
        )
    eigenvalues = _eigenvalues_of_product(a.covariance, b.covariance)
    trace_root = np.sqrt(eigenvalues.clip(min=0)).sum()  # tr (S_a S_b)^(1/2)
    difference = a.mean - b.mean
    distance = (
        difference @ difference + np.trace(a.covariance) + np.trace(b.covariance) - 2 * trace_root
    )
    return max(float(distance), 0.0)  # below 0 only by rounding


def _eigenvalues_of_product(a: Array, b: Array) -> Array:
    """Of two covariances (K, K): those that are not 0 for certain, in no order that means much.

    Where `a` has full rank, L is triangular, and LAPACK has a routine for L' b L that needs half
    the arithmetic of products. Where it has not, or may have lost it to rounding, a Cholesky factor
    with pivoting has as many columns as `a` has rank.
    """
    potrf, pstrf, sygst = get_lapack_funcs(("potrf", "pstrf", "sygst"), dtype=np.float64)
    L, failed = potrf(a.T, lower=True)  # .T, here and below: the order in memory that LAPACK wants
    lost = len(a) * np.finfo(np.float64).eps * a.diagonal().max(initial=0)  # pstrf's own tolerance
    if not failed and np.square(L.diagonal()).min(initial=np.inf) > lost:
        product, _ = sygst(b.T, L, itype=2, lower=True)  # its lower triangle
        return np.asarray(np.linalg.eigvalsh(product), dtype=np.float64)
    factor, pivots, rank, _ = pstrf(a.T, lower=True)
    order = pivots - 1  # a[order][:, order] = L L'
    L = np.tril(factor)[:, :rank]
    product = L.T @ b[np.ix_(order, order)] @ L
    return np.asarray(np.linalg.eigvalsh(product), dtype=np.float64) if rank else np.zeros(0)


def frechet_flag(n_a: int, n_b: int, dim: int) -> str | None:
    """A warning if a covariance of `dim` features comes from too few samples, else None.

    From n samples it has rank n - 1 at most: with n <= dim it is singular, and the distance says
    more about n than about the images. (It is biased upwards at any n: Binkowski et al. 2018.)
    """
    n = min(n_a, n_b)
    if n > dim:
        return None
    return f"{n:,} images for {dim:,} features: the covariance is singular, the distance biased up"
