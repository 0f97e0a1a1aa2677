"""Whether one order agrees with another."""

import numpy as np
from numpy.typing import ArrayLike

from ebmrepro.metrics import checks


def kendall_tau(a: ArrayLike, b: ArrayLike) -> float:
    """Kendall's tau-b of two rankings (N,), in [-1, 1]: 1 if they agree, -1 if one is reversed.

    (concordant - discordant pairs) / sqrt(pairs untied in a * pairs untied in b); Kendall (1945).
    NaN if one of them is constant. ValueError if a value is not finite or lengths differ.
    """
    x, y = _pairs(a, b)
    untied = np.count_nonzero(x) * np.count_nonzero(y)
    return float((x * y).sum() / np.sqrt(untied)) if untied else float("nan")


def ordered_share(truth: ArrayLike, values: ArrayLike) -> float:
    """Share of the pairs that differ in `truth` (N,) which `values` (N,) order alike, ties half.

    In [0, 1], 0.5 by chance. ValueError if no pair differs, or as `kendall_tau`.
    """
    x, y = _pairs(truth, values)
    differ = x != 0
    if not differ.any():
        raise ValueError("truth: all values are the same, there is no order to agree with")
    return float((1 + (x * y)[differ]).mean() / 2)


def _pairs(a: ArrayLike, b: ArrayLike) -> tuple[checks.Array, checks.Array]:
    """Signs of the differences of all pairs i < j, in both rankings."""
    u, v = checks.vector("first ranking", a, 2), checks.vector("second ranking", b, 2)
    if len(u) != len(v):
        raise ValueError(f"rankings of {len(u)} and of {len(v)} do not compare")
    i, j = np.triu_indices(len(u), 1)
    return np.sign(u[j] - u[i]), np.sign(v[j] - v[i])
