"""Images as files in a folder, with or without a folder per class inside it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ebmrepro.data import files
from ebmrepro.data.files import DataError
from ebmrepro.system import reading

ENDINGS = (
    ".bmp",
    ".gif",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)  # in any case
LARGEST = 1 << 28  # bytes of one image


def read(root: Path, name: str) -> bytes:
    """A whole image; DataError, which stops the decoding, where it cannot be: it may come back."""
    return files.read(root / name, LARGEST)


class Tree(NamedTuple):
    """What lies in a folder, at any depth, in one order."""

    images: list[str]  # names, relative to the root
    left_out: dict[str, str]  # name -> why it is none of them


def images(root: Path, below: str = "") -> Tree:
    """The images of a root in its folder `below`, told by their endings.

    Links to folders are not followed: a loop would have no end.

    Raises:
        DataError: the folder is not there or cannot be read, or a name cannot be printed.
    """
    names: list[str] = []
    left_out: dict[str, str] = {}
    top = root / below
    for folder, inner, inside in os.walk(top, onerror=_refuse):
        place = Path(folder).relative_to(root)
        reasons = {name: _why_not(Path(folder, name), name in inner) for name in (*inner, *inside)}
        left_out |= {(place / name).as_posix(): why for name, why in reasons.items() if why}
        inner[:] = [name for name in inner if not reasons[name]]
        names += [(place / name).as_posix() for name in inside if not reasons[name]]
    if odd := next((n for n in (*names, *left_out) if not n.isprintable()), None):
        raise DataError(f"{top}: {odd!a}: a name with signs that cannot be printed; rename it")
    return Tree(sorted(names), dict(sorted(left_out.items())))


def _why_not(path: Path, folder: bool) -> str | None:
    """Why a file or folder is passed over; None if it is not."""
    if path.name.startswith("."):
        return "begins with a dot"
    if folder:
        return "is a link to a folder" if path.is_symlink() else None
    if not path.name.lower().endswith(ENDINGS):
        return "has no image's ending"
    with files.readable(path):
        if not path.exists():
            return "is a link to nothing"
        kind = reading.unfit(path)
    return kind and f"is {kind}"


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
