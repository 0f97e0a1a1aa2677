"""The Olivetti faces at half their size, 32x32: each pixel is the mean of four, rounded.

Ours, so that a CPU can train convolutional networks on real faces; otherwise as `olivetti`.
"""

from __future__ import annotations

import numpy as np

from ebmrepro.config.data import Data
from ebmrepro.data.images import Images
from ebmrepro.data.sources import olivetti

NAME = "Olivetti faces (AT&T Laboratories Cambridge), at half their size"
LICENCE = olivetti.LICENCE
CITATION = olivetti.CITATION
SHAPE = (1, 32, 32)
IMAGES = 400
CLASSES = olivetti.CLASSES


def fetch(params: Data) -> Images:
    """All faces, ten of each person together; no official test split."""
    whole = olivetti.fetch(params)
    return Images(images=halved(whole.images), labels=whole.labels, classes=CLASSES)


def halved(images: np.ndarray) -> np.ndarray:
    """Means of 2x2 pixels, uint8 (N, C, H, W) -> (N, C, H/2, W/2); halves go to the even number."""
    n, channels, height, width = images.shape
    fours = images.reshape(n, channels, height // 2, 2, width // 2, 2)
    return np.rint(fours.mean((3, 5))).astype(np.uint8)
