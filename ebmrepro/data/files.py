"""The files that sources are made of: from a local mirror, the network, or scikit-learn's folder.

Whatever the way, a file's content is checked against its published checksum before it is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from ebmrepro.data import downloads
from ebmrepro.system import reading

MIRROR = "EBMREPRO_DATA_MIRROR"
NAMED = 3  # names that a message gives


DataError = reading.Damaged
"""Of data that cannot be had, or are not what they should be; one line for a person."""


def obtain(
    folders: Sequence[str], checksums: Mapping[str, str], urls: Sequence[str]
) -> dict[str, Path]:
    """The files named in `checksums` (sha256), each with that content.

    Each is looked for in `folders` of the mirror (the folder named by EBMREPRO_DATA_MIRROR) and
    then asked for at `urls`, which end in a slash; downloads are kept in the user's cache. The
    mirror is never written to.

    Raises:
        DataError: a file is nowhere to be had, or is wrong or unreadable in the mirror.
    """
    paths = {name: path for name in checksums if (path := in_mirror(folders, name))}
    for name, path in paths.items():
        _check(path, checksums[name], "sha256")
    try:
        for name in [name for name in checksums if name not in paths]:
            paths[name] = downloads.download(name, cache() / folders[0], checksums[name], urls)
    except downloads.Unavailable as error:
        lacking = [name for name in checksums if name not in paths]
        raise DataError(missing(folders[0], lacking, f"the network gave {error}")) from None
    return paths


def in_mirror(folders: Sequence[str], name: str) -> Path | None:
    """A file or folder in the first of `folders` that has it, if there is a mirror that holds it.

    Raises:
        DataError: the mirror that is set is not there.
    """
    mirror = _mirror()
    paths = [mirror / folder / name for folder in folders] if mirror else []
    return next((path for path in paths if path.exists()), None)


def located(folders: Sequence[str], name: str, how: str, md5: str | None = None) -> Path:
    """A file, or a folder of files, that only the mirror can hold.

    Args:
        folders: of the mirror, in which it is looked for in turn.
        how: one clause on how to get it: address, size, licence.
        md5: of the file, where its source publishes one; it is read once to be checked.

    Raises:
        DataError: it is not there, or is not the published one; says how to get it.
    """
    path = in_mirror(folders, name)
    if path is None:
        raise DataError(missing(folders[0], [name], how))
    if md5 is not None:
        _check(path, md5, "md5")
    return path


def missing(folder: str, names: Sequence[str], how: str) -> str:
    """What to say when files that cannot be fetched are not in the mirror."""
    mirror = _mirror()
    place = f"{mirror or 'DIR'}/{folder}/"
    setting = "" if mirror else f" and set {MIRROR}=DIR"
    return f"missing {', '.join(names)}: put them in {place}{setting}; {how}"


def named(names: Collection[str], most: int = NAMED, between: str = ", ") -> str:
    """The first few of some names, and how many more there are."""
    first = between.join(sorted(names)[:most])
    return first if len(names) <= most else f"{first} and {len(names) - most:,} more"


def bundled(name: str) -> bytes:
    """The content of a file that ships with scikit-learn, read without importing it (4 s).

    Raises:
        DataError: scikit-learn is not installed or has no such file.
    """
    spec = importlib.util.find_spec("sklearn")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / name
        if path.is_file():
            return reading.content(path)
    raise DataError(f"scikit-learn's {name} is not on this machine: reinstall scikit-learn")


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """DataError, which names the file or folder, in place of the machine's refusal to read it."""
    try:
        yield
    except OSError as error:
        place = error.filename or path
        raise DataError(f"{place}: cannot be read: {error.strerror}") from None


def read(path: Path, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes.

    Raises:
        DataError: it is longer, or cannot be read.
    """
    with reading.opened(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise DataError(f"{path}: more than the {limit:,} bytes that it may have")
    return content


def verified(place: str, content: bytes, sha256: str) -> bytes:
    """`content`, once its checksum is the expected one.

    Raises:
        DataError: it is not; names the place, the checksum of the content and the expected one.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise DataError(f"{place}: found sha256 {digest}, expected {sha256}")
    return content


def checksum(path: Path, kind: str) -> str:
    """Of a file's content, by the algorithm `kind`.

    Raises:
        DataError: it cannot be read.
    """
    with reading.opened(path) as file:
        new = hashlib.new(kind, usedforsecurity=False)
        return hashlib.file_digest(file, lambda: new).hexdigest()


def cache() -> Path:
    """Where downloads are kept: one folder per user, shared by all checkouts."""
    import pooch

    return Path(pooch.os_cache("ebmrepro"))


def _mirror() -> Path | None:
    text = os.environ.get(MIRROR)
    if text and not Path(text).is_dir():
        raise DataError(f"{MIRROR}={text}: no such folder")
    return Path(text) if text else None


def _check(path: Path, expected: str, kind: str) -> None:
    """Raise DataError unless the file of the mirror has this checksum."""
    digest = checksum(path, kind)
    if digest == expected:
        return
    with reading.opened(path) as file:
        page = "an HTML page, " if downloads.is_page(file.read(downloads.HEAD)) else ""
    raise DataError(
        f"{path}: found {page}{kind} {digest}, expected {expected}; the file is left as it is: "
        "replace or remove it"
    )
