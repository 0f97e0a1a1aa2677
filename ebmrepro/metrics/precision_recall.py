"""Improved precision and recall: quality and coverage of generated images, told apart.

Kynkäänniemi et al., *Improved Precision and Recall Metric for Assessing Generative Models* (2019),
arXiv:1904.06991.
"""

from typing import NamedTuple

from numpy.typing import ArrayLike

from ebmrepro.config.evaluation import Evaluate
from ebmrepro.metrics import checks, flags, meeting
from ebmrepro.metrics.catalogue import DBN, INCEPTION, Measure
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import Measurement

MEASURES = {
    "precision_inception": Measure(
        "Precision, Inception features",
        "Share of generated images that lie within the k-nearest-neighbour balls of real images, "
        f"on {INCEPTION}: how many look real.",
        unit="share",
        better="higher",
        inception=True,
    ),
    "recall_inception": Measure(
        "Recall, Inception features",
        "Share of real images that lie within the k-nearest-neighbour balls of generated images, "
        f"on {INCEPTION}: how much of the data is reached.",
        unit="share",
        better="higher",
        inception=True,
    ),
    "precision_dbn": Measure(
        "Precision, DBN features",
        "Share of generated images that lie within the k-nearest-neighbour balls of the test "
        f"images, on {DBN}: how many look real.",
        unit="share",
        better="higher",
    ),
    "recall_dbn": Measure(
        "Recall, DBN features",
        "Share of test images that lie within the k-nearest-neighbour balls of the generated "
        f"images, on {DBN}: how much of the data is reached.",
        unit="share",
        better="higher",
    ),
}


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1]."""

    precision: float
    recall: float


def precision_recall(real: ArrayLike, fake: ArrayLike, k: int) -> PrecisionRecall:
    """How much of each set lies on the manifold of the other, from features (N, K) and (M, K).

    The manifold of a set is the union of balls around its points, each reaching (inclusively) to
    its k-th nearest neighbour in the set, itself not counted. Precision is the share of fakes on
    the manifold of the real, recall the share of real on the manifold of the fakes. Both depend on
    N, M and k; the paper takes k = 3 and N = M. ValueError if a value is not finite, the widths
    differ, or a set has no k-th neighbour (k >= N or k >= M).
    """
    x = checks.features("real features", real, rows=2)
    y = checks.features("fake features", fake, rows=2)
    checks.same_width(x, y)
    checks.whole("k", k, 1, min(len(x), len(y)) - 1)
    return PrecisionRecall(*meeting.of_arrays(x, y, k)[:2])


def of_features(real: Features, fake: Features, settings: Evaluate) -> Measurement:
    names = [f"{side}_{real.extractor}" for side in ("precision", "recall")]
    k, count = settings.neighbours, min(len(real.features), len(fake.features))
    subject = real.named(dbn="precision and recall", inception="inception precision and recall")
    found = Measurement(
        dict.fromkeys(names),
        flags=dict.fromkeys(names, flags.few(count)),
        protocol={subject: f"k = {k}"},
    )
    if count > k:
        shares = meeting.between(real, fake, k)[:2]
        found.values = dict(zip(names, shares, strict=True))
    else:
        found.reasons = dict.fromkeys(names, f"{count:,} images have no neighbour number {k}")
    return found
