"""Files that appear whole or not at all, and one line when one cannot be written.

A full disk, a quota, a read-only folder: the writer's own exception often names no file, and what
it leaves is half a file under the final name. Whoever writes anything that outlives its process
writes it through `atomic_write`; tests/system/test_files.py knows the few that may not.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ebmrepro.system.errors import UserError
from ebmrepro.system.signals import lives

DIGITS = 9  # significant ones of a number in JSON
# What the machine refuses, as opposed to a mistake in the program.
REFUSALS = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.ELOOP,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.ENFILE,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


class CannotWrite(UserError):
    """A result cannot be written; the message names the path and the reason."""


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A name beside `path` to write to, with its suffix; at the end of the block it becomes `path`.

    It is flushed to the disk before, so that even a power cut leaves the old file or the new one.
    When the block fails, nothing is left of it, and the old `path` is as it was.

    Raises:
        CannotWrite: the machine refuses.
    """
    path = Path(path)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    with named_errors(path):
        try:
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, path)
            flush_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to write to; at the end of the block it becomes `folder`.

    Its files are flushed to the disk before, so that a power cut leaves the old folder or the new
    one; between the two renames the old one is beside it, and the next call puts it back. When the
    block fails, nothing is left of it, and the old folder is as it was. What killed processes left
    behind is removed.

    Raises:
        CannotWrite: the machine refuses.
    """
    work = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    new, old = work / "new", work / "old"
    with named_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f".{folder.name}.partial-*"):
            pid = left.name.removeprefix(f".{folder.name}.partial-")
            if left == work or (re.fullmatch("[0-9]{1,9}", pid) and not lives(int(pid))):
                if (left / "old").exists() and not folder.exists():
                    (left / "old").rename(folder)
                shutil.rmtree(left, ignore_errors=True)
        new.mkdir(parents=True)
        try:
            yield new
            for path in new.rglob("*"):
                if path.is_file():
                    with path.open("rb") as file:
                        os.fsync(file.fileno())
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
            flush_folder(folder.parent)
        finally:
            if old.exists() and not folder.exists():
                old.rename(folder)
            shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def named_errors(path: str | Path) -> Iterator[None]:
    """Turn an OSError of the block, which writes `path` and does nothing else, into CannotWrite."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(f"{path}: cannot be written: {_reason(error)}") from error


def refused(error: OSError) -> str | None:
    """One line on what the machine refused; None where it is rather the program that is wrong."""
    if error.errno not in REFUSALS:
        return None
    place = error.filename if error.filename is not None else "a file of this stage"
    return f"{place}: {_reason(error)}"


def flush_folder(folder: Path) -> None:
    """Have the disk remember a rename in `folder`."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: OSError) -> str:
    # NumPy counts what it wrote and forgets why it stopped.
    return error.strerror or f"{error}; is the disk full?"


def write_json(path: Path, tree: object) -> None:
    """Whole or not at all."""
    write(path, json_text(tree))


def json_text(tree: object) -> str:
    """Sorted and without times: the same content gives the same bytes.

    Numbers have the digits that mean something, so that another library's last bits change no file.
    """
    told = rounded(tree)
    return json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write(path: Path, content: str | bytes) -> None:
    """A whole file, text as UTF-8; see `atomic_write`."""
    with atomic_write(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def rounded(tree: Any, digits: int = DIGITS) -> Any:
    """Its numbers to so many digits, wherever they are."""
    if isinstance(tree, Mapping):
        return {key: rounded(value, digits) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [rounded(value, digits) for value in tree]
    return float(f"{tree:.{digits}g}") if isinstance(tree, float) else tree


def copy(source: Path, path: Path) -> None:
    """A file's content under another name, made whole or not at all."""
    with atomic_write(path) as partial:
        shutil.copyfile(source, partial)
