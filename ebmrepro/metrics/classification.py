"""Errors of a classifier."""

import numpy as np
from numpy.typing import ArrayLike


def error_rate(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Share of images, in [0, 1], whose predicted class (N,) is not their label (N,).

    ValueError if the two are not integers of one shape (N,), or N = 0.
    """
    p, y = np.asarray(predicted), np.asarray(labels)
    if p.ndim != 1 or p.shape != y.shape or len(p) == 0:
        raise ValueError(f"predicted {p.shape} and labels {y.shape}, expected (N,) twice, N > 0")
    if not (np.issubdtype(p.dtype, np.integer) and np.issubdtype(y.dtype, np.integer)):
        raise ValueError(f"predicted {p.dtype} and labels {y.dtype}, expected class numbers")
    return float((p != y).mean())
