"""What comes compressed, read within bounds: gzip, tar (plain, gzip, bzip2, xz) and zip.

An archive is data from outside. Its members may name places outside the folder, be links, or unpack
to more than any disk holds; its end may be missing. The reader says beforehand how much the content
may be, and nothing of an archive is in place until all of it has been read and found right.
"""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from tarfile import HeaderError, ReadError, TarFile
from typing import IO, Self

from ebmrepro.data.downloads import HEAD, is_page
from ebmrepro.data.files import DataError
from ebmrepro.data.folders import replaced

# Raised by the libraries on what is not, or not wholly, of their format; so is OSError, without a
# number.
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
_DAMAGE += (NotImplementedError, ValueError)  # zip: a method or version that Python has not


@dataclass(frozen=True)
class Limits:
    """What an archive may hold; one that says or holds more is refused."""

    size: int  # bytes of all files together, unpacked
    files: int


def gunzip(name: str, content: bytes, limit: int) -> bytes:
    """The content of a gzip file, of at most `limit` bytes.

    Raises:
        DataError: it is cut short, damaged, no gzip file, or grows past the limit.
    """
    with reading(name, "gzip"), gzip.open(io.BytesIO(content)) as stream:
        found = stream.read(limit + 1)
    if len(found) > limit:
        raise DataError(f"{name}: unpacks to more than the {limit:,} bytes it may hold")
    return found


@contextlib.contextmanager
def reading(name: str, form: str) -> Iterator[None]:
    """Name the file in place of whatever a library raises on a damaged one."""
    try:
        yield
    except DataError:
        raise
    except (OSError, *_DAMAGE) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault, not the file's
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{name}: not a whole {form} file: {reason}") from None


def members(path: Path, limits: Limits) -> Iterator[tuple[str, io.RawIOBase]]:
    """Name and content of every file in an archive, in its order; folders are passed over.

    A stream is read before the next one is asked for. Only when the iterator has ended is it known
    that the archive was whole.

    Raises:
        DataError: see the module; names the archive, the member and what is wrong with it.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with path.open("rb") as file:
        if is_page(file.read(HEAD)):
            raise DataError(f"{path}: found an HTML page, not an archive")
    if zipfile.is_zipfile(path):
        yield from _zip(path, limits)
    else:
        yield from _tar(path, limits)


def unpack(path: Path, folder: Path, limits: Limits) -> None:
    """Unpack an archive to `folder`, which appears whole or not at all and replaces what was there.

    Raises:
        DataError: as `members` does.
        writing.CannotWrite: the machine refuses.
    """
    with replaced(folder) as partial:
        for name, stream in members(path, limits):
            target = partial / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)


# --- the two kinds -------------------------------------------------------------------------------


class Zip:
    """A zip file whose members are read by name, in any process; opened when first read.

    Raises:
        DataError: as `members` does, on opening.
    """

    def __init__(self, path: Path, limits: Limits):
        self.path, self.limits = path, limits

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "limits": self.limits}  # an open file stays here

    @functools.cached_property
    def _opened(self) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
        if not self.path.is_file():
            raise DataError(f"{self.path}: no such file")
        with reading(str(self.path), "zip"):
            archive = zipfile.ZipFile(self.path)
            return archive, {
                entry.filename: entry for entry in _entries(self.path, archive, self.limits)
            }

    @property
    def checksums(self) -> dict[str, int]:
        """CRC-32 of every member, as the archive's directory states it."""
        return {name: entry.CRC for name, entry in self._opened[1].items()}

    def read(self, name: str) -> bytes:
        """A member's content; DataError where it is damaged or is not there."""
        archive, entries = self._opened
        if name not in entries:
            raise DataError(f"{self.path}: no member {name!r}")
        with reading(str(self.path), "zip"):
            return archive.read(entries[name])


def _entries(path: Path, archive: zipfile.ZipFile, limits: Limits) -> list[zipfile.ZipInfo]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    names = _Names(path, limits)
    for entry in entries:
        names.add(entry.filename, entry.file_size)
        kind_of_file = stat.S_IFMT(entry.external_attr >> 16)
        if kind_of_file not in (0, stat.S_IFREG):
            raise DataError(f"{path}: member {entry.filename!r} is a link or a device")
        # Python unpacks the others in steps that nothing bounds.
        plain = entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if entry.flag_bits & 1 or not plain:
            raise DataError(f"{path}: member {entry.filename!r} is encrypted or not deflated")
    return entries


