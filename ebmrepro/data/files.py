"""The files that sources are made of: from a local mirror, the network, or scikit-learn's folder.

Whatever the way, a file's content is checked against its published sha256 before it is used.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ebmrepro.data import downloads
from ebmrepro.params import UserError

MIRROR = "EBMREPRO_DATA_MIRROR"


class DataError(UserError):
    """Data that cannot be had, or are not what they should be; one line for a person."""


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
    contents, missing = {}, []
    for name, sha256 in checksums.items():
        path = _first(mirror / folder / name for folder in folders) if mirror else None
        if path is None:
            missing.append(name)
        else:
            contents[name] = _of_the_mirror(path, sha256)
    try:
        for name in missing:
            path = downloads.download(name, cache() / folders[0], checksums[name], urls)
            contents[name] = path.read_bytes()
    except downloads.Unavailable as error:
        missing = [name for name in missing if name not in contents]
        place = f"{mirror or 'DIR'}/{folders[0]}/"
        raise DataError(
            f"missing {', '.join(missing)}: put them in {place}"
            f"{'' if mirror else f' and set {MIRROR}=DIR'}; the network gave {error}"
        ) from None
    return contents


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


def _of_the_mirror(path: Path, sha256: str) -> bytes:
    try:
        return verified(str(path), path.read_bytes(), sha256)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except DataError as error:
        raise DataError(f"{error}; the file is left as it is: replace or remove it") from None
