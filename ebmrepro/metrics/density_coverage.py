"""Density and coverage: precision and recall that an outlier among the real images cannot inflate.

Naeem et al., *Reliable fidelity and diversity metrics for generative models* (2020),
arXiv:2002.09797, equations 6 and 8.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ebmrepro.config.evaluation import Evaluate
from ebmrepro.metrics import checks, flags
from ebmrepro.metrics.catalogue import DBN, Measure
from ebmrepro.metrics.distances import squared_distances, to_neighbour
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import Measurement

MEASURES = {
    "density_dbn": Measure(
        "Density, DBN features",
        "Mean over generated images of the number of real images whose k-nearest-neighbour ball "
        f"holds them, over k, on {DBN}: near 1 for images as the real ones, above where they crowd "
        "in the middle.",
        better="higher",
    ),
    "coverage_dbn": Measure(
        "Coverage, DBN features",
        "Share of real images whose k-nearest-neighbour ball among the real ones holds a generated "
        f"image, on {DBN}: how much of the data is reached.",
        unit="share",
        better="higher",
    ),
}


class DensityCoverage(NamedTuple):
    density: float  # at least 0
    coverage: float  # in [0, 1]


def density_coverage(real: ArrayLike, fake: ArrayLike, k: int) -> DensityCoverage:
    """Of features (N, K) and (M, K), with balls to the k-th nearest real neighbour.

    Balls hold their edge. In the authors' code (`prdc`) they do not, so that a generator that
    copies a real image of which there are k + 1 has density and coverage 0 there, and is wrong.
    ValueError if a value is not finite, the widths differ, or k >= N.
    """
    x = checks.matrix("real features", real, rows=2)
    y = checks.matrix("fake features", fake)
    checks.same_width(x, y)
    checks.whole("k", k, 1, len(x) - 1)
    centre = x.mean(axis=0)  # as for precision and recall
    x, y = x - centre, y - centre
    radii = to_neighbour(x, k)
    inside, covered = 0, np.zeros(len(x), dtype=bool)
    for _, distances in squared_distances(y, x):
        held = distances <= radii
        inside += int(held.sum())
        covered |= held.any(axis=0)
    return DensityCoverage(inside / (k * len(y)), float(covered.mean()))


def of_features(real: Features, fake: Features, settings: Evaluate) -> Measurement:
    if real.extractor != "dbn" or len(real.features) <= settings.neighbours:
        return Measurement()
    found = density_coverage(real.features, fake.features, settings.neighbours)
    flag = flags.few(min(len(real.features), len(fake.features)))
    names = list(MEASURES)
    return Measurement(dict(zip(names, found, strict=True)), flags=dict.fromkeys(names, flag))
