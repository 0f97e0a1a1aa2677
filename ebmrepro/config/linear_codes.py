"""What a deep auto-encoder's error is held against: linear codes of as few numbers."""

from __future__ import annotations

from ebmrepro.config.documents import Strict
from ebmrepro.config.types import Count, Positive


class Logistic(Strict):
    """Logistic PCA: cross-entropy of logits of low rank, with a penalty, by L-BFGS."""

    # Of half the squares of codes and axes: without it the optimum is at infinity.
    penalty: Positive
    iterations: Count  # of L-BFGS, at most, on the training images; then on the test images' codes


class LinearCodes(Strict):
    components: Count  # as many as the auto-encoder's code has numbers
    wide: Count | None  # another number of components beside it
    logistic: Logistic | None  # null: pixels are no probabilities
