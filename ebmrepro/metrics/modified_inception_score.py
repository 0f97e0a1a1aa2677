"""EBGAN's modified Inception score I', of any classifier.

Zhao, Mathieu, LeCun, *Energy-based Generative Adversarial Network* (2017), arXiv:1609.03126, prints
E_x KL(p(y) || p(y|x))^2. Whether that is a square is not sure: probably it is the mark of a
footnote, for the text says that the score makes histograms more compact, and a square spreads them.
So both are given, the one without first.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from ebmrepro.metrics import checks


def modified_inception_score(log_probabilities: ArrayLike, power: Literal[1, 2] = 1) -> float:
    """I' = E_x KL(p(y) || p(y|x))^power from log p(y|x), natural logarithms, (N, K).

    The marginal p(y), the mean of p(y|x), comes first, other than in the Inception score; a power
    is taken inside the mean. At least 0, which it is where every image gets the same distribution;
    without an upper bound, since it grows as the classifier leaves classes out: it compares nothing
    across classifiers. Logarithms are asked for because a probability that is rounded to 0 would
    make it infinite. ValueError if a value is not finite, or a row is not the logarithm of a
    distribution.
    """
    log_p = checks.matrix("log probabilities", log_probabilities)  # log p(y|x)
    checks.probabilities("probabilities", np.exp(log_p))
    log_marginal = logsumexp(log_p, axis=0) - np.log(len(log_p))  # log p(y)
    divergence = (np.exp(log_marginal) * (log_marginal - log_p)).sum(axis=1)
    return float((divergence**power).mean())
