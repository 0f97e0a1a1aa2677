"""Olivetti faces: 400 photographs of 40 people, ten each, grey, 64x64, no official split.

The test images are drawn person by person, so everybody in them is also among the training images.
"""

from __future__ import annotations

import io

import numpy as np

from ebmrepro.config.data import Data
from ebmrepro.data import files
from ebmrepro.data.archives import reading
from ebmrepro.data.files import DataError
from ebmrepro.data.images import Images
from ebmrepro.system.reading import content

NAME = "Olivetti faces (AT&T Laboratories Cambridge)"
LICENCE = "none stated; AT&T Laboratories Cambridge ask to be credited"
CITATION = (
    "Samaria and Harter, Parameterisation of a stochastic model for human face identification, "
    "IEEE Workshop on Applications of Computer Vision, 1994"
)
SHAPE = (1, 64, 64)
IMAGES = 400
CLASSES = tuple(f"person {k}" for k in range(1, 41))

FOLDER = "olivetti"
FILE = "olivettifaces.mat"
# The file on Roweis's page, which scikit-learn pins too, and another save of the array.
SHA256 = "b612fb967f2dc77c9c62d3e1266e0c73d5fca46a4b8906c18e454d41af987794"
OTHER_SAVE = "b1988d02c72fe5b8ee82b5ef3bb7982eafc74f1e1ff0ae0ade35061ad0af534d"
# figshare names no files in its addresses: what follows the question mark is ours.
URLS = ("https://cs.nyu.edu/~roweis/data/", "https://ndownloader.figshare.com/files/5976027?")


def fetch(params: Data) -> Images:
    """All faces, ten of each person together; no official test split."""
    path = files.in_mirror((FOLDER,), FILE)
    if path is None or files.checksum(path, "sha256") != OTHER_SAVE:
        path = files.obtain((FOLDER,), {FILE: SHA256}, URLS)[FILE]
    images = decode(FILE, content(path))
    labels = np.arange(len(images), dtype=np.int64) // (len(images) // len(CLASSES))
    return Images(images=images, labels=labels, classes=CLASSES)


def decode(name: str, content: bytes) -> np.ndarray:
    """The faces, uint8 (400, 1, 64, 64), in the file's order: ten of each person together.

    Raises:
        DataError: the file is damaged or holds something else.
    """
    from scipy.io import loadmat

    with reading(name, "MATLAB"):
        faces = loadmat(io.BytesIO(content), variable_names=["faces"]).get("faces")
    if not isinstance(faces, np.ndarray) or faces.dtype != np.uint8 or faces.shape != (4096, 400):
        kind = f"{faces.dtype} {faces.shape}" if isinstance(faces, np.ndarray) else "nothing"
        raise DataError(f"{name}: faces: found {kind}, expected uint8 (4096, 400)")
    # MATLAB keeps an image column by column.
    return np.ascontiguousarray(faces.T.reshape(-1, 1, 64, 64).swapaxes(2, 3))
