"""A mean over seeds and how far it can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean over n seeds and the bounds of its confidence interval; no bounds if n = 1."""

    mean: float
    low: float | None
    high: float | None
    n: int


def interval(values: Sequence[float | None], level: float = 0.95) -> Interval:
    """Student's t interval of the mean of one value per seed, in the unit of the values.

    mean -+ t_{n-1, (1 + level) / 2} s / sqrt(n), s with divisor n - 1. It covers the mean over all
    seeds with probability `level` where values are normal over seeds; it knows nothing of the
    finite number of images behind each value. With one seed there is no spread to go by, so `low`
    and `high` are None. ValueError if there is no value, if one is None or not finite (a mean over
    fewer seeds than were run is the caller's decision to take and to state), or if `level` is not
    in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level: {level}, allowed: above 0, under 1")
    if not len(values):
        raise ValueError("interval: no values")
    missing = [i for i, value in enumerate(values) if value is None or not np.isfinite(value)]
    if missing:
        raise ValueError(
            f"interval: {len(missing)} of {len(values)} values are missing or not finite, "
            f"first at index {missing[0]}: {values[missing[0]]}"
        )
    x = np.asarray(values, dtype=np.float64)
    n, mean = len(x), float(x.mean())
    if n == 1:
        return Interval(mean, None, None, n)
    from scipy.special import stdtrit  # scipy.stats says the same and takes seconds to import

    half = float(stdtrit(n - 1, (1 + level) / 2) * x.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)
