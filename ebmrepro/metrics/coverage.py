"""Which classes a generator reaches, by a classifier's word.

Modes counted with a classifier: Metz et al., *Unrolled GANs* (2017), arXiv:1611.02163.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ebmrepro.config.evaluation import Evaluate
from ebmrepro.metrics import checks, flags
from ebmrepro.metrics.catalogue import CLASSIFIER, Measure
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import Measurement

MEASURES = {
    "classes_covered": Measure(
        "Classes covered",
        "Classes that get at least a minimal share of the images at a minimal confidence, by "
        f"{CLASSIFIER}.",
        unit="classes",
        better="higher",
        digits=1,
    ),
}


def class_histogram(probabilities: ArrayLike, confidence: float) -> NDArray[np.int64]:
    """Images per class (K,): those whose likeliest class has probability `confidence` or more.

    From class probabilities (N, K). The sum is under N where the classifier is not confident; at
    equal probabilities the lower class counts. ValueError if a row is no distribution, or
    `confidence` is not in (0, 1].
    """
    p = checks.probabilities("probabilities", probabilities)
    confident = p.max(axis=1) >= checks.share("confidence", confidence)
    return np.bincount(p.argmax(axis=1)[confident], minlength=p.shape[1])


def classes_covered(probabilities: ArrayLike, share: float, confidence: float) -> int:
    """Number of classes, 0..K, that get at least `share` of all N images at that confidence.

    From class probabilities (N, K). ValueError if a row is no distribution, or `share` or
    `confidence` is not in (0, 1].
    """
    counts = class_histogram(probabilities, confidence)
    return int((counts >= checks.share("share", share) * len(np.asarray(probabilities))).sum())


def of_features(real: Features, fake: Features, settings: Evaluate) -> Measurement:
    if real.extractor == "inception":
        return Measurement()
    share, confidence = settings.coverage_share, settings.coverage_confidence
    p = fake.probabilities
    told = f"at least {100 * share:g} % of the generated images at probability {confidence} or more"
    return Measurement(
        {"classes_covered": classes_covered(p, share, confidence)},
        flags={"classes_covered": flags.few(len(p))},
        protocol={"classes covered": told},
    )


def of_images(real: NDArray[np.uint8], fake: NDArray[np.uint8], settings: Evaluate) -> Measurement:
    return Measurement(flags={"classes_covered": flags.collapsed(fake)})
