"""Distances between sets of features, block by block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ebmrepro.metrics import checks
from ebmrepro.metrics.checks import Array

BLOCK = 1024  # rows of the distance matrix held at once, fewer ...
HELD = 2**24  # ... where they are so many distances: 134 MB. No effect beyond rounding


def centred(x: Array, y: Array) -> tuple[Array, Array]:
    """Both less the mean of `x`: distances stay, and lose less to cancellation near the origin.

    ValueError if the widths differ.
    """
    checks.same_width(x, y)
    centre = x.mean(axis=0)
    return x - centre, y - centre


def squared_distances(x: Array, y: Array) -> Iterator[tuple[int, Array]]:
    """Blocks of rows of |x_i - y_j|^2 = |x_i|^2 + |y_j|^2 - 2 x_i'y_j, with their first row."""
    y_squared = (y * y).sum(axis=1)
    rounding = x.shape[1] * np.finfo(np.float64).eps
    rows = max(1, min(BLOCK, HELD // len(y)))
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        scale = (part * part).sum(axis=1)[:, None] + y_squared
        distances = scale - 2 * part @ y.T
        # What is lost in rounding is 0, so that copies are at distance 0 of each other exactly and
        # a collapsed set has balls of radius 0 that hold its own point.
        distances[distances < rounding * scale] = 0
        yield start, distances


def to_neighbour(x: Array, k: int) -> Array:
    """Squared distance of each of a set (N, K) to its k-th nearest other one, (N,)."""
    return np.concatenate([kth(d, start, k) for start, d in squared_distances(x, x)])


def kth(distances: Array, start: int, k: int) -> Array:
    """k-th smallest of each row of a block of a distance matrix, its diagonal set to infinity."""
    rows = np.arange(len(distances))
    distances[rows, start + rows] = np.inf
    return np.partition(distances, k - 1, axis=1)[:, k - 1]
