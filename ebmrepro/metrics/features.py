"""What a network says of a set of images, which measures are taken on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Features:
    """Of a set of images in one extractor: (N, K) float32, and class probabilities (N, classes)."""

    features: NDArray[np.float32]
    probabilities: NDArray[np.float32]
