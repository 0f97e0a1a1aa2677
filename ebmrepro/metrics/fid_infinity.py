"""The Fréchet distance at infinitely many generated images.

Chong and Forsyth, *Effectively Unbiased FID and Inception Score and where to find them* (2020),
arXiv:1911.07023: the distance of N images is biased up by about c / N, with another c for each
generator. So a line in 1 / N is laid through the distances of several N and read at 0.

Departures: a part is the first N images of the draw, where the paper draws N of them at random; and
N starts at four times the number of features where that is more than a tenth of the images. The
paper has 5,000 of 50,000 for 2,048 features. In a trial with 128 features and 2,000 images, which
add 0.47, lines from 128, 256, 512 and 768 images on were wrong by -0.04, -0.04, 0.02 and 0.03 on
average and scattered by 0.13, 0.11, 0.07 and 0.09: near as many images as features the bias is no
line.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ebmrepro.config.evaluation import Evaluate
from ebmrepro.metrics import checks
from ebmrepro.metrics.catalogue import DBN, INCEPTION, Measure
from ebmrepro.metrics.features import Features, Gaussian, fit_gaussians
from ebmrepro.metrics.fid import frechet_distance
from ebmrepro.metrics.measurement import Measurement

# "squared distance" has a logarithmic scale, and what is read off a line can be under 0.
MEASURES = {
    "fid_infinity": Measure(
        "FID at infinitely many images",
        f"The Fréchet distance on {INCEPTION}, of first parts of the generated images, as a line "
        "in one over their number, read at 0: what their number adds is taken off.",
        unit="squared distance, read off a line",
        better="lower",
        digits=2,
        inception=True,
    ),
    "fd_dbn_infinity": Measure(
        "Fréchet distance at infinitely many images, DBN features",
        f"The Fréchet distance on {DBN}, of first parts of the generated images, as a line in one "
        "over their number, read at 0: what their number adds is taken off, so that systems with "
        "different numbers compare. What the number of real images adds stays.",
        unit="squared distance, read off a line",
        better="lower",
    ),
}
POINTS = 15  # of the line
LEAST = 10  # the smallest part is one in so many of the images ...
FEATURES = 4  # ... and at least so many images for each feature


def counts(n: int, width: int) -> list[int]:
    """Images of each part of n, evenly spaced; none where the largest is not twice the smallest."""
    low = max(n // LEAST, FEATURES * width)
    return [] if 2 * low > n else np.linspace(low, n, POINTS).astype(int).tolist()


def at_infinity(features: ArrayLike, real: Gaussian) -> float:
    """Fréchet distance to `real` as the number of `features` (N, K) grows without bound.

    In squared units of the features; it may be a little under 0. ValueError if a value is not
    finite, the widths differ, or N < 8 K.
    """
    x = checks.features("features", features)
    parts = counts(*x.shape)
    if not parts:
        least = 2 * FEATURES * x.shape[1]
        raise ValueError(f"features: {len(x)} rows of {x.shape[1]}, at least {least} needed")
    return intercept(parts, [frechet_distance(part, real) for part in fit_gaussians(x, parts)])


def intercept(parts: ArrayLike, distances: ArrayLike) -> float:
    """Of the least-squares line through distances of N images, as N grows without bound."""
    inverse, found = 1 / checks.vector("parts", parts), checks.vector("distances", distances)
    return float(np.polynomial.Polynomial.fit(inverse, found, 1)(0.0))


def of_features(real: Features, fake: Features, settings: Evaluate) -> Measurement:
    name = real.named(dbn="fd_dbn_infinity", inception="fid_infinity")
    n, width = fake.features.shape
    if not (parts := counts(n, width)):
        reason = f"{n:,} images for {width:,} features: too few for a line in one over their number"
        return Measurement({name: None}, {name: reason})
    told = f"a line through {POINTS} parts of {parts[0]:,} to {n:,} generated images"
    return Measurement(
        {name: at_infinity(fake.features, real.gaussian)},
        protocol={name.replace("_", " "): told},
    )
