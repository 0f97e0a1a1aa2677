"""Whether one order agrees with others."""

import numpy as np
from numpy.typing import ArrayLike

from ebmrepro.metrics import checks
from ebmrepro.metrics.checks import Array


def kendall_tau(truth: ArrayLike, values: ArrayLike) -> Array:
    """Kendall's tau-b of a ranking (L,) and each of N others (N, L): (N,) in [-1, 1].

    (concordant - discordant pairs) / sqrt(pairs untied in one * pairs untied in the other), Kendall
    (1945): 1 if they agree, -1 if one is reversed, NaN if one is constant. ValueError if a value is
    not finite or the lengths differ.
    """
    x, y = _pairs(truth, values)
    untied = np.count_nonzero(x) * np.count_nonzero(y, axis=1)
    return (y @ x) / np.sqrt(np.where(untied, untied, np.nan))


def ordered_share(truth: ArrayLike, values: ArrayLike) -> Array:
    """Share of the pairs that differ in `truth` (L,) which `values` (N, L) order alike, ties half.

    (N,) in [0, 1], 0.5 by chance. ValueError if no pair differs, or as `kendall_tau`.
    """
    x, y = _pairs(truth, values)
    if not x.any():
        raise ValueError("truth: all values are the same, there is no order to agree with")
    return (1 + (y @ x) / np.count_nonzero(x)) / 2


def _pairs(truth: ArrayLike, values: ArrayLike) -> tuple[Array, Array]:
    """Signs of the differences of all pairs i < j, (P,) and (N, P)."""
    u, v = checks.vector("truth", truth, 2), checks.matrix("values", values)
    if len(u) != v.shape[1]:
        raise ValueError(f"rankings of {len(u)} and of {v.shape[1]} do not compare")
    i, j = np.triu_indices(len(u), 1)
    return np.sign(u[j] - u[i]), np.sign(v[:, j] - v[:, i])
