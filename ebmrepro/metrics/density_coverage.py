"""Density and coverage: precision and recall that an outlier among the real images cannot inflate.

Naeem et al., *Reliable fidelity and diversity metrics for generative models* (2020),
arXiv:2002.09797.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ebmrepro.config.evaluation import Evaluate
from ebmrepro.metrics import checks, flags
from ebmrepro.metrics.catalogue import DBN, INCEPTION, Measure
from ebmrepro.metrics.checks import Array
from ebmrepro.metrics.distances import centred, kth, squared_distances
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import Measurement

MEASURES = {
    "density_inception": Measure(
        "Density, Inception features",
        "Mean over generated images of the number of real images whose k-nearest-neighbour ball "
        f"holds them, over k, on {INCEPTION}: 1 for images as the real ones, above where they "
        "crowd in the middle.",
        inception=True,
    ),
    "coverage_inception": Measure(
        "Coverage, Inception features",
        "Share of real images whose k-nearest-neighbour ball among the real ones holds a generated "
        f"image, on {INCEPTION}: how much of the data is reached.",
        unit="share",
        better="higher",
        inception=True,
    ),
    "density_dbn": Measure(
        "Density, DBN features",
        "Mean over generated images of the number of real images whose k-nearest-neighbour ball "
        f"holds them, over k, on {DBN}: 1 for images as the real ones, above where they crowd in "
        "the middle.",
    ),
    "coverage_dbn": Measure(
        "Coverage, DBN features",
        "Share of real images whose k-nearest-neighbour ball among the real ones holds a generated "
        f"image, on {DBN}: how much of the data is reached.",
        unit="share",
        better="higher",
    ),
}

Flags = NDArray[np.bool_]
EDGE = 1e-9  # of a squared radius: nearer to the edge of a ball than rounding tells


class DensityCoverage(NamedTuple):
    density: float  # at least 0
    coverage: float  # in [0, 1]


def density_coverage(real: ArrayLike, fake: ArrayLike, k: int) -> DensityCoverage:
    """Of features (N, K) and (M, K), with balls to the k-th nearest real neighbour.

    What the authors' code (`prdc`) gives where no two real images are the same. Its balls are open,
    so one of k + 1 equal images has radius 0 and holds nothing: where all features are the same it
    finds density and coverage 0 (clovaai/generative-evaluation-prdc#7). With closed balls the
    density would be N / k. Here a ball counts k real images, itself among them, whatever is tied:
    those on its edge share what those inside leave of k, and so does a fake there. Real images then
    have density 1 of themselves, which the paper expects of equal distributions; and a fake covers
    the image that it equals. ValueError if a value is not finite, the widths differ, or k >= N.
    """
    x = checks.matrix("real features", real, rows=2)
    x, y = centred(x, checks.matrix("fake features", fake))
    checks.whole("k", k, 1, len(x) - 1)
    radii, at_edge = _balls(x, k)
    held, covered = 0.0, np.zeros(len(x), dtype=bool)
    for _, distances in squared_distances(y, x):
        inside, edge = _places(distances, radii)
        held += inside.sum() + (edge * at_edge).sum()
        covered |= (inside | (distances == 0)).any(axis=0)
    return DensityCoverage(float(held) / (k * len(y)), float(covered.mean()))


def _balls(x: Array, k: int) -> tuple[Array, Array]:
    """Squared radii (N,), and what a point on the edge of each ball counts, (N,)."""
    radii, at_edge = [], []
    for start, distances in squared_distances(x, x):
        found = kth(distances, start, k)
        inside, edge = _places(distances, found[:, None])
        point = found == 0  # a ball without an inside: its centre, which is no neighbour, is edge
        left = k - (inside.sum(axis=1) + ~point)
        radii.append(found)
        at_edge.append(left / (edge.sum(axis=1) + point))
    return np.concatenate(radii), np.concatenate(at_edge)


def _places(distances: Array, radii: Array) -> tuple[Flags, Flags]:
    """Which squared distances are inside their balls, and which on the edge."""
    inside = distances < radii * (1 - EDGE)
    return inside, ~inside & (distances <= radii * (1 + EDGE))


def of_features(real: Features, fake: Features, settings: Evaluate) -> Measurement:
    names = [f"{side}_{real.extractor}" for side in ("density", "coverage")]
    k, count = settings.neighbours, len(real.features)
    if count <= k:
        reason = f"{count:,} real images have no neighbour number {k}"
        return Measurement(dict.fromkeys(names), dict.fromkeys(names, reason))
    found = density_coverage(real.features, fake.features, k)
    flag = flags.few(min(count, len(fake.features)))
    return Measurement(dict(zip(names, found, strict=True)), flags=dict.fromkeys(names, flag))
