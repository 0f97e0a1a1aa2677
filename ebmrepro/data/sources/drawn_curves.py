"""Curves of our own, in the place of those of Hinton and Salakhutdinov (2006) where their file is
not to be had: as many, of the same size and made of as many numbers. Theirs are drawn otherwise, so
no number that is published of them is comparable.

A curve goes through three points, drawn uniformly from the square of BOX, taken from left to right:
the natural cubic spline of both coordinates over t = 0, 1, 2. It is inked with a round pen: a pixel
is 1 up to HALF from the curve and falls to 0 over the next pixel.
"""

from __future__ import annotations

import zlib

import numpy as np

from ebmrepro.config.data import Data
from ebmrepro.data.images import Images

NAME = "Curves of our own, after Hinton and Salakhutdinov (2006)"
LICENCE = "the project's"
CITATION = "none; made by this file"
SHAPE = (1, 28, 28)
IMAGES = 30_000
TEST = 10_000
CLASSES = ("curve",)

BOX = (5.0, 22.0)  # pixels; the curve leaves it by at most a tenth of twice its side
HALF = 0.5  # of the pen's width, in pixels
PIECES = 40  # straight ones, of a curve
AT_A_TIME = 250  # curves that are inked at once


def fetch(params: Data) -> Images:
    """The training curves, then the test curves; they follow from `split_seed`."""
    random = np.random.RandomState([params.split_seed % 2**32, zlib.crc32(b"drawn_curves")])
    points = random.uniform(*BOX, (IMAGES, 3, 2))
    points[..., 0].sort(axis=1)
    parts = (points[i : i + AT_A_TIME] for i in range(0, IMAGES, AT_A_TIME))
    images = np.concatenate([ink(spline(part)) for part in parts])
    test = np.arange(IMAGES) >= IMAGES - TEST
    labels = np.zeros(IMAGES, np.int64)
    return Images(images=images, labels=labels, classes=CLASSES, test=test)


def spline(points: np.ndarray) -> np.ndarray:
    """PIECES + 1 places, evenly in t, on the natural cubic spline through three points each,
    (N, 3, 2) -> (N, PIECES + 1, 2).

    p(t) = p_0 + t (p_1 - p_0) + (t^3 - t) m / 6 up to p_1, and likewise back from p_2, with the
    second derivative m = 3 (p_0 - 2 p_1 + p_2) / 2 at p_1.
    """
    t = np.linspace(0, 1, PIECES // 2 + 1)[None, :, None]
    p_0, p_1, p_2 = (points[:, k, None] for k in range(3))
    bend = (t**3 - t) * (p_0 - 2 * p_1 + p_2) / 4
    there, back = p_0 + t * (p_1 - p_0) + bend, p_2 + t * (p_1 - p_2) + bend
    return np.concatenate([there, back[:, -2::-1]], axis=1)


def ink(places: np.ndarray) -> np.ndarray:
    """Images of polygonal lines, (N, P, 2) as column and row -> uint8 (N, 1, 28, 28)."""
    places = places.astype(np.float32)
    down, right = (axis.reshape(1, -1) for axis in np.indices(SHAPE[1:], dtype=np.float32))
    nearest = np.full((len(places), down.size), np.inf, np.float32)
    for i in range(places.shape[1] - 1):
        x, y = places[:, i].T[..., None]
        along, fall = (places[:, i + 1] - places[:, i]).T[..., None]
        length = np.maximum(along**2 + fall**2, np.float32(1e-12))
        share = (((right - x) * along + (down - y) * fall) / length).clip(0, 1)  # of the piece
        off = (right - x - share * along) ** 2 + (down - y - share * fall) ** 2
        np.minimum(nearest, off, out=nearest)
    grey = (HALF + 1 - np.sqrt(nearest)).clip(0, 1)
    return np.rint(255 * grey).astype(np.uint8).reshape(-1, *SHAPE)
