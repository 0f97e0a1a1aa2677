"""LSUN bedrooms: 3,033,042 photographs, colour, short side 256, one class.

LSUN hands them out as a zip of an LMDB database (`data.mdb`), key -> encoded image. Of its official
splits, the validation images are 300 and the test images have no category, so the test images are
drawn from the training database.

Crops of the EBGAN paper: the whole image at 64x64, `short_side` (DCGAN's code, which the paper
follows, scales the short side and crops) or `whole` (proportions lost); and 64x64 patches of images
scaled to 96, `patch` with scale 96. A patch is cut once, from a place that follows from the split
seed and the image's key; DCGAN's code cuts another in every epoch.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ebmrepro.config.data import Data
from ebmrepro.data import archives, files
from ebmrepro.data.files import DataError
from ebmrepro.data.images import Listing
from ebmrepro.system.atomic import atomic_folder

NAME = "LSUN bedrooms"
LICENCE = "none stated; the photographs belong to their owners, and LSUN is meant for research"
CITATION = (
    "Yu, Seff, Zhang, Song, Funkhouser and Xiao, LSUN: construction of a large-scale image dataset "
    "using deep learning with humans in the loop, arXiv:1506.03365, 2015"
)
TAKES = ("image",)
IMAGES = 3_033_042
CLASSES = ("bedroom",)

FOLDER = "lsun"
DATABASE = "bedroom_train_lmdb"
ARCHIVE = f"{DATABASE}.zip"
DATA = "data.mdb"
LARGEST_ZIP, FILES = 60_000_000_000, 8  # bytes, unpacked; 43 GB
LARGEST = 1 << 24  # bytes of one image
HOW = (
    f"either {ARCHIVE} (43 GB, which takes as much again in the cache when unpacked) or "
    f"{DATABASE}/{DATA} of it, from http://dl.yf.io/lsun/scenes/{ARCHIVE}; licence: {LICENCE}"
)


def fetch(params: Data) -> Listing:
    """All images in the order of their keys, no official test split.

    No count is asked for, so that a part of the database will do.
    """
    path = _path()
    database, about = Database(path), path.stat()
    names = database.keys()
    return Listing(
        names=names,
        labels=np.zeros(len(names), np.int64),
        classes=CLASSES,
        read=database.read,
        identity=f"{about.st_size} {about.st_mtime_ns}",
    )


class Database:
    """An LMDB database of images, opened when first read; keys are ASCII."""

    def __init__(self, path: Path):
        self.path = path

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path}  # an open database stays in its process

    def keys(self) -> list[str]:
        """Every key, in order.

        Raises:
            DataError: the database is damaged, cut short, or empty.
        """
        with self._reading() as transaction:
            cursor = transaction.cursor()
            keys = [key.decode("ascii") for key in cursor.iternext(keys=True, values=False)]
        if not keys:
            raise DataError(f"{self.path}: found no images in it")
        return keys

    def read(self, name: str) -> bytes:
        with self._reading() as transaction:
            content = transaction.get(name.encode("ascii"))
        if content is None or len(content) > LARGEST:
            what = "no image" if content is None else f"{len(content):,} bytes"
            raise DataError(f"{self.path}: found {what} under the key {name!r}")
        return content

    @functools.cached_property
    def _opened(self) -> Any:
        """The environment, once its file is known to be as long as it says.

        LMDB maps the file: to read a page that is not there would kill the process.
        """
        environment = _lmdb().open(
            str(self.path.parent), readonly=True, lock=False, readahead=False, create=False
        )
        size = self.path.stat().st_size
        said = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
        if size < said:
            raise DataError(f"{self.path}: found {size:,} bytes, its header says {said:,}")
        return environment

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Any]:
        """A transaction."""
        damaged = archives.reading(self.path, "LMDB")
        with damaged, self._opened.begin() as transaction:
            yield transaction


def _lmdb() -> Any:
    try:
        return importlib.import_module("lmdb")
    except ImportError:
        raise DataError(
            "LSUN is an LMDB database, and the package that reads it is not installed: "
            "`uv pip install lmdb`"
        ) from None


def _path() -> Path:
    """The unpacked database: in the mirror, or unpacked from the mirror's archive to the cache."""
    _lmdb()  # said before gigabytes are unpacked
    path = files.in_mirror((FOLDER, "."), f"{DATABASE}/{DATA}")
    if path is not None:
        return path
    archive = files.located((FOLDER, "."), ARCHIVE, HOW)
    about = archive.stat()
    unpacked = files.cache() / FOLDER / f"{DATABASE}-{about.st_size}-{about.st_mtime_ns}"
    if not (unpacked / DATA).is_file():
        print(f"{archive}: unpacking to {unpacked}", flush=True)
        with atomic_folder(unpacked) as partial:
            database = archives.Zip(archive, LARGEST_ZIP, FILES).open(f"{DATABASE}/{DATA}")
            with database as stream, (partial / DATA).open("xb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
    return unpacked / DATA
