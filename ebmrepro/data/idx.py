"""The idx format of MNIST, and the data sets that come as its four files.

An idx file is a header, big-endian, and a payload in C order:
two zero bytes; one byte for the type (8 = unsigned byte, the only one here); one byte for the
number of dimensions; the size of each dimension as uint32. Layout: LeCun, Cortes and Burges,
"The MNIST database of handwritten digits".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence

import numpy as np

from ebmrepro.data import archives, files
from ebmrepro.data.files import DataError
from ebmrepro.data.images import Images
from ebmrepro.system import reading

UNSIGNED_BYTE = 0x08
LARGEST = 1 << 26  # bytes, unpacked; the images of MNIST take 47 million
TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"


def fetch(
    folder: str, checksums: Mapping[str, str], urls: Sequence[str], classes: Sequence[str]
) -> Images:
    """All images of a data set that comes as the four files of MNIST, as `Source.fetch` says."""
    paths = files.obtain((f"{folder}/raw", folder), checksums, urls)
    train, test, train_labels, test_labels = (
        decode(name, reading.content(paths[name]), dims)
        for name, dims in ((TRAIN_IMAGES, 3), (TEST_IMAGES, 3), (TRAIN_LABELS, 1), (TEST_LABELS, 1))
    )
    return Images(
        images=np.concatenate([train, test])[:, None],
        labels=np.concatenate([train_labels, test_labels]).astype(np.int64),
        classes=classes,
        test=np.arange(len(train) + len(test)) >= len(train),
    )


def decode(name: str, content: bytes, dims: int) -> np.ndarray:
    """The uint8 array of a gzipped idx file with `dims` dimensions; read-only.

    Raises:
        DataError: the file is cut short, of another type, or not as long as its header says.
    """
    raw = archives.gunzip(name, content, LARGEST)
    header, magic = 4 + 4 * dims, bytes((0, 0, UNSIGNED_BYTE, dims))
    if raw[:4] != magic:
        raise DataError(
            f"{name}: found magic number {raw[:4].hex()}, expected {magic.hex()} "
            f"(idx, unsigned bytes, dimensions: {dims})"
        )
    if len(raw) < header:
        raise DataError(f"{name}: found {len(raw)} bytes, the idx header alone takes {header}")
    shape = struct.unpack_from(f">{dims}I", raw, 4)
    if len(raw) - header != math.prod(shape):
        raise DataError(
            f"{name}: found {len(raw) - header} bytes after the header, which says "
            f"{' x '.join(map(str, shape))} = {math.prod(shape)}"
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)
