"""What comes compressed, read within bounds: gzip and zip.

Such a file is data from outside. It may unpack to more than any disk holds, and its end may be
missing. The reader says beforehand how much the content may be; members of a zip are read by name
and written nowhere but where the reader says.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import IO, Any

from ebmrepro.data.downloads import HEAD, is_page
from ebmrepro.data.files import DataError
from ebmrepro.system.errors import UserError, one_line
from ebmrepro.system.reading import opened


@contextlib.contextmanager
def reading(place: str | Path, form: str) -> Iterator[None]:
    """Name the file in place of whatever a library raises on a damaged one."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault, not the file's
        raise DataError(f"{place}: not a whole {form} file: {one_line(error)}") from None


def gunzip(name: str, content: bytes, limit: int) -> bytes:
    """The content of a gzip file, of at most `limit` bytes.

    Raises:
        DataError: it is cut short, damaged, no gzip file, or grows past the limit.
    """
    with reading(name, "gzip"), gzip.open(io.BytesIO(content)) as stream:
        unpacked = stream.read(limit + 1)
    if len(unpacked) > limit:
        raise DataError(f"{name}: unpacks to more than the {limit:,} bytes it may hold")
    return unpacked


class Zip:
    """A zip file whose members are read by name, in any process; opened when first read.

    It may hold so many files, of `size` bytes together when they are unpacked.

    Raises:
        DataError: on opening, where it is damaged, or where a member is not a plain file with a
            name of its own inside the archive, or where it says it holds more.
    """

    def __init__(self, path: Path, size: int, files: int):
        self.path, self.size, self.files = path, size, files

    def __reduce__(self) -> tuple[Any, ...]:
        return Zip, (self.path, self.size, self.files)  # an open file stays here

    @functools.cached_property
    def _archive(self) -> zipfile.ZipFile:
        with opened(self.path) as file:
            if is_page(file.read(HEAD)):
                raise DataError(f"{self.path}: found an HTML page, not an archive")
        with reading(self.path, "zip"):
            return zipfile.ZipFile(self.path)

    @functools.cached_property
    def members(self) -> dict[str, zipfile.ZipInfo]:
        """Every file by its name; folders are passed over."""
        entries = [entry for entry in self._archive.infolist() if not entry.is_dir()]
        for entry in entries:
            if reason := _unfit(entry):
                raise DataError(f"{self.path}: member {entry.filename!r} {reason}")
        members = {entry.filename: entry for entry in entries}
        if len(members) < len(entries):
            raise DataError(f"{self.path}: a member is there twice")
        size = sum(entry.file_size for entry in entries)
        if size > self.size or len(entries) > self.files:
            raise DataError(
                f"{self.path}: says it holds {len(entries):,} files of {size:,} bytes; it may hold "
                f"{self.files:,} of {self.size:,}"
            )
        return members

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A member's content; DataError where it is damaged or is not there."""
        if name not in self.members:
            raise DataError(f"{self.path}: found no member {name}")
        with reading(self.path, "zip"), self._archive.open(name) as stream:
            yield stream

    def read(self, name: str) -> bytes:
        with self.open(name) as stream:
            return stream.read()


def _unfit(entry: zipfile.ZipInfo) -> str | None:
    """Why a member is refused."""
    path = PureWindowsPath(entry.filename)  # takes `/` too
    if path.anchor:
        return "has an absolute path"
    if ".." in path.parts:
        return "leads out of the archive"
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is a link or a device"
    # Python unpacks the others in steps that nothing bounds.
    if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is encrypted or not deflated"
    return None
