"""Patches of the Olivetti faces, 25 x 25, as Hinton and Salakhutdinov (2006) made them for their
auto-encoder of real-valued pixels; drawn by us, since theirs are not to be had.

From their supporting text, as others read it: 165,600 patches of the 400 faces, which are turned,
scaled, cropped and subsampled; 124,200 of thirty people to train on, 41,400 of ten others to test
on. Public codes that read the authors' file take its last ten people to test on. Hinton's page on
the faces has large squares that vary in scale, orientation and position.

Recalled, so not sure: angles from -90 to 90 degrees, scales from 1.4 to 1.8. A scale is read here
as the distance of neighbouring pixels of a patch, in pixels of the face: then the largest square,
turned by 45 degrees, just fits into a face of 64 x 64. Ours: 414 patches of each face, all drawn
uniformly, centres wherever the patch lies inside the face, values by bilinear interpolation.
"""

from __future__ import annotations

import zlib

import numpy as np
from scipy.ndimage import map_coordinates

from ebmrepro.config.data import Data
from ebmrepro.data.images import Images
from ebmrepro.data.sources import olivetti

NAME = "Patches of the Olivetti faces (AT&T Laboratories Cambridge), drawn by us"
LICENCE = olivetti.LICENCE
CITATION = olivetti.CITATION
SHAPE = (1, 25, 25)
IMAGES = 165_600
TEST = 41_400

EACH = 414  # patches of a face
TEST_PEOPLE = 10  # the last ones
ANGLES = (-np.pi / 2, np.pi / 2)
SCALES = (1.4, 1.8)  # pixels of the face from one pixel of the patch to the next
NOTE = (
    "drawn by us from the faces, by angles and scales that are recalled; the paper's patches are "
    "not to be had"
)


def fetch(params: Data) -> Images:
    """A patch of each face, EACH times, so that the first images are of all people; the last people
    are the test split.
    """
    faces = olivetti.fetch(params)
    random = np.random.RandomState([params.split_seed % 2**32, zlib.crc32(b"patches")])
    drawn = np.stack([patches(face[0], EACH, random) for face in faces.images], axis=1)
    images, labels = drawn.reshape(-1, *SHAPE), np.tile(faces.labels, EACH)
    test = labels >= len(faces.classes) - TEST_PEOPLE
    return Images(images=images, labels=labels, classes=faces.classes, test=test, notes=(NOTE,))


def patches(face: np.ndarray, n: int, random: np.random.RandomState) -> np.ndarray:
    """`n` patches of a face, uint8 (H, W) -> uint8 (n, 1, 25, 25)."""
    angle, scale = random.uniform(*ANGLES, n), random.uniform(*SCALES, n)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    half = (SHAPE[1] - 1) / 2
    reach = half * (np.abs(cos) + np.abs(sin))  # of a patch's corners from its centre
    sides = np.array(face.shape)[:, None] - 1
    centre = reach + random.uniform(size=(2, n)) * (sides - 2 * reach)  # row, column
    down, across = np.meshgrid(*2 * [np.arange(SHAPE[1]) - half], indexing="ij")
    rows = centre[0, :, None, None] + down * cos[:, None, None] + across * sin[:, None, None]
    columns = centre[1, :, None, None] - down * sin[:, None, None] + across * cos[:, None, None]
    values = map_coordinates(face.astype(np.float64), [rows, columns], order=1, mode="nearest")
    return np.rint(values).astype(np.uint8)[:, None]
