"""Curves of Hinton and Salakhutdinov (2006): 20,000 images to train on, 10,000 to test on, 28x28.

Each is a smooth curve through three random points. The file that Salakhutdinov made is public as
`digs3pts_1.mat`, in which public codes read `bdata` and `bdatatest`; a checksum of it was not to be
had, so the published error of PCA is what shows that it is the right one (`ebmrepro data check`).
"""

from __future__ import annotations

import io
import signal
import subprocess
import sys

import numpy as np

from ebmrepro.config.data import Data
from ebmrepro.data import files
from ebmrepro.data.archives import reading
from ebmrepro.data.files import DataError
from ebmrepro.data.images import Images
from ebmrepro.system.reading import content

NAME = "Curves of Hinton and Salakhutdinov (2006)"
LICENCE = "none stated"
CITATION = (
    "Hinton and Salakhutdinov, Reducing the dimensionality of data with neural networks, "
    "Science 313, 2006"
)
SHAPE = (1, 28, 28)
IMAGES = 30_000
TEST = 10_000
PCA = (18, 5.90)  # components, published error
CLASSES = ("curve",)

FOLDER = "curves"
FILE = "digs3pts_1.mat"
HOW = "http://www.cs.toronto.edu/~jmartens/digs3pts_1.mat, licence: none stated"
COUNTS = {"bdata": IMAGES - TEST, "bdatatest": TEST}
# SciPy's reader dies of a signal on some damaged files, so it has a process of its own.
READER = """
import io, sys, numpy, scipy.io
names = sys.argv[1:]
found = scipy.io.loadmat(io.BytesIO(sys.stdin.buffer.read()), variable_names=names)
kept = {name: found[name] for name in names if name in found}
numpy.savez(sys.stdout.buffer, allow_pickle=False, **kept)
"""


def fetch(params: Data) -> Images:
    """The training curves, then the test curves."""
    path = files.located((FOLDER,), FILE, HOW)
    images = decode(FILE, content(path))
    test = np.arange(len(images)) >= COUNTS["bdata"]
    labels = np.zeros(len(images), np.int64)
    return Images(images=images, labels=labels, classes=CLASSES, test=test)


def decode(name: str, content: bytes) -> np.ndarray:
    """All curves, uint8 (30000, 1, 28, 28), 255 for the file's 1.

    Raises:
        DataError: the file is damaged or holds something else.
    """
    with reading(name, "MATLAB"):
        command = [sys.executable, "-c", READER, *COUNTS]
        done = subprocess.run(command, input=content, capture_output=True)
        if done.returncode < 0:
            raise ValueError(f"its reader died of {signal.Signals(-done.returncode).name}")
        if done.returncode:
            raise ValueError(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])
        found = dict(np.load(io.BytesIO(done.stdout), allow_pickle=False))
    parts = [_in_range(name, key, found.get(key), n) for key, n in COUNTS.items()]
    return np.rint(255.0 * np.concatenate(parts)).astype(np.uint8).reshape(-1, *SHAPE)


def _in_range(name: str, key: str, array: object, n: int) -> np.ndarray:
    if (
        not isinstance(array, np.ndarray)
        or array.shape != (n, 784)
        or array.dtype.kind not in "fiu"
    ):
        kind = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else "nothing"
        raise DataError(f"{name}: {key}: found {kind}, expected numbers ({n}, 784)")
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # NaN among them
        raise DataError(f"{name}: {key}: found {low:g} to {high:g}, expected 0 to 1")
    return array
