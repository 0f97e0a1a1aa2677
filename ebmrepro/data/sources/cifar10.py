"""CIFAR-10: 50,000 photographs to train on and 10,000 to test on, colour, 32x32, ten classes.

The python version is six pickled batches of 10,000 images; `unpickle.py` reads them without running
anything. The published archive is known by its checksum, and a published batch file by its own.
A mirror may hold other batch files: those that `unpack_cifar10.py` rebuilds have other file names
in them, and 20 of their test images are decoded JPEG copies. What is checked is then the decoded
content, and `dataset.json` says so.
"""

from __future__ import annotations

import hashlib
import tarfile

import numpy as np

from ebmrepro.config.data import Data
from ebmrepro.data import archives, downloads, files
from ebmrepro.data.files import DataError
from ebmrepro.data.images import Images
from ebmrepro.data.unpickle import unpickle
from ebmrepro.system.errors import brief

NAME = "CIFAR-10"
LICENCE = "none stated; the author asks to be cited"
CITATION = (
    "Krizhevsky, Learning multiple layers of features from tiny images, technical report, "
    "University of Toronto, 2009"
)
SHAPE = (3, 32, 32)
IMAGES = 60_000
TEST = 10_000
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

FOLDER = "CIFAR10"
ARCHIVE = "cifar-10-python.tar.gz"
# Of the archive whose published md5 is c58f30108f718f92721af3b95e74349a; Keras pins the same.
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
URLS = (
    "https://www.cs.toronto.edu/~kriz/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
)
BATCHES = "cifar-10-batches-py"
LARGEST = 80_000_000  # bytes of one batch; 31 million, 46 as Python 3 writes it

# Published batch files, as torchvision knows them.
TRAIN_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
TEST_MD5 = {"test_batch": "40351d587109b95175f43aff81a1287e"}

# sha256 of images (N, 3, 32, 32) and of labels, both uint8 -> what a copy with this content is not.
KNOWN_COPIES: dict[tuple[str, ...], str | None] = {
    (
        "9d5c2eddadb0deff02c14c350c0385aab7b1d5ff1edfeb4997c8dc8644960111",
        "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
    ): None,  # training images, exact
    (
        "1fe46ff47f5fb6c1b24f0b5448654cac0e0d3e1e0c16f9cbac842307814b553a",
        "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    ): "20 of the 10,000 test images are decoded JPEG copies of the published ones: 1259, 1369, "
    "1422, 2245, 2737, 2935, 3695, 3718, 4085, 4496, 5791, 5896, 6286, 7580, 7707, 7724, 7832, "
    "8117, 8551, 9254",
}


def fetch(params: Data) -> Images:
    """50,000 training images, then the 10,000 of the official test split."""
    batches = _batches()
    images, labels, notes = zip(
        *(_split(batches, published) for published in (TRAIN_MD5, TEST_MD5)), strict=True
    )
    n = sum(map(len, labels))
    return Images(
        images=np.concatenate(images),
        labels=np.concatenate(labels),
        classes=CLASSES,
        test=np.arange(n) >= n - len(labels[1]),
        notes=tuple(note for note in notes if note),
    )


def _batches() -> dict[str, tuple[str, bytes]]:
    """Batch -> (its place, its bytes): unpacked in the mirror, or out of the archive."""
    wanted = [*TRAIN_MD5, *TEST_MD5]
    unpacked = files.in_mirror((FOLDER, "."), BATCHES)
    if unpacked is not None:
        return {
            name: (f"{unpacked}/{name}", files.read(unpacked / name, LARGEST)) for name in wanted
        }
    path = files.obtain((FOLDER, "."), {ARCHIVE: SHA256}, URLS)[ARCHIVE]
    batches = {}
    with archives.reading(path, "tar"), tarfile.open(path) as archive:
        for member in archive:
            folder, _, name = member.name.rpartition("/")
            content = archive.extractfile(member)
            if folder == BATCHES and name in wanted and content is not None:
                batches[name] = (f"{path}: {member.name}", content.read())
    if lacking := [name for name in wanted if name not in batches]:
        raise DataError(f"{path}: found no {', '.join(lacking)} in {BATCHES}/")
    return batches


def _split(
    batches: dict[str, tuple[str, bytes]], published: dict[str, str]
) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Images, labels and what there is to note of one split, verified."""
    parts = [_decode(*batches[name]) for name in published]
    images, labels = map(np.concatenate, zip(*parts, strict=True))
    md5 = {n: hashlib.md5(batches[n][1], usedforsecurity=False).hexdigest() for n in published}
    if md5 == published:
        return images, labels, None
    content = tuple(
        hashlib.sha256(array.tobytes()).hexdigest() for array in (images, labels.astype(np.uint8))
    )
    if content not in KNOWN_COPIES:
        changed = next(name for name in published if md5[name] != published[name])
        raise DataError(
            f"{batches[changed][0]}: found md5 {md5[changed]}, the published file has "
            f"{published[changed]}; and the images of {', '.join(published)}, sha256 {content[0]}, "
            f"labels {content[1]}, are no known copy; the file is left as it is: replace or remove "
            "it"
        )
    return images, labels, KNOWN_COPIES[content]


def _decode(place: str, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (N, 3, 32, 32), and labels, int64 (N,), of one batch."""
    if downloads.is_page(content):
        raise DataError(f"{place}: found an HTML page, not a batch of images")
    batch = unpickle(place, content)
    data, labels = batch.get(b"data"), batch.get(b"labels")
    if not isinstance(data, np.ndarray) or data.shape[1:] != (3072,):
        shape = data.shape if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(f"{place}: b'data': found {shape}, expected uint8 (N, 3072)")
    if not isinstance(labels, list) or len(labels) != len(data):
        number = len(labels) if isinstance(labels, list) else type(labels).__name__
        raise DataError(f"{place}: b'labels': found {number}, expected {len(data)} of them")
    if wrong := [label for label in labels if label not in range(len(CLASSES))]:
        raise DataError(
            f"{place}: b'labels': found {brief(wrong[0])}, expected 0 to {len(CLASSES) - 1}"
        )
    return data.reshape(-1, *SHAPE), np.array(labels, np.int64)
