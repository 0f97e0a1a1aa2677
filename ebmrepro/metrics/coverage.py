"""Which classes a generator reaches, by a classifier's word.

Modes counted with a classifier: Metz et al., *Unrolled GANs* (2017), arXiv:1611.02163.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ebmrepro.metrics import checks


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
