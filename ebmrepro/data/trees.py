"""Images as files in a folder, with or without a folder per class inside it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from ebmrepro.data import files
from ebmrepro.data.files import DataError

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp")  # in any case
LARGEST = 1 << 28  # bytes of one image


def read(root: Path, name: str) -> bytes:
    """A whole image; DataError, which stops the decoding, where it cannot be: it may come back."""
    return files.read(root / name, LARGEST)


def images(root: Path, below: str = "") -> list[str]:
    """Names, relative to `root`, of the images in its folder `below`, at any depth, in one order.

    What begins with a dot is passed over, and so are links to folders (a loop would have no end)
    and files with other endings than an image's.

    Raises:
        DataError: the folder is not there or cannot be read, or a name cannot be printed.
    """
    names: list[str] = []
    top = root / below
    for folder, inner, inside in os.walk(top, onerror=_refuse):
        inner[:] = [name for name in inner if not name.startswith(".")]
        place = Path(folder).relative_to(root)
        names += [
            (place / name).as_posix()
            for name in inside
            if not name.startswith(".") and name.lower().endswith(ENDINGS)
        ]
    if odd := next((name for name in names if not name.isprintable()), None):
        raise DataError(f"{top}: {odd!a}: a name with signs that cannot be printed; rename it")
    return sorted(names)


def folders(top: Path) -> list[str]:
    """Names of the folders directly in one, in order; DataError where it cannot be read."""
    with files.readable(top):
        return sorted(p.name for p in top.iterdir() if p.is_dir() and not p.name.startswith("."))


def identity(root: Path, names: Iterable[str]) -> str:
    """Changes when a file is replaced or changed: from sizes and times, not from contents."""
    digest = hashlib.sha256()
    with files.readable(root):
        for name in names:
            about = (root / name).stat()
            digest.update(f"{name}\0{about.st_size}\0{about.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _refuse(error: OSError) -> None:
    with files.readable(Path(error.filename)):
        raise error
