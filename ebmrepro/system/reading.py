"""Files read whole, or refused in one line: what is not there, is no file, is cut short or damaged.

Whoever reads a file that a stage, a person or another machine has left reads it through `opened`.
Nothing is unpickled, and nothing but a plain file is opened: a pipe would be waited for for ever.
"""

from __future__ import annotations

import csv
import io
import json
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ebmrepro.system.errors import UserError, one_line

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

Row = dict[str, str]  # column -> cell, "" where it is blank
Content = TypeVar("Content")
END_OF_PNG = b"\0\0\0\0IEND\xaeB`\x82"  # a chunk without content: length, name, checksum
KINDS = {  # of what is no plain file
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


class Damaged(UserError):
    """A file is not what it should be; the message names it, what was found and what is wanted."""


def known(read: Callable[[Path], Content], path: Path) -> Content | None:
    """What `read` makes of a file; None where there is no file."""
    return read(path) if path.exists() else None


@contextmanager
def opened(path: Path, what: str = "cannot be read") -> Iterator[BufferedReader]:
    """A plain file to be read; what its reader raises within the block is `Damaged`, in one line.

    `what` says what a file is whose content the reader refuses.
    """
    try:
        if reason := unfit(path):
            raise Damaged(f"{path}: found {reason}, want a file")
        with path.open("rb") as file:
            yield file
    except UserError:
        raise
    except FileNotFoundError:
        raise Damaged(f"{path}: no such file") from None
    except OSError as error:
        raise Damaged(f"{path}: {what}: {error.strerror or one_line(error)}") from error
    except Exception as error:  # whatever a library makes of a damaged file
        raise Damaged(f"{path}: {what}: {one_line(error)}") from error


def unfit(path: Path) -> str | None:
    """What it is, in words, if it is no plain file; FileNotFoundError where it is not there."""
    return KINDS.get(stat.S_IFMT(path.stat().st_mode))


def content(path: Path) -> bytes:
    with opened(path) as file:
        return file.read()


def text(path: Path) -> str:
    with opened(path) as file:
        return file.read().decode("utf-8")


def tree(path: Path) -> Any:
    """What a file of JSON says."""
    with opened(path, "not JSON") as file:
        return json.loads(file.read().decode("utf-8"))


def parsed(content: bytes | str) -> Any:
    """What JSON says that stands within a file; None, which is no object, where it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def rows(path: Path, *, grows: bool = False) -> list[Row]:
    """The rows of a CSV file with a header; of one that `grows`, no last one without an end."""
    whole, end, rest = text(path).rpartition("\n")
    if not end:
        raise Damaged(f"{path}: found no line, want a header and rows")
    if rest and not grows:
        raise Damaged(f"{path}: the last line has no end; the file was cut short")
    with opened(path, "not a table"):
        table = list(csv.DictReader(io.StringIO(whole + end, newline="")))
    for n, row in enumerate(table, 1):
        if None in row or None in row.values():
            raise Damaged(f"{path}: row {n} has more or fewer cells than the header")
    return table


class Arrays(dict[str, "Array"]):
    """The arrays of a file by name; one that it lacks is `Damaged`, which names both."""

    def __init__(self, path: Path, found: dict[str, Array]):
        super().__init__(found)
        self.path = path

    def __missing__(self, name: str) -> Array:
        raise Damaged(f"{self.path}: found no array {name!r}, want what its stage writes")


def arrays(path: Path) -> Arrays:
    """The arrays of an .npz, or of an .npy, which has one, as `""`."""
    import numpy as np

    with opened(path, "not arrays of NumPy") as file:
        found = np.load(file, allow_pickle=False)
        # An .npz is read, and checked, array by array.
        return Arrays(path, {"": found} if isinstance(found, np.ndarray) else dict(found))


def mapped(path: Path) -> Array:
    """The array of an .npy, mapped read-only: its bytes are read when they are asked for."""
    import numpy as np

    with opened(path, "not an array of NumPy"):
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(found, np.ndarray):
            found.close()
            raise Damaged(f"{path}: found several arrays, want one")
        return found


def picture(path: Path) -> bytes:
    """The bytes of an image file, all of which its decoder takes."""
    from PIL import Image

    with opened(path, "not a whole image") as file:
        whole = file.read()
        with Image.open(io.BytesIO(whole)) as image:
            for frame in range(getattr(image, "n_frames", 1)):
                image.seek(frame)
                image.load()
            if image.format == "PNG" and not whole.endswith(END_OF_PNG):  # no decoder minds
                raise ValueError("its end is missing")
        return whole


def pixels(path: Path) -> Array:
    """The pixels of an image file, uint8 (H, W) or (H, W, 3)."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(picture(path))) as image:
        return np.asarray(image)
