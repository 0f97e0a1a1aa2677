"""Whether generated images are copies of training images.

Authenticity: Alaa et al., *How faithful is your synthetic data?* (2022), arXiv:2102.08921.
C_T: Meehan, Chaudhuri and Dasgupta, *A non-parametric test to detect data-copying in generative
models* (2020), arXiv:2004.05675, with all images in one cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from ebmrepro.config.evaluation import Evaluate
from ebmrepro.metrics import checks, flags
from ebmrepro.metrics.catalogue import DBN, INCEPTION, Measure
from ebmrepro.metrics.checks import Array
from ebmrepro.metrics.distances import Points, nearest, neighbours
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import Measurement

MEASURES = {
    "authenticity_inception": Measure(
        "Authenticity, Inception features",
        "Share of generated images that are further from their nearest training image than that "
        f"one is from its own nearest, on {INCEPTION}: 0 for copies.",
        unit="share",
        inception=True,
    ),
    "copying_inception": Measure(
        "Data-copying C_T, Inception features",
        "z-score of the Mann-Whitney test of distances to the nearest training image, generated "
        f"against held-out images, all in one cell, on {INCEPTION}: far below 0 where generated "
        "images lie closer to the training images than unseen ones do.",
        unit="standard errors",
        digits=1,
        inception=True,
    ),
    "authenticity_dbn": Measure(
        "Authenticity, DBN features",
        "Share of generated images that are further from their nearest training image than that "
        f"one is from its own nearest, on {DBN}: 0 for copies.",
        unit="share",
    ),
    "copying_dbn": Measure(
        "Data-copying C_T, DBN features",
        "z-score of the Mann-Whitney test of distances to the nearest training image, generated "
        f"against test images, all in one cell, on {DBN}: far below 0 where generated images lie "
        "closer to the training images than unseen ones do.",
        unit="standard errors",
        digits=1,
    ),
}
CHANCE = -3.0  # C_T: a fair sample is below it once in 700 times


class Near(NamedTuple):
    """How near points (M, K) are to the training images."""

    distances: Array  # squared, to the nearest, (M,)
    authentic: float  # share that is further from it than it is from its own nearest other one


class Real(NamedTuple):
    """What is known of real images alone."""

    apart: Array  # of training images: squared distance to the nearest other one, (N,)
    fair: Near  # held-out images: what images are like that nobody can have copied


@dataclass(frozen=True, eq=False)
class Known:
    """Real images that copies are told by, in one extractor's features."""

    seen: Features  # of training images
    held_out: Features  # of images that no training saw
    told: str  # how many training images, and which
    kept: Real | None = None  # where known already

    @cached_property
    def real(self) -> Real:
        if self.kept:
            return self.kept
        apart = own_nearest(self.seen.points)
        return Real(apart, _near(self.seen.points, self.held_out.features, apart))

    def near(self, points: Features) -> Near:
        return _near(self.seen.points, points.features, self.real.apart)


def near(seen: ArrayLike, points: ArrayLike) -> Near:
    """Of training features (N, K). A point that ties with a neighbour is not authentic, so a copy
    of a training image that occurs twice is none. ValueError if a value is not finite or N < 2."""
    x = Points.of(checks.features("training features", seen, rows=2))
    return _near(x, points, own_nearest(x))


def own_nearest(x: Points) -> Array:
    """Squared distance of each of a set to its nearest other one, (N,)."""
    return torch.cat([pairs.squared[at] for at, pairs in neighbours(x, 1)]).cpu().numpy()


def _near(x: Points, points: ArrayLike, apart: Array) -> Near:
    distances, places = nearest(x.beside(checks.features("features", points)), x)
    squared = distances.cpu().numpy()
    return Near(squared, float((squared > apart[places.cpu().numpy()]).mean()))


def copying(fake: Array, held_out: Array) -> float:
    """C_T: z of the Mann-Whitney U of distances to the training images, (M,) against (N,).

    Under 0 where fakes are closer than held-out images. Ties count half, and the variance is the
    one without ties, as in the authors' code.
    """
    ordered = np.sort(held_out)
    below = np.searchsorted(ordered, fake, "left") + np.searchsorted(ordered, fake, "right")
    m, n = len(fake), len(held_out)
    u = below.sum() / 2  # pairs in which the fake is further away
    return float((u - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12))


def least(m: int, n: int) -> float:
    """C_T where each of m fakes is closer than each of n held-out images, as copies are."""
    return -float(np.sqrt(3 * m * n / (m + n + 1)))


def of_training(known: Known, fake: Features, settings: Evaluate) -> Measurement:
    fair, found = known.real.fair, known.near(fake)
    m, n = len(fake.features), len(known.held_out.features)
    z = copying(found.distances, fair.distances)
    copies = found.authentic <= fair.authentic / 2 or z <= min(CHANCE, least(m, n) / 2)
    names = [f"{what}_{fake.extractor}" for what in ("authenticity", "copying")]
    flagged = [*names, fake.named(dbn="fd_dbn", inception="fid")]
    return Measurement(
        dict(zip(names, (found.authentic, z), strict=True)),
        flags=dict.fromkeys(names, flags.few(min(m, n)))
        | (dict.fromkeys(flagged, flags.COPIES) if copies else {}),
        protocol={
            fake.named(dbn="memorisation", inception="inception memorisation"): f"training split, "
            f"{known.told}, and {n:,} held-out images, {fair.authentic:.3f} of them authentic; a "
            "system sits with the copies where its authenticity is at most half of that, or C_T at "
            f"most {CHANCE:g} and at least half-way to the least there is, {least(m, n):.1f}"
        },
    )
