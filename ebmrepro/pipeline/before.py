"""What is looked at before DVC is started: what would stop it later, or for ever."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import subprocess
import sys
from pathlib import Path

from ebmrepro.system import atomic, git, reading
from ebmrepro.system.errors import UserError

LOCKED = "rwlock"  # under DVC's .dvc/tmp: who reads and writes which output
GUARDS = ("lock", "rwlock.lock")  # held by who has the project, and by who rewrites that file
METHODS = "ebmrepro/methods"


def in_project(root: Path, file: str) -> None:
    """UserError where a folder lacks a file of the project's: it is another folder."""
    if not (root / file).exists():
        raise UserError(f"{root.resolve()}: no {file} here; run in the project's folder")


def heal(root: Path) -> None:
    """Remove DVC's list of who writes what where it is no JSON and nobody is about to write it.

    DVC rewrites it in place: a kill within leaves it empty, and DVC then refuses every command. It
    says nothing that a process which is gone could still need.
    """
    place = root / ".dvc" / "tmp"
    path = place / LOCKED
    try:
        reading.known(reading.tree, path)
    except reading.Damaged as error:
        if not path.is_file():  # no kill makes a folder of it
            raise
        reason = str(error)
    else:
        return
    with contextlib.ExitStack() as held:
        for name in GUARDS:
            with atomic.named_errors(place / name):
                guard = held.enter_context((place / name).open("ab"))
            try:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # another DVC is at work, and has just begun to write it
        path.unlink(missing_ok=True)
    print(f"{reason}; a killed DVC left it so: removed", file=sys.stderr, flush=True)


def in_git(root: Path) -> None:
    """UserError, with what to do, where DVC would find no git repository that it may use."""
    asked = ["git", "-C", str(root), "rev-parse", "--git-dir"]
    plain = {**os.environ, "LC_ALL": "C"}  # what git says is looked into
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=False, env=plain)
        said = done.stderr.strip().partition("\n")[0] if done.returncode else ""
    except OSError as error:
        said = f"git: {error.strerror}"
    here = root.resolve()
    if "dubious ownership" in said:
        raise UserError(
            f"{here}: belongs to another user, and git works in nobody else's folder until it is "
            f"told to: git config --global --add safe.directory {shlex.quote(str(here))}"
        )
    if said:
        raise UserError(
            f"{here}: DVC needs a git repository here ({said}); clone the project, or in an "
            "unpacked archive: git init && git add -A && git commit -m 'as unpacked'"
        )


def unknown_to_git(root: Path) -> list[str]:
    """Methods' files that git does not know: DVC leaves them out of an experiment's workspace."""
    told = git.line(root, "ls-files", "--others", "--exclude-standard", METHODS)
    return [name for name in told.splitlines() if name.endswith(".py")]
