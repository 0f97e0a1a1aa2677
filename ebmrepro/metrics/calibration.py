"""Whether probabilities mean what they say, and the one number that mends energies in that sense.

Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks. ICML 2017, arXiv:1706.04599.

    symbol    here            meaning
    p(y|x)    conditional     exp(-E(x, y) / T) / sum_y' exp(-E(x, y') / T)
    T         temperature     energies are given up to a scale; it never changes the argmin
    ECE       expected_calibration_error
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ebmrepro.metrics import checks
from ebmrepro.metrics.checks import Array

COLDEST, HOTTEST = 1e-3, 1e3  # temperatures that are looked at


class Bins(NamedTuple):
    """Of a reliability diagram, each (bins,): mean confidence, share that was right, images."""

    confidence: Array  # NaN in an empty bin
    accuracy: Array  # NaN in an empty bin
    images: NDArray[np.int64]


def conditional(energies: ArrayLike, temperature: float = 1.0) -> Array:
    """p(y|x) of joint energies (N, K): the softmax of -E / T, rows summing to 1.

    ValueError if an energy is not finite or the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature: {temperature}, allowed: above 0")
    e = checks.matrix("energies", energies) / temperature
    p = np.exp(e.min(axis=1, keepdims=True) - e)
    return p / p.sum(axis=1, keepdims=True)


def log_loss(energies: ArrayLike, labels: ArrayLike, temperature: float = 1.0) -> float:
    """Mean of -log p(y|x) over N images in nats, from joint energies (N, K) and labels (N,)."""
    e = checks.matrix("energies", energies) / temperature
    y = _labels(labels, e.shape)
    return float((e[np.arange(len(e)), y] + _log_sum_exp(-e)).mean())


def fit_temperature(energies: ArrayLike, labels: ArrayLike) -> float:
    """The T in [COLDEST, HOTTEST] of least log-loss, from joint energies (N, K), labels (N,).

    In beta = 1 / T the log-loss is convex: its slope, mean E(x, y) - mean E_p[E(x, y')], rises, and
    is halved in on. Where every image is right the slope stays negative: T is COLDEST then.
    """
    e = checks.matrix("energies", energies)
    true = e[np.arange(len(e)), _labels(labels, e.shape)].mean()
    low, high = np.log(COLDEST), np.log(HOTTEST)  # of T
    for _ in range(60):
        middle = (low + high) / 2
        slope = true - (conditional(e, float(np.exp(middle))) * e).sum(axis=1).mean()
        low, high = (low, middle) if slope <= 0 else (middle, high)  # beta up: T down
    return float(np.exp((low + high) / 2))


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int) -> Bins:
    """Images sorted by the probability of their likeliest label into equal bins of (0, 1].

    From p(y|x) (N, K) and labels (N,); bin b holds confidences in (b / bins, (b + 1) / bins].
    """
    p = checks.probabilities("probabilities", probabilities)
    right = p.argmax(axis=1) == _labels(labels, p.shape)
    confidence = p.max(axis=1)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    filled = np.where(count, count, np.nan)
    return Bins(
        np.bincount(place, confidence, bins) / filled,
        np.bincount(place, right, bins) / filled,
        count,
    )


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int) -> float:
    """sum_b n_b / N |accuracy_b - confidence_b| over the bins of `reliability`, in [0, 1]."""
    found = reliability(probabilities, labels, bins)
    gaps = np.abs(found.accuracy - found.confidence) * found.images
    return float(np.nansum(gaps) / found.images.sum())


def _log_sum_exp(x: Array) -> Array:
    top = x.max(axis=1)
    return top + np.log(np.exp(x - top[:, None]).sum(axis=1))


def _labels(labels: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    y = np.asarray(labels)
    wrong = y.shape != shape[:1] or not np.issubdtype(y.dtype, np.integer)
    if wrong or y.min() < 0 or y.max() >= shape[1]:
        raise ValueError(f"labels {y.dtype} {y.shape}: expected {shape[:1]} of 0..{shape[1] - 1}")
    return y
