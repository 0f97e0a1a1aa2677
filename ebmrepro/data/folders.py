"""A folder of data that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ebmrepro.system import atomic, locks


@contextlib.contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder` to write to; at the end of the block it becomes `folder`.

    Its files are flushed to the disk before, so that a power cut leaves the old folder or the new
    one. When the block fails, nothing is left of it, and the old folder is as it was. What killed
    processes left behind is removed.

    Raises:
        atomic.CannotWrite: the machine refuses.
    """
    with atomic.named_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
        partial.mkdir()
        try:
            yield partial
            for path in partial.rglob("*"):
                if path.is_file():
                    with path.open("rb") as file:
                        os.fsync(file.fileno())
            _replace(folder, partial)
            atomic.flush_folder(folder.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _replace(folder: Path, new: Path) -> None:
    """Put `new` in the place of `folder`; a failure leaves the old one there."""
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    if not folder.exists():
        new.rename(folder)
        return
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    shutil.rmtree(old)


def _remove_leftovers(folder: Path) -> None:
    for kind in ("partial", "old"):
        prefix = f".{folder.name}.{kind}-"
        for path in folder.parent.glob(f"{prefix}*"):
            pid = path.name.removeprefix(prefix)
            if pid.isdigit() and (int(pid) == os.getpid() or not locks.lives(int(pid))):
                shutil.rmtree(path, ignore_errors=True)
