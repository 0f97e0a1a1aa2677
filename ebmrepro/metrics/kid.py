"""The kernel distance, known as KID in Inception features.

Binkowski et al., *Demystifying MMD GANs* (2018), arXiv:1801.01401.
"""

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ebmrepro.config.evaluation import Evaluate
from ebmrepro.metrics import checks, flags
from ebmrepro.metrics.catalogue import DBN, INCEPTION, Measure
from ebmrepro.metrics.checks import Matrix
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.networks import device

MEASURES = {
    "kid": Measure(
        "Kernel Inception distance (KID)",
        "Unbiased squared MMD with a cubic polynomial kernel over all images at once, on "
        f"{INCEPTION}, generated against real images; may be slightly negative.",
        better="lower",
        digits=4,
        inception=True,
    ),
    "kd_dbn": Measure(
        "Kernel distance, DBN features",
        "Unbiased squared MMD with KID's cubic polynomial kernel over all images at once, on "
        f"{DBN}, generated against test images; may be slightly negative.",
        better="lower",
        digits=4,
    ),
}

BLOCK = 1024  # rows and columns held at once of the kernel matrix; no effect beyond rounding


def kernel_distance(real: ArrayLike, fake: ArrayLike, within_real: float | None = None) -> float:
    """Unbiased squared MMD of features (N, K) and (M, K), kernel k(x, y) = (x'y / K + 1)^3.

    mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j): 0 in
    expectation for equal distributions, so small negative values are right.

    All samples are used at once. The published KID is this estimator averaged over random subsets
    (100 of 1,000): the same expectation, a larger variance, a number that depends on the draw.
    `within_real` is the first mean, where it is known already.
    ValueError if a value is not finite, the widths differ, or either side has under 2 rows.
    """
    x = checks.features("real features", real, rows=2)
    y = checks.features("fake features", fake, rows=2)
    checks.same_width(x, y)
    parts, others = (_on_device(points).split(BLOCK) for points in (x, y))
    across = sum(_kernel(part, other).sum() for part in parts for other in others)
    within_x = within(x) if within_real is None else within_real
    return within_x + within(y) - 2 * float(across) / (len(x) * len(y))


def within(x: Matrix) -> float:
    """Mean of the kernel over pairs of different ones of features (N, K)."""
    parts = _on_device(x).split(BLOCK)
    total = torch.zeros((), dtype=torch.float64, device=parts[0].device)
    for i, part in enumerate(parts):
        own = _kernel(part, part)
        total += own.sum() - own.diagonal().sum()
        for other in parts[i + 1 :]:
            total += 2 * _kernel(part, other).sum()
    return total.item() / (len(x) * (len(x) - 1))


def _on_device(x: Matrix) -> Tensor:
    return torch.from_numpy(x).to(device.device())


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    t = (x.double() @ y.double().T).div_(x.shape[1]).add_(1)
    return t.square().mul_(t)


def of_features(real: Features, fake: Features, settings: Evaluate) -> Measurement:
    name = real.named(dbn="kd_dbn", inception="kid")
    return Measurement(
        {name: kernel_distance(real.features, fake.features, real.within)},
        flags={name: flags.few(min(len(real.features), len(fake.features)))},
        protocol={"kid": "all images at once, not a mean over random subsets"}
        if name == "kid"
        else {},
    )