def _zip(path: Path, limits: Limits) -> Iterator[tuple[str, io.RawIOBase]]:
    with reading(str(path), "zip"), zipfile.ZipFile(path) as archive:
        for entry in _entries(path, archive, limits):
            with archive.open(entry) as stream:
                yield entry.filename, _Member(path, "zip", stream)
                _drain(stream)  # what the caller left, for the checksum at its end


def _tar(path: Path, limits: Limits) -> Iterator[tuple[str, io.RawIOBase]]:
    names = _Names(path, limits)
    with reading(str(path), "tar"), path.open("rb") as file:
        # Headers and padding: a kilobyte and a half for each file, and long names.
        content = _Bounded(path, _decompressed(file), limits.size + 4096 * (limits.files + 8))
        with tarfile.open(fileobj=content, mode="r|", tarinfo=_Header) as archive:
            for entry in archive:
                if entry.isdir():
                    names.check(entry.name)
                    continue
                # A sparse file says little and unpacks to much; no data set needs one.
                if not entry.isreg() or entry.issparse():
                    raise DataError(f"{path}: member {entry.name!r} is a link or a device")
                names.add(entry.name, entry.size)
                stream = archive.extractfile(entry)
                assert stream is not None  # it is a regular file
                yield entry.name, _Member(path, "tar", stream)
        _drain(content)  # the checksum of gzip comes after the last member


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    magic = file.read(6)
    file.seek(0)
    for start, opened in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open)):
        if magic.startswith(start):
            return opened(file, "rb")  # pyright: ignore[reportReturnType]
    return file


def _drain(stream: IO[bytes] | io.RawIOBase) -> None:
    while stream.read(1 << 20):
        pass


class _Header(tarfile.TarInfo):
    """tarfile takes a damaged header, or none at all, for the end; only zeros are the end."""

    @classmethod
    def fromtarfile(cls, tarfile: TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # zeros; the class is private
                raise
            raise ReadError(f"{error} where a member or the end should be") from None


class _Member(io.RawIOBase):
    """The content of one member; damage in it is an error that names the archive."""

    def __init__(self, path: Path, form: str, stream: IO[bytes]):
        self.path, self.form, self.stream = path, form, stream

    def read(self, size: int = -1) -> bytes:
        with reading(str(self.path), self.form):
            return self.stream.read(size)


class _Bounded(io.RawIOBase):
    """A stream that fails once it has given more than `limit` bytes."""

    def __init__(self, path: Path, stream: IO[bytes], limit: int):
        self.path, self.stream, self.left = path, stream, limit

    def read(self, size: int = -1) -> bytes:
        most = self.left + 1
        found = self.stream.read(most if size < 0 else min(size, most))
        self.left -= len(found)
        if self.left < 0:
            raise DataError(f"{self.path}: unpacks to more than it may hold")
        return found


class _Names:
    """The members seen so far: safe names, each once, and no more of them than the limits allow."""

    def __init__(self, path: Path, limits: Limits):
        self.path, self.limits = path, limits
        self.size, self.files, self.folders = 0, set[str](), {"."}

    def check(self, name: str) -> PurePosixPath:
        """`name` as a path, which stays inside; of a folder it may be the archive's own, `.`."""
        clean = PurePosixPath(name)
        windows = PureWindowsPath(name)
        if clean.is_absolute() or windows.drive or windows.root:
            raise DataError(f"{self.path}: member {name!r} has an absolute path")
        if ".." in windows.parts or "\0" in name:
            raise DataError(f"{self.path}: member {name!r} leads out of the archive")
        return clean

    def add(self, name: str, size: int) -> None:
        clean = self.check(name)
        above = {str(parent) for parent in clean.parents}  # with `.`, also for the name `.`
        if str(clean) in self.files or str(clean) in self.folders or above & self.files:
            raise DataError(f"{self.path}: member {name!r} is there twice")
        self.files.add(str(clean))
        self.folders |= above
        self.size += max(size, 0)
        if size < 0 or self.size > self.limits.size:
            raise DataError(
                f"{self.path}: member {name!r} is said to be {size:,} bytes, which makes "
                f"{self.size:,} so far; the whole archive may hold {self.limits.size:,}"
            )
        if len(self.files) > self.limits.files:
            raise DataError(f"{self.path}: more than the {self.limits.files:,} files it may hold")
