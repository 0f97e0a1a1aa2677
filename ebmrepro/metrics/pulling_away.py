"""The pulling-away term as a measure of diversity.

Zhao, Mathieu, LeCun, *Energy-based Generative Adversarial Network* (2017), arXiv:1609.03126.
"""

import numpy as np
from numpy.typing import ArrayLike

from ebmrepro.config.evaluation import Evaluate
from ebmrepro.metrics import checks, flags
from ebmrepro.metrics.catalogue import DBN, Measure
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import Measurement

MEASURES = {
    "cos2_dbn": Measure(
        "Similarity of generated images, DBN features",
        f"Mean squared cosine over all pairs of generated images, on {DBN} centred on the real "
        "mean: 0 if all differ, 1 if all are the same; read it beside the value of real images.",
        unit="mean squared cosine",
        better="lower",
    ),
    "cos2_code": Measure(
        "Similarity of generated images, own codes",
        "The pulling-away term as a measure: mean squared cosine over all pairs of the codes that "
        "the method's own encoder gives to generated images; not comparable between methods.",
        unit="mean squared cosine",
        better="lower",
    ),
}


def pulling_away(codes: ArrayLike) -> float:
    """f_PT: the mean over i != j of the squared cosine of codes S_i, S_j, from codes (N, s).

    In [0, 1]: 0 iff all are orthogonal, 1 iff all are parallel or anti-parallel; for N > s at least
    (N - s) / (s (N - 1)) (Welch 1974). A zero code has no direction and contributes 0 to its pairs.
    Codes that are to be centred are centred by the caller, on the mean of *real* data: on their
    own mean, a collapsed set would be all zeros. ValueError if a value is not finite or N < 2.
    """
    S = checks.matrix("codes", codes, rows=2)
    # Scaled by the largest entry first, so that squares neither overflow nor vanish.
    largest = np.abs(S).max(axis=1, keepdims=True)
    S = np.divide(S, largest, out=np.zeros_like(S), where=largest > 0)
    length = np.linalg.norm(S, axis=1, keepdims=True)
    unit = np.divide(S, length, out=np.zeros_like(S), where=length > 0)
    # sum_{i,j} (u_i'u_j)^2 = |U U'|^2 = |U'U|^2, the smaller of the two; where i = j, it is 1 for
    # every code that has a direction.
    n, s = unit.shape
    gram = unit @ unit.T if n < s else unit.T @ unit
    pairs = (gram * gram).sum() - np.count_nonzero(length)
    return max(float(pairs) / (n * (n - 1)), 0.0)  # below 0 only by rounding


def of_features(real: Features, fake: Features, settings: Evaluate) -> Measurement:
    if real.extractor == "inception":
        return Measurement()
    centred = fake.features - real.features.mean(axis=0)
    return Measurement(
        {"cos2_dbn": pulling_away(centred)}, flags={"cos2_dbn": flags.few(len(centred))}
    )
