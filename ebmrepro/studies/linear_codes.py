"""Linear codes that a deep auto-encoder is held against: PCA, and PCA of logits.

Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks. Science 313, 2006,
Figure 2: on MNIST 13.87 by 30 principal components and 8.01 by logistic PCA; on the curves 5.90 by
18 components, 7.64 and 2.45 by logistic PCA with 6 and 18. All squared errors of a test image.

    symbol   here   meaning
    x        x      pixels in [0, 1], (N, V)
    z        z      codes, (N, K); those of test images minimise the same sum, A and mu as they are
    A, mu           axes (V, K) and offsets (V,), of the training images

Logistic PCA minimises the cross-entropy of x with logits mu + A z, that is

    sum log(1 + exp(mu + A z)) - x (mu + A z)  +  penalty / 2 (|z|^2 + |A|^2)

(Collins, Dasgupta and Schapire, 2002; Schein, Saul and Ungar, 2003, whom the paper cites by our
memory), and answers with sigmoid(mu + A z). A penalty on the two factors is one on the singular
values of their product.

Not recoverable from the paper, so ours: the penalty, without which pixels that are always black ask
for infinite logits and the error is that of where one stops; the number of iterations; and that a
test image's code is found by descent, as its best.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from ebmrepro import data
from ebmrepro.config import params
from ebmrepro.config.linear_codes import Logistic
from ebmrepro.config.params import Params
from ebmrepro.data.check import PIXELS, pca_error
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.networks import threads
from ebmrepro.runs import layout, provenance
from ebmrepro.system import atomic

SYSTEM = "linear_codes"
AT_A_TIME = 5000  # images whose logits are held at once
START = 0.01  # standard deviation of codes and axes, and how far from 0 and 1 mean pixels are kept

Array = np.ndarray


def write(suite: str, seed: int, settings: Params) -> dict[str, Any]:
    """Fit and measure them, and write results/<suite>/linear_codes/<seed>/metrics.json, which is
    returned. Only where logistic PCA starts differs between seeds.
    """
    asked, split = settings.linear_codes(suite), settings.suite(suite).evaluate.split
    threads.one()  # the same sums in the same order on any machine
    began, started = monotonic(), provenance.start()
    train, test = (data.read(Path("data") / suite, part)[0] for part in ("train", split))
    values = {
        "mean_image_sum_sq": pca_error([train], test, 0),
        "total_variance": total_variance([train, test]),
    }
    for suffix, components in {"": asked.components, "_wide": asked.wide}.items():
        if components is None:
            continue
        values[f"pca_sum_sq{suffix}"] = pca_error([train], test, components)
        if asked.logistic:
            values[f"logistic_pca_sum_sq{suffix}"] = logistic_pca_error(
                train, test, components, asked.logistic, seed
            )
    told = f"{len(train):,} training images, {len(test):,} of {split}; components: "
    told += " and ".join(str(n) for n in (asked.components, asked.wide) if n)
    document = {
        "suite": suite,
        "method": SYSTEM,
        "seed": seed,
        "fingerprint": params.digest(
            [suite, seed, asked.model_dump(), *map(data.sha256, (train, test))]
        ),
        **Measurement({**values}, protocol={SYSTEM: told}).document(),
    }
    out = layout.results(suite, SYSTEM, seed)
    out.mkdir(parents=True, exist_ok=True)
    atomic.write_json(out / "metrics.json", document)
    seconds = monotonic() - began
    provenance.write_provenance(document["fingerprint"], started, seconds, len(train))
    return document


def total_variance(splits: Sequence[Array]) -> float:
    """Variance of pixels in [0, 1] over all images, summed over pixels; uint8 (N, C, H, W) each."""
    apart = sum(len(images) * pca_error([*splits], images, 0) for images in splits)
    return apart / sum(map(len, splits))


def logistic_pca_error(
    train: Array, test: Array, components: int, asked: Logistic, seed: int
) -> float:
    """Squared error of logistic PCA's reconstruction of a test image, summed over pixels in [0, 1],
    mean; images are uint8 (N, C, H, W).
    """
    seen, shown = (images.reshape(len(images), -1) for images in (train, test))
    axes, offsets = fit(seen, components, asked, seed)
    codes = encode(shown, axes, offsets, asked)
    squared = (np.square(x - expit(offsets + z @ axes.T)).sum() for x, z in _parts(shown, codes))
    return float(sum(squared) / len(shown))


def fit(pixels: Array, components: int, asked: Logistic, seed: int) -> tuple[Array, Array]:
    """Axes (V, K) and offsets (V,) of uint8 (N, V); codes and axes start at N(0, START^2)."""
    n, width = pixels.shape
    mean = np.clip(pixels.mean(0) / PIXELS, START, 1 - START)
    start = START * np.random.default_rng(seed).standard_normal((n + width, components))
    cut = [n * components, (n + width) * components]

    def descend(flat: Array) -> tuple[float, Array]:
        z, axes, offsets = np.split(flat, cut)
        return objective(pixels, z.reshape(n, -1), axes.reshape(width, -1), offsets, asked.penalty)

    found = _minimum(descend, np.concatenate([start.ravel(), np.log(mean / (1 - mean))]), asked)
    return found[cut[0] : cut[1]].reshape(width, -1), found[cut[1] :]


def encode(pixels: Array, axes: Array, offsets: Array, asked: Logistic) -> Array:
    """Codes (N, K) of uint8 (N, V), best for these axes; they start at 0."""
    shape = (len(pixels), axes.shape[1])

    def descend(flat: Array) -> tuple[float, Array]:
        value, gradient = objective(pixels, flat.reshape(shape), axes, offsets, asked.penalty)
        return value, gradient[: flat.size]

    return _minimum(descend, np.zeros(shape).ravel(), asked).reshape(shape)


def objective(
    pixels: Array, z: Array, axes: Array, offsets: Array, penalty: float
) -> tuple[float, Array]:
    """What is minimised, nats per image, and its derivative by z, A and mu, joined in this order.

    `pixels` are uint8 (N, V).
    """
    value = penalty / 2 * (np.square(z).sum() + np.square(axes).sum())
    of_z, of_axes, of_offsets = penalty * z, penalty * axes, np.zeros_like(offsets)
    for i in range(0, len(z), AT_A_TIME):
        rows = slice(i, i + AT_A_TIME)
        x, code = pixels[rows] / PIXELS, z[rows]
        logits = offsets + code @ axes.T
        low = np.exp(-np.abs(logits))  # once for both log(1 + exp(l)) and sigmoid(l)
        value += (np.maximum(logits, 0) + np.log1p(low) - x * logits).sum()
        residual = np.where(logits > 0, 1, low) / (1 + low) - x
        of_z[rows] += residual @ axes
        of_axes += residual.T @ code
        of_offsets += residual.sum(0)
    joined = np.concatenate([of_z.ravel(), of_axes.ravel(), of_offsets])
    return value / len(z), joined / len(z)


def _minimum(descend: Any, start: Array, asked: Logistic) -> Array:
    limits = {"maxiter": asked.iterations, "maxfun": 2 * asked.iterations, "ftol": 0, "gtol": 1e-9}
    return minimize(descend, start, jac=True, method="L-BFGS-B", options=limits).x


def _parts(pixels: Array, codes: Array) -> Iterator[tuple[Array, Array]]:
    """Rows of [0, 1] and their codes, some at a time."""
    for i in range(0, len(pixels), AT_A_TIME):
        rows = slice(i, i + AT_A_TIME)
        yield pixels[rows] / PIXELS, codes[rows]
