"""Do images of one class lie together in a code? The error of their nearest neighbours' labels."""

import numpy as np
from numpy.typing import ArrayLike

from ebmrepro.metrics import checks
from ebmrepro.metrics.catalogue import Measure

MEASURES = {
    "neighbour_error_code": Measure(
        "Neighbours of another class, code",
        "Share of test images whose class is not the one of most of their k nearest training "
        "images in the code's two numbers (k as for precision; Euclidean): how far classes lie "
        "apart.",
        unit="share",
        better="lower",
    ),
    "neighbour_error_pca": Measure(
        "Neighbours of another class, two principal components",
        "The same in the first two principal components of the training images.",
        unit="share",
        better="lower",
    ),
}


def neighbour_error(
    seen: ArrayLike, seen_labels: ArrayLike, codes: ArrayLike, labels: ArrayLike, k: int
) -> float:
    """Share of codes (N, K) whose label (N,) most of their k nearest among `seen` (M, K) have not.

    Euclidean distance; where labels tie, the lowest wins. In [0, 1]: 0 where classes lie apart, and
    about 1 - 1 / classes where a code says nothing of equally many images of each. ValueError if a
    code is not finite, or there are fewer than k in `seen`.
    """
    from sklearn.neighbors import KNeighborsClassifier  # a second to import, and seldom needed

    near = checks.matrix("codes seen", seen, rows=k)
    far = checks.matrix("codes", codes)
    voters = KNeighborsClassifier(n_neighbors=k).fit(near, np.asarray(seen_labels))
    return float((voters.predict(far) != np.asarray(labels)).mean())
