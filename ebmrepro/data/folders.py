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
    """An empty folder to write to; at the end of the block it becomes `folder`.

    Its files are flushed to the disk before, so that a power cut leaves the old folder or the new
    one. When the block fails, nothing is left of it, and the old folder is as it was. What killed
    processes left behind is removed.

    Raises:
        atomic.CannotWrite: the machine refuses.
    """
    work = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    new, old = work / "new", work / "old"
    with atomic.named_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f".{folder.name}.partial-*"):
            if left == work or not locks.lives(int(left.name.rpartition("-")[2])):
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
            atomic.flush_folder(folder.parent)
        finally:
            if old.exists() and not folder.exists():
                old.rename(folder)
            shutil.rmtree(work, ignore_errors=True)
