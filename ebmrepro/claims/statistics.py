"""A few numbers, one per seed: how likely they are by chance, and how many seeds would tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from ebmrepro.metrics.catalogue import Scale
from ebmrepro.metrics.interval import TRANSFORMS, fits

LEVEL = 0.95
ALPHA = (1 - LEVEL) / 2  # of one side
NORMAL = float(special.ndtri(1 - ALPHA))
POWER = 0.8
MOST_SEEDS = 10_000


def p_value(values: Sequence[float], edge: float, scale: Scale) -> float:
    """Of one side: how likely a mean so far on its side of `edge`, or farther, is at the edge.

    Of constant numbers there is no distribution: 0 off the edge, 1 at it.
    """
    n = len(values)
    if n < 2:
        return 1.0
    mean, spread, (at,) = moments(values, (edge,), scale)
    distance = abs(mean - at)
    if not distance:
        return 1.0
    return float(special.stdtr(n - 1, -distance / (spread / math.sqrt(n)))) if spread else 0.0


def seeds_needed(
    values: Sequence[float], goals: Sequence[tuple[float, ...]], scale: Scale
) -> int | None:
    """Seeds with which the interval would reach one of the goals four times in five, if mean and
    spread are as seen: clear an edge, or lie wholly between two.

    By the non-central t; between two edges so many at the least. None where no number up to
    MOST_SEEDS would.
    """
    if len(values) < 2:
        return None
    edges = [edge for goal in goals for edge in goal]
    mean, spread, places = moments(values, edges, scale)
    at = dict(zip(edges, places, strict=True))
    ways = [
        [abs(mean - at[edge]) for edge in goal]
        for goal in goals
        if at[goal[0]] != mean and (len(goal) == 1 or at[goal[0]] < mean < at[goal[1]])
    ]
    if not ways:
        return None

    def power(n: int) -> float:
        critical = special.stdtrit(n - 1, (1 + LEVEL) / 2)

        def missed(distance: float) -> float:
            below = float(special.nctdtr(n - 1, distance * math.sqrt(n) / spread, critical))
            return below if math.isfinite(below) else 0  # NaN of some that are far off

        return max(1 - sum(map(missed, distances)) for distances in ways)

    return 2 if not spread else _fewest(power, 2)


def _fewest(power: Callable[[int], float], least: int) -> int | None:
    """The fewest seeds with enough power, which grows with them; None beyond MOST_SEEDS."""
    if power(least) >= POWER:
        return least
    if power(MOST_SEEDS) < POWER:
        return None
    few, enough = least, MOST_SEEDS
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if power(middle) >= POWER else (middle, enough)
    return enough


def moments(
    values: Sequence[float], edges: Sequence[float], scale: Scale
) -> tuple[float, float, list[float]]:
    """Mean and deviation of several numbers, and edges, all on the scale if all of them fit it."""
    used = scale if fits(scale, [*values, *edges]) else "linear"
    forward = TRANSFORMS[used].forward
    x = np.array([forward(value) for value in values])
    return float(x.mean()), float(x.std(ddof=1)), [forward(edge) for edge in edges]


def rank_interval(rho: float, n: int) -> tuple[float, float]:
    """95 % interval of Spearman's rank correlation over n > 3 pairs, by Fisher's transformation.

    Its standard error is sqrt((1 + rho^2 / 2) / (n - 3)) (Bonett and Wright, 2000). Of independent
    ranks of 5 to 9 pairs 1.7 to 3.7 % have an interval without 0; with Fieller's constant error,
    sqrt(1.06 / (n - 3)), it would be 8.3 % of 5 pairs.
    """
    z, half = _z(rho, n), NORMAL * _error(rho, n)
    return math.tanh(z - half), math.tanh(z + half)


def rank_p(rho: float, n: int, edge: float) -> float:
    """Of one side, as `p_value`: of a rank correlation over n > 3 pairs."""
    distance, error = abs(_z(rho, n) - _z(edge, n)), _error(rho, n)
    return float(special.ndtr(-distance / error))


def pairs_needed(rho: float, n: int, edge: float) -> int | None:
    """Pairs with which the interval of a rank correlation would clear `edge` four times in five, if
    it is what it was over n; None where no number would."""
    distance, of_one = abs(_z(rho, n) - _z(edge, n)), _error(rho, n) * math.sqrt(n - 3)
    if not distance:
        return None
    asked = NORMAL + float(special.ndtri(POWER))  # standard errors between the two
    return 3 + math.ceil((asked * of_one / distance) ** 2)


def _z(rho: float, n: int) -> float:
    """Fisher's transform. A perfect order of n pairs has no finite one; it is taken for an order
    half a swap of neighbours short of it."""
    most = 1 - 6 / (n * (n**2 - 1))
    return math.atanh(min(max(rho, -most), most))


def _error(rho: float, n: int) -> float:
    """Standard error of that."""
    return math.sqrt((1 + math.tanh(_z(rho, n)) ** 2 / 2) / (n - 3))


def of_images(share: float, other: float, images: int) -> float:
    """Standard error that the draw of images alone gives a share of them less another one, at
    most: as if no image were in both.
    """
    return math.sqrt((share + other - (share - other) ** 2) / images)


def clopper_pearson(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share from independent trials (Clopper and Pearson, 1934)."""
    low = special.betaincinv(hits, trials - hits + 1, ALPHA) if hits else 0
    high = special.betaincinv(hits + 1, trials - hits, 1 - ALPHA) if hits < trials else 1
    return float(low), float(high)


def share_p(hits: int, trials: int, edge: float) -> float:
    """Of one side, as `p_value`: of a share from independent trials, by their binomial."""
    above = hits >= edge * trials
    return float(
        special.bdtrc(hits - 1, trials, edge) if above else special.bdtr(hits, trials, edge)
    )


def seeds_of_trials_needed(share: float, each: float, edge: float) -> int | None:
    """Seeds of `each` trials with which the interval of their share would clear `edge` four times
    in five, if the share is as seen; None where no number up to MOST_SEEDS would."""
    if share < edge:
        share, edge = 1 - share, 1 - edge

    def power(seeds: int) -> float:
        trials = round(seeds * each)
        # The fewest hits that clear it: P(so many | edge) is at most ALPHA.
        hits = np.arange(trials + 1)
        clears = special.bdtrc(hits - 1, trials, edge) <= ALPHA
        fewest = int(clears.argmax()) if clears.any() else trials + 1
        return float(special.bdtrc(fewest - 1, trials, share)) if fewest <= trials else 0.0

    return None if share == edge else _fewest(power, 1)


def holm(p: Sequence[float], alpha: float) -> int:
    """How many of these are still rejected with the chance of one wrong rejection under alpha."""
    steps = (alpha / (len(p) - rank) for rank in range(len(p)))
    passed = [value <= step for value, step in zip(sorted(p), steps, strict=True)]
    return passed.index(False) if False in passed else len(p)


def benjamini_hochberg(p: Sequence[float], alpha: float) -> int:
    """How many are rejected with the expected share of wrong ones among them under alpha."""
    ranked = enumerate(sorted(p), 1)
    return max((rank for rank, value in ranked if value <= alpha * rank / len(p)), default=0)
