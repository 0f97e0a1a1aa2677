"""What to beware of in a measurement, in words; None where there is nothing."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ebmrepro.metrics import checks

CONSTANT = 1.0  # grey levels: images whose pixels vary less over the sample are one image
# Of images that lie nearer to the training images than any that were not seen: memorisation.py.
COPIES = "sits with copies of the training images"
AT_ONCE = 1000  # images that are squared
FEW = 100  # images: a share of fewer has a standard error of over 5 %, (p (1 - p) / n)^(1/2)


def collapsed(images: NDArray[np.uint8]) -> str | None:
    """Of generated images, uint8 (N, C, H, W): whether they are all the same."""
    n, total, squares = len(images), 0, 0  # of whole numbers, so no image is held as floats
    for part in np.array_split(images, -(-n // AT_ONCE)):
        total = total + part.sum(0)
        squares = squares + np.square(part, dtype=np.uint32).sum(0)
    if np.sqrt(n * squares - total**2).mean() / n >= CONSTANT:
        return None
    return "the generator has collapsed: all its images are one"


def dead_hinge(active: ArrayLike) -> str | None:
    """Of the share of fakes under the margin, one per epoch (E,): whether [m - D(G(z))]^+ acted."""
    shares = checks.vector("share of fakes under the margin", active)
    if shares[-1] == 0:
        return (
            "the hinge is dead: in the last epoch no generated image had an energy under the "
            "margin, so the discriminator learnt from real images alone"
        )
    if shares.min() == 1:
        return (
            "the hinge never let go: in all of the training every generated image had an energy "
            "under the margin, which is out of reach"
        )
    return None


def few(count: int) -> str | None:
    """Of an estimate from `count` images."""
    return f"only {count:,} images: a rough estimate" if count < FEW else None
