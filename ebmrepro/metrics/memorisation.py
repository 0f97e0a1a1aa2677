"""Whether generated images are copies of training images.

Authenticity: Alaa et al., *How faithful is your synthetic data?* (2022), arXiv:2102.08921,
section 3.3. C_T: Meehan, Chaudhuri and Dasgupta, *A non-parametric test to detect data-copying in
generative models* (2020), arXiv:2004.05675, equation 2, with all images in one cell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ebmrepro.config.evaluation import Evaluate
from ebmrepro.metrics import checks
from ebmrepro.metrics.catalogue import DBN, Measure
from ebmrepro.metrics.checks import Array
from ebmrepro.metrics.distances import squared_distances, to_neighbour
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import Measurement

MEASURES = {
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
COPIES = 0.1  # authenticity: at most so much of what is generated is not a near copy


def nearest(points: Array, seen: Array) -> tuple[Array, NDArray[np.intp]]:
    """Squared distance to the nearest of `seen`, and which it is; both (N,)."""
    blocks = [(d.min(axis=1), d.argmin(axis=1)) for _, d in squared_distances(points, seen)]
    distances, places = zip(*blocks, strict=True)
    return np.concatenate(distances), np.concatenate(places)


def authenticity(seen: ArrayLike, fake: ArrayLike) -> float:
    """Share in [0, 1] of `fake` (M, K) that is further from its nearest among `seen` (N, K) than
    that one is from its own nearest other one. ValueError if a value is not finite or N < 2."""
    x, y = _centred(seen, fake)
    distances, places = nearest(y, x)
    return float((distances > to_neighbour(x, 1)[places]).mean())


def copying(seen: ArrayLike, held_out: ArrayLike, fake: ArrayLike) -> float:
    """C_T: z of the Mann-Whitney U of distances to `seen`, `fake` against `held_out`.

    Under 0 where fakes are closer than held-out images; ties count half, as in `rank`. ValueError
    if a value is not finite.
    """
    x, y = _centred(seen, fake)
    _, z = _centred(seen, held_out)
    of_fake, of_held_out = nearest(y, x)[0], nearest(z, x)[0]
    m, n = len(of_fake), len(of_held_out)
    ordered = np.sort(of_held_out)
    below = np.searchsorted(ordered, of_fake, "left") + np.searchsorted(ordered, of_fake, "right")
    u = below.sum() / 2  # pairs in which the fake is further away
    return float((u - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12))


def _centred(seen: ArrayLike, other: ArrayLike) -> tuple[Array, Array]:
    """Both less the mean of `seen`: distances stay, and lose less to cancellation."""
    x = checks.matrix("training features", seen, rows=2)
    y = checks.matrix("features", other)
    checks.same_width(x, y)
    centre = x.mean(axis=0)
    return x - centre, y - centre


def of_training(seen: Features, real: Features, fake: Features, settings: Evaluate) -> Measurement:
    share = authenticity(seen.features, fake.features)
    flag = "sits with copies of the training images" if share <= COPIES else None
    return Measurement(
        {
            "authenticity_dbn": share,
            "copying_dbn": copying(seen.features, real.features, fake.features),
        },
        flags={"authenticity_dbn": flag},
        protocol={
            "memorisation": f"against the first {len(seen.features):,} training images; flagged at "
            f"an authenticity of {COPIES:g} or less"
        },
    )
