"""The files that sources are made of: from a local mirror, the network, or scikit-learn's folder.

Whatever the way, a file's content is checked against its published sha256 before it is used.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ebmrepro.params import UserError

MIRROR = "EBMREPRO_DATA_MIRROR"
TIMEOUT = 30  # seconds without an answer after which the next address is tried


class DataError(UserError):
    """Data that cannot be had, or are not what they should be; one line for a person."""


def obtain(
    folders: Sequence[str], checksums: Mapping[str, str], urls: Sequence[str]
) -> dict[str, bytes]:
    """The contents of the files named in `checksums`.

    Each file is looked for in `folders` of the mirror (the folder named by EBMREPRO_DATA_MIRROR)
    and then asked for at `urls`, which end in a slash; downloads are kept in the user's cache.

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
            contents[name] = verified(str(path), _read(path), sha256)
    try:
        for name in missing:
            contents[name] = _download(folders[0], name, checksums[name], urls)
    except OSError as error:
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
        raise DataError(f"{place}: found sha256 {found}, expected {sha256}")
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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _download(folder: str, name: str, sha256: str, urls: Sequence[str]) -> bytes:
    """The first copy with the right checksum; an OSError says what each address gave instead."""
    import pooch

    failures = []
    for url in urls:
        try:
            path = pooch.retrieve(
                url + name,
                known_hash=f"sha256:{sha256}",
                fname=name,
                path=cache() / folder,
                # pooch's own class does not match pooch's protocol
                downloader=pooch.HTTPDownloader(timeout=TIMEOUT),  # pyright: ignore[reportArgumentType]
            )
        except ValueError as error:  # wrong checksum: both are in the message
            failures.append(f"{url}{name}: {textwrap.shorten(str(error), 240)}")
        except OSError as error:
            reason = textwrap.shorten(str(error), 80)
            failures.append(f"{url}{name}: {type(error).__name__}: {reason}")
        else:
            return Path(path).read_bytes()
    raise OSError("; ".join(failures))
