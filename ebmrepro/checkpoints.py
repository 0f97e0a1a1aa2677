"""What a killed training needs to go on: atomic, fingerprinted, locked.

DVC deletes a stage's outputs before it runs it, so checkpoints live outside them, under
`.ebmrepro/checkpoints/<fingerprint>/` of the repository. The fingerprint covers parameters, seed,
data and code; a checkpoint of anything else is never found. The last two are kept: if the newest
cannot be read, the one before is used. A run that ends well removes its own.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path
from pickle import UnpicklingError
from types import TracebackType
from typing import Any, Self

import torch
from filelock import FileLock, Timeout

from ebmrepro import writing
from ebmrepro.params import UserError

KEPT = 2


class Busy(UserError):
    """Another process trains the same run."""


class Checkpoints:
    """The checkpoints of one run, held by one process at a time.

    Raises:
        Busy: on entering, when another process holds them; it is named.
    """

    def __init__(self, root: Path, fingerprint: str):
        self.folder = root / ".ebmrepro" / "checkpoints" / fingerprint
        self.lock = FileLock(self.folder.with_suffix(".lock"))
        self.owner = self.folder.with_suffix(".pid")

    def __enter__(self) -> Self:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            pid = self.owner.read_text() if self.owner.exists() else "unknown"
            raise Busy(
                f"this run is being trained by process {pid}; wait for it or end it"
            ) from None
        self.owner.write_text(str(os.getpid()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.owner.unlink(missing_ok=True)
        self.lock.release()  # the lock file stays: to remove it would let two in

    def save(self, epoch: int, state: dict[str, Any]) -> None:
        """Write to a temporary name, flush to the disk, rename: never half a checkpoint."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()  # torch's own writer says of a full disk "unexpected pos 704"
        torch.save(state, content)
        with writing.whole(self.folder / f"{epoch:08d}.pt") as partial:
            partial.write_bytes(content.getbuffer())
        for old in self._saved()[:-KEPT]:
            old.unlink()

    def latest(self) -> dict[str, Any] | None:
        """The newest readable state, or None when there is none."""
        for path in reversed(self._saved()):
            try:
                return torch.load(path, weights_only=True, map_location="cpu")
            except (OSError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
                reason = str(error).partition("\n")[0]
                print(
                    f"{path.name} is unreadable ({reason}); trying the one before", file=sys.stderr
                )
        return None

    def _saved(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.pt"))
