"""The 8x8 digits that ship with scikit-learn: 1,797 images, no network, no official split.

Pixels are counts of 0 to 16; as uint8 they are round(255 v / 16), from which v = round(16 u / 255)
comes back exactly.
"""

from __future__ import annotations

import io

import numpy as np

from ebmrepro.config.data import Data
from ebmrepro.data import archives, files
from ebmrepro.data.images import Images

NAME = "Optical recognition of handwritten digits (the 1,797 images in scikit-learn)"
LICENCE = "UCI Machine Learning Repository: CC BY 4.0; scikit-learn's copy: BSD-3-Clause"
CITATION = (
    "Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning "
    "Repository, 1998"
)
SHAPE = (1, 8, 8)
IMAGES = 1797
CLASSES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")

FILE = "datasets/data/digits.csv.gz"
SHA256 = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"  # unpacked
LARGEST = 1 << 20  # bytes, unpacked; it is a quarter of that
LEVELS = 16


def fetch(params: Data) -> Images:
    """All images in the file's order; no official test split."""
    text = files.verified(FILE, archives.gunzip(FILE, files.bundled(FILE), LARGEST), SHA256)
    table = np.loadtxt(io.BytesIO(text), delimiter=",", dtype=np.int64)  # (1797, 64 pixels + label)
    images = np.rint(table[:, :-1] * (255 / LEVELS)).astype(np.uint8).reshape(-1, 1, 8, 8)
    return Images(images=images, labels=table[:, -1], classes=CLASSES)
