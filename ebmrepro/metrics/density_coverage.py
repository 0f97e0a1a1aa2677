"""Density and coverage: precision and recall that an outlier among the real images cannot inflate.

Naeem et al., *Reliable fidelity and diversity metrics for generative models* (2020),
arXiv:2002.09797.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from ebmrepro.config.evaluation import Evaluate
from ebmrepro.metrics import checks, flags, meeting
from ebmrepro.metrics.catalogue import DBN, INCEPTION, Measure
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
    x = checks.features("real features", real, rows=2)
    y = checks.features("fake features", fake)
    checks.same_width(x, y)
    checks.whole("k", k, 1, len(x) - 1)
    return DensityCoverage(*meeting.of_arrays(x, y, k)[2:])


def of_features(real: Features, fake: Features, settings: Evaluate) -> Measurement:
    names = [f"{side}_{real.extractor}" for side in ("density", "coverage")]
    k, count = settings.neighbours, len(real.features)
    if count <= k:
        reason = f"{count:,} real images have no neighbour number {k}"
        return Measurement(dict.fromkeys(names), dict.fromkeys(names, reason))
    found = meeting.between(real, fake, k)[2:]
    flag = flags.few(min(count, len(fake.features)))
    return Measurement(dict(zip(names, found, strict=True)), flags=dict.fromkeys(names, flag))
