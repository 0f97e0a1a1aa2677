"""What takes no energy-based model: the best linear guess, from mean and covariance alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Parts = Callable[[], Iterable[Array]]  # the same flattened images (n, K) each time, some at once
LARGEST = 2**14  # pixels whose covariance is held, of 2 GiB
RIDGE = 1e-3  # added to the variances of known pixels: some never vary


def mean(parts: Parts) -> Array:
    """(K,)"""
    sums = [(x.sum(axis=0), len(x)) for x in parts()]
    return np.sum([total for total, _ in sums], axis=0) / sum(n for _, n in sums)


@dataclass(frozen=True)
class Gaussian:
    """Mean (K,) and covariance (K, K) of flattened images."""

    mean: Array
    cov: Array

    @classmethod
    def of(cls, parts: Parts) -> Gaussian:
        """From images, read twice."""
        middle, n = mean(parts), 0
        products = np.zeros((len(middle), len(middle)))
        for x in parts():
            centred = (x - middle).T
            products += centred @ centred.T
            n += len(x)
        return cls(middle, products * (1 / (n - 1)))

    def denoise(self, x: Array, sd: float) -> Array:
        """Wiener's filter: E[x | x + noise] under the Gaussian, noise of standard deviation `sd`.

        (N, K) -> (N, K).
        """
        gain = np.linalg.solve(self.cov + sd**2 * np.eye(len(self.mean)), self.cov)
        return self.mean + (x - self.mean) @ gain

    def complete(self, x: Array, known: NDArray[np.bool_]) -> Array:
        """E[unknown | known] under the Gaussian; `known` (K,) stays as it is, (N, K) -> (N, K)."""
        within = self.cov[np.ix_(known, known)] + RIDGE * np.eye(known.sum())
        gain = np.linalg.solve(within, self.cov[np.ix_(known, ~known)])
        out = x.copy()
        out[:, ~known] = self.mean[~known] + (x[:, known] - self.mean[known]) @ gain
        return out
