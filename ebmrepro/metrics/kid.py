"""The kernel distance, known as KID in Inception features.

Binkowski et al., *Demystifying MMD GANs* (2018), arXiv:1801.01401.
"""

import numpy as np
from numpy.typing import ArrayLike

from ebmrepro.config.evaluation import Evaluate
from ebmrepro.metrics import checks, flags
from ebmrepro.metrics.catalogue import DBN, INCEPTION, Measure
from ebmrepro.metrics.checks import Array
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import Measurement

MEASURES = {
    "kid": Measure(
        "Kernel Inception distance (KID)",
        "Unbiased squared MMD with a cubic polynomial kernel over all images at once, on "
        f"{INCEPTION}, generated against real images; may be slightly negative.",
        better="lower",
        digits=4,
        inception=True,
    ),
    "kd_dbn": Measure(
        "Kernel distance, DBN features",
        "Unbiased squared MMD with KID's cubic polynomial kernel over all images at once, on "
        f"{DBN}, generated against test images; may be slightly negative.",
        better="lower",
        digits=4,
    ),
}

BLOCK = 1024  # rows of the kernel matrix held at once; no effect on the value beyond rounding


def kernel_distance(real: ArrayLike, fake: ArrayLike) -> float:
    """Unbiased squared MMD of features (N, K) and (M, K), kernel k(x, y) = (x'y / K + 1)^3.

    mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j): 0 in
    expectation for equal distributions, so small negative values are right.

    All samples are used at once. The published KID is this estimator averaged over random subsets
    (100 of 1,000): the same expectation, a larger variance, a number that depends on the draw.
    ValueError if a value is not finite, the widths differ, or either side has under 2 rows.
    """
    x = checks.matrix("real features", real, rows=2)
    y = checks.matrix("fake features", fake, rows=2)
    checks.same_width(x, y)
    within = _mean_off_diagonal(x) + _mean_off_diagonal(y)
    return within - 2 * _kernel_sum(x, y) / (len(x) * len(y))


def _mean_off_diagonal(x: Array) -> float:
    own = _cubic((x * x).sum(axis=1), x.shape[1]).sum()
    return (_kernel_sum(x, x) - float(own)) / (len(x) * (len(x) - 1))


def _kernel_sum(x: Array, y: Array) -> float:
    rows = range(0, len(x), BLOCK)
    return sum(float(_cubic(x[i : i + BLOCK] @ y.T, x.shape[1]).sum()) for i in rows)


def _cubic(dot: Array, width: int) -> Array:
    t = dot / width + 1
    return np.multiply(t * t, t)


def of_features(real: Features, fake: Features, settings: Evaluate) -> Measurement:
    name = real.named(dbn="kd_dbn", inception="kid")
    return Measurement(
        {name: kernel_distance(real.features, fake.features)},
        flags={name: flags.few(min(len(real.features), len(fake.features)))},
        protocol={"kid": "all images at once, not a mean over random subsets"}
        if name == "kid"
        else {},
    )
