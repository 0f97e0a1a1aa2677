"""A few numbers, one per seed: how likely they are by chance, and how many seeds would tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from ebmrepro.metrics.catalogue import Scale
from ebmrepro.metrics.interval import TRANSFORMS, fits

LEVEL = 0.95
POWER = 0.8
NORMAL = 1.959964  # of two sides, at LEVEL
MOST_SEEDS = 10_000


def p_value(values: Sequence[float], edge: float, scale: Scale) -> float:
    """Of one side: how likely a mean so far on its side of `edge`, or farther, is at the edge.

    Of constant numbers there is no distribution: 0 off the edge, 1 at it.
    """
    n = len(values)
    if n < 2:
        return 1.0
    distance, spread = _distance(values, edge, scale)
    if not distance:
        return 1.0
    return float(special.stdtr(n - 1, -distance / (spread / math.sqrt(n)))) if spread else 0.0


def seeds_needed(values: Sequence[float], edge: float, scale: Scale) -> int | None:
    """Seeds with which the interval would clear `edge` four times in five, if mean and spread
    are as seen (by the non-central t); None where no number up to MOST_SEEDS would."""
    if len(values) < 2:
        return None
    distance, spread = _distance(values, edge, scale)
    if not distance:
        return None

    def power(n: int) -> float:
        critical = special.stdtrit(n - 1, (1 + LEVEL) / 2)
        below = float(special.nctdtr(n - 1, distance * math.sqrt(n) / spread, critical))
        return 1 - below if math.isfinite(below) else 1  # NaN of some that are far off

    if not spread or power(2) >= POWER:
        return 2
    if power(MOST_SEEDS) < POWER:
        return None
    few, enough = 2, MOST_SEEDS
    while enough - few > 1:  # power grows with n
        middle = (few + enough) // 2
        few, enough = (few, middle) if power(middle) >= POWER else (middle, enough)
    return enough


def _distance(values: Sequence[float], edge: float, scale: Scale) -> tuple[float, float]:
    """How far the mean of several numbers is from the edge, and their deviation, on the scale."""
    used = scale if fits(scale, [*values, edge]) else "linear"
    forward = TRANSFORMS[used].forward
    x = np.array([forward(value) for value in values])
    return abs(float(x.mean()) - forward(edge)), float(x.std(ddof=1))


def fisher(rho: float, n: int) -> tuple[float, float]:
    """95 % interval of Spearman's rank correlation over n > 3 pairs, by Fisher's transformation.

    Its standard error is sqrt(1.06 / (n - 3)) (Fieller, Hartley and Pearson, 1957). A perfect order
    has no finite transform; it is taken for one that is half a swap of neighbours short of it.
    """
    most = 1 - 6 / (n * (n**2 - 1))
    z, half = math.atanh(min(max(rho, -most), most)), NORMAL * math.sqrt(1.06 / (n - 3))
    return math.tanh(z - half), math.tanh(z + half)


def binomial(share: float, images: int) -> float:
    """Standard error of a share of `images` that the draw of images alone gives."""
    return math.sqrt(share * (1 - share) / images)


def clopper_pearson(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share from independent trials (Clopper and Pearson, 1934)."""
    tail = (1 - LEVEL) / 2
    low = special.betaincinv(hits, trials - hits + 1, tail) if hits else 0
    high = special.betaincinv(hits + 1, trials - hits, 1 - tail) if hits < trials else 1
    return float(low), float(high)


def holm(p: Sequence[float], alpha: float) -> int:
    """How many of these are still rejected with the chance of one wrong rejection under alpha."""
    steps = (alpha / (len(p) - rank) for rank in range(len(p)))
    passed = [value <= step for value, step in zip(sorted(p), steps, strict=True)]
    return passed.index(False) if False in passed else len(p)


def benjamini_hochberg(p: Sequence[float], alpha: float) -> int:
    """How many are rejected with the expected share of wrong ones among them under alpha."""
    ranked = enumerate(sorted(p), 1)
    return max((rank for rank, value in ranked if value <= alpha * rank / len(p)), default=0)
