"""What comes back from a bare machine: an archive that grows training by training, cut in pieces.

A machine that is lent may give back few files and none that is large, and may be taken away at any
moment. So the archive is a tar without an end, `home.000`, `home.001`, ..., to which a training is
added when it ends: its files, and after them a record with their checksums. What a sudden end cuts
short has no record.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ebmrepro.config import forms
from ebmrepro.system import atomic
from ebmrepro.system.errors import UserError, one_line
from ebmrepro.system.reading import opened, parsed

PIECE = 15 << 20  # bytes; the files that come back from some machines have at most 16 MiB
STEM = "home."
REPORT = "report.json"  # beside the pieces: what became of each part, and what it found
RECORD = re.compile(r"record-[a-z0-9_-]+\.json")
HEX, WORD = "[0-9a-f]{64}", r"[\w+-][\w.+-]*"
ALLOWED = re.compile(  # what may be written; anything else in the archive is refused
    rf"models/{WORD}/{WORD}/[0-9]+/(samples/)?{WORD}"
    rf"|\.ebmrepro/provenance/{HEX}\.json"
    rf"|\.ebmrepro/checkpoints/{HEX}/{WORD}/{WORD}"
    rf"|pack\.json|{RECORD.pattern}"
)
Record = dict[str, Any]


class Cargo:
    """The archive of one sitting, in a folder of its own.

    Args:
        limit: bytes of all pieces together.

    Raises:
        UserError: the folder holds what another sitting left.
    """

    def __init__(self, folder: Path, limit: int):
        self.folder, self.limit, self.size = folder, limit, 0
        with atomic.named_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if (there := folder / f"{STEM}000").exists():
            raise UserError(f"{there}: an earlier sitting's; take it home, or name another --out")

    def add(self, root: Path, files: list[Path], name: str, record: Mapping[str, Any]) -> bool:
        """Add files of `root` and their record; False, and nothing is added, past the limit."""
        contents = {str(file): (root / file).read_bytes() for file in sorted(files)}
        sums = {file: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
        last = json.dumps({**record, "files": sums}, indent=1, sort_keys=True).encode()
        members = {**contents, name: last}
        whole = b"".join(_member(file, content) for file, content in members.items())
        if self.size + len(whole) > self.limit:
            return False
        self._append(whole)
        return True

    def _append(self, content: bytes) -> None:
        while content:
            number, there = divmod(self.size, PIECE)
            part, content = content[: PIECE - there], content[PIECE - there :]
            with (self.folder / f"{STEM}{number:03d}").open("ab") as file:
                file.write(part)
                file.flush()
                os.fsync(file.fileno())
            self.size += len(part)


def _member(name: str, content: bytes) -> bytes:
    about = tarfile.TarInfo(name)
    about.size = len(content)
    padding = b"\0" * (-len(content) % tarfile.BLOCKSIZE)
    return about.tobuf(tarfile.PAX_FORMAT) + content + padding


def unload(folder: Path, into: Path) -> list[Record]:
    """Write what is whole of an archive to `into`, and return the records.

    A file is written only where its name is one that a training has and its content what the
    record after it says.

    Raises:
        UserError: there is no archive, it holds another file than trainings have, or is damaged.
    """
    pieces = sorted(folder.glob(f"{STEM}[0-9][0-9][0-9]"))
    if [piece.name for piece in pieces] != [f"{STEM}{n:03d}" for n in range(max(1, len(pieces)))]:
        found = ", ".join(piece.name for piece in pieces) or "no such file"
        raise UserError(f"{folder}: found {found}; a sitting leaves {STEM}000, {STEM}001, ...")
    joined = into / "joined.tar"
    with joined.open("wb") as whole:
        for piece in pieces:
            with opened(piece) as part:
                shutil.copyfileobj(part, whole)
    waiting: dict[str, bytes] = {}
    records: list[Record] = []
    with joined.open("rb") as stream:
        for name, content in _members(stream, folder):
            if not RECORD.fullmatch(name):
                waiting[name] = content
            else:
                record = forms.Record.held(parsed(content), f"{folder}: {name}")
                _write(into, waiting, record["files"], folder)
                records.append(record)
                waiting = {}
    joined.unlink()
    return records


def _members(stream: io.BufferedIOBase, place: Path):
    """(name, content) of whole members, up to the end or to where the archive was cut short."""
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                if not (member.isreg() and ALLOWED.fullmatch(member.name)):
                    raise UserError(f"{place}: found {member.name!r}, which no training writes")
                file = archive.extractfile(member)
                content = file.read() if file else b""
                if len(content) < member.size:
                    return
                yield member.name, content
    except tarfile.TarError:
        return
    except UserError:
        raise
    except Exception as error:  # whatever tarfile makes of a damaged head
        raise UserError(f"{place}: not the archive of a sitting: {one_line(error)}") from error


def _write(into: Path, found: Mapping[str, bytes], sums: Mapping[str, str], place: Path) -> None:
    for name, expected in sums.items():
        actual = hashlib.sha256(found[name]).hexdigest() if name in found else "no such file"
        if actual != expected:
            raise UserError(f"{place}: {name}: found sha256 {actual[:12]}, want {expected[:12]}")
        path = into / name
        with atomic.named_errors(f"{place}: {name}"):  # where another file's name is its folder's
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(found[name])
