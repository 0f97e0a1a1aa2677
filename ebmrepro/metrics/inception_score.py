"""The Inception score, of any classifier.

Salimans et al., *Improved Techniques for Training GANs* (2016), arXiv:1606.03498. With a classifier
other than Inception it carries that classifier's name (`is_dbn`).
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr

from ebmrepro.config.evaluation import Evaluate
from ebmrepro.metrics import checks, flags
from ebmrepro.metrics.catalogue import CLASSIFIER, Measure
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import Measurement

MEASURES = {
    "inception_score": Measure(
        "Inception Score (IS)",
        "exp of the mean KL divergence of p(y|x) from p(y), mean over contiguous splits of the "
        "generated images; p(y|x) is the softmax over all outputs of the Inception network of "
        "2015-12-05, their biases left out as in the score's first code.",
        better="higher",
        digits=2,
        inception=True,
    ),
    "inception_score_sd": Measure(
        "Inception Score, spread over splits",
        "Standard deviation of the splits' scores (divisor: their number), which papers print "
        "after ±; it says nothing about training seeds.",
        digits=2,
        inception=True,
    ),
    "is_dbn": Measure(
        "Inception-type score, DBN classifier",
        f"exp of the mean KL divergence of p(y|x) from p(y), with {CLASSIFIER}: 1 at worst, the "
        "number of classes at best.",
        better="higher",
        digits=2,
    ),
}


def inception_score(probabilities: ArrayLike, splits: int) -> tuple[float, float]:
    """exp(mean_x KL(p(y|x) || p(y))) from class probabilities (N, K): mean and spread over splits.

    In [1, K]: 1 if every image gets the same distribution, K if the classes are certain and
    equally frequent. p(y) is the mean of p(y|x) in a split; the splits are contiguous, as in the
    published code. The second number is the standard deviation over splits (divisor `splits`), so
    0 if there is one; it says nothing about training seeds. ValueError if a row is no
    distribution, or `splits` is not in 1..N.
    """
    p = checks.probabilities("probabilities", probabilities)
    checks.whole("splits", splits, 1, len(p))
    edges = [i * len(p) // splits for i in range(splits + 1)]
    scores = []
    for low, high in pairwise(edges):
        conditional = p[low:high]  # p(y|x)
        marginal = conditional.mean(axis=0)  # p(y)
        scores.append(np.exp(rel_entr(conditional, marginal).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def of_features(real: Features, fake: Features, settings: Evaluate) -> Measurement:
    p = fake.probabilities
    if real.extractor != "inception" or not settings.inception:
        score, _ = inception_score(p, splits=1)
        told = {"is_dbn": "over all generated images at once, in one split"}
        return Measurement({"is_dbn": score}, flags={"is_dbn": flags.few(len(p))}, protocol=told)
    splits = settings.inception.splits
    score, spread = inception_score(p, splits)
    values = {"inception_score": score, "inception_score_sd": spread}
    rough = dict.fromkeys(values, flags.few(len(p) // splits))
    told = (
        f"{splits} contiguous splits; softmax over all {p.shape[1]:,} outputs, their biases left "
        "out"
    )
    return Measurement(values, flags=rough, protocol={"inception_score": told})
