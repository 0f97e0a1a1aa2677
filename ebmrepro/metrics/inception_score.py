"""The Inception score, of any classifier.

Salimans et al., *Improved Techniques for Training GANs* (2016), arXiv:1606.03498. With a classifier
other than Inception it carries that classifier's name (`is_dbn`).
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr

from ebmrepro.metrics import checks


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
