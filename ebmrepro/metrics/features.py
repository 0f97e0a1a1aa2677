"""What a network says of a set of images, which measures are taken on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ebmrepro.metrics import checks
from ebmrepro.metrics.balls import Balls
from ebmrepro.metrics.checks import Array, Matrix
from ebmrepro.metrics.distances import Points

BLOCK = 4096  # features held in float64; no effect beyond rounding
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


def fit_gaussian(features: ArrayLike) -> Gaussian:
    """Sample mean and unbiased covariance (divisor N - 1) of features (N, K).

    ValueError if a value is not finite or N < 2.
    """
    x = checks.features("features", features, rows=2)
    return next(fit_gaussians(x, [len(x)]))


def fit_gaussians(x: Matrix, parts: Sequence[int]) -> Iterator[Gaussian]:
    """Of the first so many features, ascending numbers from 2 to N: each row is summed once."""
    centre = x.mean(axis=0, dtype=np.float64)  # about which sums lose nothing to cancellation
    total, products, start = np.zeros_like(centre), np.zeros((len(centre), len(centre))), 0
    for n in parts:
        for i in range(start, n, BLOCK):
            centred = x[i : min(i + BLOCK, n)] - centre
            total += centred.sum(axis=0)
            products += centred.T @ centred
        start, mean = n, total / n
        yield Gaussian(centre + mean, (products - n * np.outer(mean, mean)) / (n - 1), n)


@dataclass(frozen=True, eq=False)
class Features:
    """Of a set of images in one extractor: (N, K) float32, and class probabilities (N, classes)."""

    extractor: Literal["dbn", "inception"]
    features: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    fitted: Gaussian | None = None  # to the features, where it is known already
    published: Gaussian | None = None  # of the real images, by others
    second: Gaussian | None = None  # of the same images in the features of another seed's DBN
    around: Balls | None = None  # to neighbours, where known already
    within: float | None = None  # mean of the kernel distance's kernel over pairs, likewise

    @cached_property
    def gaussian(self) -> Gaussian:
        return self.fitted or fit_gaussian(self.features)

    @cached_property
    def points(self) -> Points:
        return Points.of(checks.features("features", self.features, rows=2))

    def named(self, dbn: str, inception: str) -> str:
        """The one that is a measure's name in this extractor's features."""
        return dbn if self.extractor == "dbn" else inception
