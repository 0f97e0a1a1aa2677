"""A mean over seeds and how far it can be trusted.

Student's t works on a scale on which the spread of the numbers does not depend on their size, and
mean and interval are brought back from it, so that they never leave what a number can be. Of three
or more values of which fewer than three differ, t knows nothing: their range stands in its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special  # scipy.stats says the same and takes seconds to import

from ebmrepro.metrics.catalogue import Scale

DISTINCT = 3  # values, for an interval by t


class Transform(NamedTuple):
    forward: Callable[[float], float]  # ValueError outside of its domain
    backward: Callable[[float], float]
    low: float  # what a number of this scale can be
    high: float


def _expit(x: float) -> float:
    return float(special.expit(x))


TRANSFORMS: dict[Scale, Transform] = {
    "linear": Transform(float, float, -math.inf, math.inf),
    "log": Transform(math.log, math.exp, 0, math.inf),
    "logit": Transform(lambda x: math.log(x / (1 - x)) if x < 1 else math.log(0), _expit, 0, 1),
    "atanh": Transform(math.atanh, math.tanh, -1, 1),
}


@dataclass(frozen=True)
class Interval:
    """The mean over n seeds, taken on `scale`, and its bounds; no bounds if n = 1."""

    mean: float
    low: float | None
    high: float | None
    n: int
    scale: Scale = "linear"  # that was used
    by: str = "t"  # or "range"


def interval(
    values: Sequence[float | None], scale: Scale = "linear", level: float = 0.95
) -> Interval:
    """Student's t interval of the mean of one value per seed, in the unit of the values.

    On the scale, mean -+ t_{n-1, (1 + level) / 2} s / sqrt(n), s with divisor n - 1. It covers the
    mean over all seeds with probability `level` where values are normal over seeds there; it knows
    nothing of the finite number of images behind each value. A number on the edge of its scale (a
    share of 1, a ratio of 0) has no place on it: then the interval is taken as the numbers are, and
    cut where they cannot be. With one seed there is no spread to go by, so `low` and `high` are
    None. ValueError if there is no value, if one is None or not finite (a mean over fewer seeds
    than were run is the caller's decision to take and to state), or if `level` is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level: {level}, allowed: above 0, under 1")
    if not len(values):
        raise ValueError("interval: no values")
    known = [value for value in values if value is not None and np.isfinite(value)]
    if len(known) < len(values):
        first = next(i for i, value in enumerate(values) if value is None or not np.isfinite(value))
        raise ValueError(
            f"interval: {len(values) - len(known)} of {len(values)} values are missing or not "
            f"finite, first at index {first}: {values[first]}"
        )
    used = scale if fits(scale, known) else "linear"
    forward, backward = TRANSFORMS[used][:2]
    x = np.array([forward(value) for value in known])
    n, middle = len(x), float(x.mean())
    mean = min(max(backward(middle), min(known)), max(known))  # but for rounding
    if n == 1:
        return Interval(mean, None, None, n, used)
    if len(set(known)) < DISTINCT <= n:
        return Interval(mean, min(known), max(known), n, used, "range")
    half = float(special.stdtrit(n - 1, (1 + level) / 2) * x.std(ddof=1) / np.sqrt(n))
    ends = (_back(backward, end) for end in (middle - half, middle + half))
    low, high = (min(max(end, TRANSFORMS[scale].low), TRANSFORMS[scale].high) for end in ends)
    return Interval(mean, low, high, n, used)


def _back(backward: Callable[[float], float], end: float) -> float:
    try:
        return backward(end)
    except OverflowError:  # of exp
        return math.inf


def fits(scale: Scale, values: Sequence[float]) -> bool:
    """Whether all numbers have a place on the scale."""
    try:
        return all(math.isfinite(TRANSFORMS[scale].forward(value)) for value in values)
    except ValueError:
        return False
