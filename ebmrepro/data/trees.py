"""Images as files in a folder, with or without a folder per class inside it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ebmrepro.data.files import DataError

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp")  # in any case
LARGEST = 1 << 28  # bytes of one image


@dataclass(frozen=True)
class Tree:
    """Reads files below `root`."""

    root: Path

    def read(self, name: str) -> bytes:
        """The whole file; one that cannot be read stops the decoding: it may come back.

        Raises:
            DataError: the file is gone, or the machine refuses.
        """
        path = self.root / name
        try:
            with path.open("rb") as file:
                return file.read(LARGEST)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def images(root: Path, below: str = "") -> list[str]:
    """Names, relative to `root`, of the images in its folder `below`, at any depth, in one order.

    What begins with a dot is passed over, and so are links to folders (a loop would have no end)
    and files with other endings than an image's.

    Raises:
        DataError: the folder is not there or cannot be read, or a name cannot be printed.
    """
    names: list[str] = []
    top = root / below
    for folder, inner, files in os.walk(top, onerror=_refuse):
        inner[:] = [name for name in inner if not name.startswith(".")]
        place = Path(folder).relative_to(root)
        names += [
            (place / name).as_posix()
            for name in files
            if not name.startswith(".") and name.lower().endswith(ENDINGS)
        ]
    if odd := next((name for name in names if not name.isprintable()), None):
        raise DataError(f"{top}: {odd!a}: a name with signs that cannot be printed; rename it")
    return sorted(names)


def folders(top: Path) -> list[str]:
    """Names of the folders directly in one, in order.

    Raises:
        DataError: it is not there or cannot be read.
    """
    try:
        return sorted(p.name for p in top.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        _refuse(error)


def identity(root: Path, names: Iterable[str]) -> str:
    """Changes when a file is replaced or changed: from sizes and times, not from contents."""
    digest = hashlib.sha256()
    for name in names:
        try:
            about = (root / name).stat()
        except OSError as error:
            _refuse(error)
        digest.update(f"{name}\0{about.st_size}\0{about.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None
