"""The idx format of MNIST, and the data sets that come as its four files.

An idx file is a header, big-endian, and a payload in C order:
two zero bytes; one byte for the type (8 = unsigned byte, the only one here); one byte for the
number of dimensions; the size of each dimension as uint32. Layout: LeCun, Cortes and Burges,
"The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from ebmrepro.data import files
from ebmrepro.data.files import DataError
from ebmrepro.data.splits import Splits
from ebmrepro.params import Data, ParamsError

UNSIGNED_BYTE = 0x08
TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"


def fetch(
    params: Data, name: str, folder: str, checksums: Mapping[str, str], urls: Sequence[str]
) -> Splits:
    """The official splits of a data set that comes as the four files of MNIST.

    Raises:
        DataError: the files cannot be had or are not the published ones.
        ParamsError: `params.test` is not the size of the official test split.
    """
    contents = files.obtain((f"{folder}/raw", folder), checksums, urls)
    splits = Splits(
        train_images=decode(TRAIN_IMAGES, contents[TRAIN_IMAGES], 3)[:, None],
        train_labels=decode(TRAIN_LABELS, contents[TRAIN_LABELS], 1).astype(np.int64),
        test_images=decode(TEST_IMAGES, contents[TEST_IMAGES], 3)[:, None],
        test_labels=decode(TEST_LABELS, contents[TEST_LABELS], 1).astype(np.int64),
    )
    official = len(splits.test_images)
    if params.test != official:
        raise ParamsError(
            f"test: found {params.test}; {name} has an official test split, so it is {official}"
        )
    return splits


def decode(name: str, content: bytes, dims: int) -> np.ndarray:
    """The uint8 array of a gzipped idx file with `dims` dimensions; read-only.

    Raises:
        DataError: the file is cut short, of another type, or not as long as its header says.
    """
    try:
        raw = gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{name}: not a whole gzip file: {error}") from None
    start = 4 + 4 * dims
    magic = bytes((0, 0, UNSIGNED_BYTE, dims))
    if raw[:4] != magic:
        raise DataError(
            f"{name}: found magic number {raw[:4].hex()}, expected {magic.hex()} "
            f"(idx, unsigned bytes, dimensions: {dims})"
        )
    if len(raw) < start:
        raise DataError(f"{name}: found {len(raw)} bytes, the idx header alone takes {start}")
    shape = struct.unpack(f">{dims}I", raw[4:start])
    if len(raw) - start != math.prod(shape):
        raise DataError(
            f"{name}: found {len(raw) - start} bytes after the header, which says "
            f"{' x '.join(map(str, shape))} = {math.prod(shape)}"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)
