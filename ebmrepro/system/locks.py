"""One writer at a time: a lock that ends with its process, and a note that says who holds it.

The lock is the operating system's (flock), so a process that dies, however it dies, leaves none.
The note beside it is only read where the lock is held, so one left by a dead process misleads
nobody. Between machines that share a file system it holds as far as that file system's flock does.
"""

from __future__ import annotations

import json
import os
import platform
import time
from datetime import datetime
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from ebmrepro.system import atomic
from ebmrepro.system.errors import UserError
from ebmrepro.system.signals import lives

PATIENCE = 0.5  # seconds; who only looks whether a lock is held holds it for an instant


class Busy(UserError):
    """Another process writes there."""


class Lock:
    """The right to write something, held within a `with` block.

    Args:
        path: of the lock without its suffix; `.lock` and `.pid` are made there.
        what: is being written, in words for a person.
        patience: seconds to wait for another process.

    Raises:
        Busy: on entering, when another process holds it; it is named.
    """

    def __init__(self, path: Path, what: str, patience: float = PATIENCE):
        self.patience = patience
        self.what, self.note = what, path.with_name(f"{path.name}.pid")
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))

    def __enter__(self) -> Self:
        self.note.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=self.patience)
        except Timeout:
            raise Busy(
                f"{self.what} is being written by {self._holder()}; wait for it or end it"
            ) from None
        now = datetime.now().astimezone().isoformat(" ", timespec="seconds")
        note = {"pid": os.getpid(), "host": platform.node(), "since": now, "what": self.what}
        atomic.write_json(self.note, note)
        return self

    def __exit__(self, *_: object) -> None:
        self.note.unlink(missing_ok=True)
        self._lock.release()  # the lock file stays: to remove it would let two in

    def holder(self) -> str | None:
        """Who holds the lock, in words; None if nobody does."""
        if not self.note.parent.exists():
            return None
        try:
            with self._lock.acquire(timeout=0):
                return None
        except Timeout:
            return self._holder()
        except PermissionError:  # another user's, which only a note tells of
            return self._holder() if self.note.exists() else None

    def _holder(self) -> str:
        """From the note, which its writer may be about to write: one of the dead does not count."""
        for pause in (0.0, 0.2):
            time.sleep(pause)
            try:
                note = json.loads(self.note.read_text(encoding="utf-8"))
                pid, host, since = note["pid"], note["host"], note["since"]
                if host != platform.node():
                    return f"process {pid} on {host} since {since}"
                if lives(pid):
                    return f"process {pid} since {since}"
            except (OSError, ValueError, LookupError, TypeError, OverflowError):
                continue
        return "another process"
