"""The files that sources are made of: from a local mirror, the network, or scikit-learn's folder.

Whatever the way, a file's content is checked against its published sha256 before it is used.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ebmrepro.data import downloads
from ebmrepro.system.errors import UserError

MIRROR = "EBMREPRO_DATA_MIRROR"
NAMED = 3  # names that a message gives


class DataError(UserError):
    """Data that cannot be had, or are not what they should be; one line for a person."""


class Stream(Protocol):
    """What can be read from."""

    def read(self, size: int, /) -> bytes | None: ...


def obtain(
    folders: Sequence[str], checksums: Mapping[str, str], urls: Sequence[str]
) -> dict[str, bytes]:
    """The contents of the files named in `checksums`.

    Each file is looked for in `folders` of the mirror (the folder named by EBMREPRO_DATA_MIRROR)
    and then asked for at `urls`, which end in a slash; downloads are kept in the user's cache. The
    mirror is never written to.

    Raises:
        DataError: a file is nowhere to be had, or is wrong or unreadable in the mirror.
    """
    mirror = _mirror()
    contents, absent = {}, []
    for name, sha256 in checksums.items():
        path = _first(mirror / folder / name for folder in folders) if mirror else None
        if path is None:
            absent.append(name)
        else:
            contents[name] = _of_the_mirror(path, sha256)
    try:
        for name in absent:
            path = downloads.download(name, cache() / folders[0], checksums[name], urls)
            contents[name] = path.read_bytes()
    except downloads.Unavailable as error:
        lacking = [name for name in absent if name not in contents]
        raise DataError(missing(folders[0], lacking, f"the network gave {error}")) from None
    return contents


def path_of(folders: Sequence[str], name: str, sha256: str, urls: Sequence[str]) -> Path:
    """A file that is too large to be held in memory; otherwise as `obtain`.

    Raises:
        DataError: as `obtain` does.
    """
    for folder in folders:
        path = in_mirror(f"{folder}/{name}")
        if path is not None:
            _check(path, sha256, "sha256")
            return path
    try:
        return downloads.download(name, cache() / folders[0], sha256, urls)
    except downloads.Unavailable as error:
        raise DataError(missing(folders[0], [name], f"the network gave {error}")) from None


def in_mirror(name: str) -> Path | None:
    """A file or folder of the mirror, if there is a mirror and it holds it.

    Raises:
        DataError: the mirror that is set is not there.
    """
    mirror = _mirror()
    if mirror is None or not (mirror / name).exists():
        return None
    return mirror / name


def located(folders: Sequence[str], name: str, how: str, md5: str | None = None) -> Path:
    """A file, or a folder of files, that only the mirror can hold.

    Args:
        folders: of the mirror, in which it is looked for in turn.
        how: one clause on how to get it: address, size, licence.
        md5: of the file, where its source publishes one; it is read once to be checked.

    Raises:
        DataError: it is not there, or is not the published one; says how to get it.
    """
    for folder in folders:
        path = in_mirror(f"{folder}/{name}")
        if path is not None:
            if md5 is not None:
                _check(path, md5, "md5")
            return path
    raise DataError(missing(folders[0], [name], how))


def missing(folder: str, names: Sequence[str], how: str) -> str:
    """What to say when files that cannot be fetched are not in the mirror."""
    mirror = _mirror()
    place = f"{mirror or 'DIR'}/{folder}/"
    setting = "" if mirror else f" and set {MIRROR}=DIR"
    return f"missing {', '.join(names)}: put them in {place}{setting}; {how}"


def named(names: Collection[str]) -> str:
    """The first few of some names, and how many more there are."""
    first = ", ".join(sorted(names)[:NAMED])
    return first if len(names) <= NAMED else f"{first} and {len(names) - NAMED:,} more"


def bundled(name: str) -> bytes:
    """The content of a file that ships with scikit-learn, found without importing it (4 s).

    Raises:
        DataError: scikit-learn is not installed or has no such file.
    """
    spec = importlib.util.find_spec("sklearn")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / name
        if path.is_file():
            return path.read_bytes()
    raise DataError(f"scikit-learn's {name} is not on this machine: reinstall scikit-learn")


def verified(place: str, content: bytes, sha256: str) -> bytes:
    """`content`, once its checksum is the expected one.

    Raises:
        DataError: it is not; names the place, the checksum found and the one expected.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(f"{place}: {downloads.differs(found, sha256, content)}")
    return content


def cache() -> Path:
    """Where downloads are kept: one folder per user, shared by all checkouts."""
    import pooch

    return Path(pooch.os_cache("ebmrepro"))


def _mirror() -> Path | None:
    text = os.environ.get(MIRROR)
    if not text:
        return None
    if not Path(text).is_dir():
        raise DataError(f"{MIRROR}={text}: no such folder")
    return Path(text)


def _first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _check(path: Path, expected: str, kind: str) -> None:
    """Raise DataError unless the file of the mirror has this checksum."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False))
            if found.hexdigest() == expected:
                return
            file.seek(0)
            page = "an HTML page, " if downloads.is_page(file.read(downloads.HEAD)) else ""
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    raise DataError(
        f"{path}: found {page}{kind} {found.hexdigest()}, expected {expected}; the file is left as "
        "it is: replace or remove it"
    )


def _of_the_mirror(path: Path, sha256: str) -> bytes:
    try:
        return verified(str(path), path.read_bytes(), sha256)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except DataError as error:
        raise DataError(f"{error}; the file is left as it is: replace or remove it") from None
