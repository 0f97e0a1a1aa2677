"""The idx format of MNIST, and the data sets that come as its four files.

An idx file is a header, big-endian, and a payload in C order:
two zero bytes; one byte for the type (8 = unsigned byte, the only one here); one byte for the
number of dimensions; the size of each dimension as uint32. Layout: LeCun, Cortes and Burges,
"The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import io
import math
import struct
from collections.abc import Mapping, Sequence

import numpy as np

from ebmrepro.data import archives, files
from ebmrepro.data.files import DataError
from ebmrepro.data.splits import Images

UNSIGNED_BYTE = 0x08
LARGEST = 1 << 30  # bytes; the images of MNIST take 47 million
TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"


def fetch(folder: str, checksums: Mapping[str, str], urls: Sequence[str]) -> Images:
    """All images of a data set that comes as the four files of MNIST, with its official test split.

    Raises:
        DataError: the files cannot be had or are not the published ones.
    """
    paths = files.obtain((f"{folder}/raw", folder), checksums, urls)
    train, test, train_labels, test_labels = (
        decode(name, paths[name].read_bytes(), dims)
        for name, dims in ((TRAIN_IMAGES, 3), (TEST_IMAGES, 3), (TRAIN_LABELS, 1), (TEST_LABELS, 1))
    )
    return Images(
        images=np.concatenate([train, test])[:, None],
        labels=np.concatenate([train_labels, test_labels]).astype(np.int64),
        test=np.arange(len(train) + len(test)) >= len(train),
    )


def decode(name: str, content: bytes, dims: int) -> np.ndarray:
    """The uint8 array of a gzipped idx file with `dims` dimensions; read-only.

    No more is unpacked than the header says, and one byte to see whether that is all.

    Raises:
        DataError: the file is cut short, of another type, or not as long as its header says.
    """
    with archives.reading(name, "gzip"), gzip.open(io.BytesIO(content)) as stream:
        shape = _shape(name, stream.read(4 + 4 * dims), dims)
        said = f"says {' x '.join(map(str, shape))} = {math.prod(shape)}"
        if math.prod(shape) > LARGEST:
            raise DataError(f"{name}: the header {said}, more than the {LARGEST} that are read")
        payload = stream.read(math.prod(shape) + 1)
    if len(payload) != math.prod(shape):
        size = f"{len(payload)}{' or more' if len(payload) > math.prod(shape) else ''}"
        raise DataError(f"{name}: found {size} bytes after the header, which {said}")
    return np.frombuffer(payload, np.uint8).reshape(shape)


def _shape(name: str, header: bytes, dims: int) -> tuple[int, ...]:
    magic = bytes((0, 0, UNSIGNED_BYTE, dims))
    if header[:4] != magic:
        raise DataError(
            f"{name}: found magic number {header[:4].hex()}, expected {magic.hex()} "
            f"(idx, unsigned bytes, dimensions: {dims})"
        )
    if len(header) < 4 + 4 * dims:
        raise DataError(
            f"{name}: found {len(header)} bytes, the idx header alone takes {4 + 4 * dims}"
        )
    return struct.unpack(f">{dims}I", header[4:])
