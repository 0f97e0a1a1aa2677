"""What a killed training needs to go on: atomic, checksummed, fingerprinted, locked.

DVC deletes a stage's outputs before it runs it, so checkpoints live outside them, in
`.ebmrepro/checkpoints/<fingerprint>/<made with>/` of the repository:

    about.json                  whose they are
    <step>-<sha256>.pt          the state after that step; the last two are kept
    <step>-<sha256>.unreadable  one whose content is not that of its name, set aside
    .partial-<process>-<name>   one that was being written

The fingerprint covers parameters, seed, data and code, `made with` the kind of device and torch's
version, on which bits depend as well: a checkpoint of anything else is never found. If the newest
cannot be read, the one before is used. A run that ends well removes its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ebmrepro.config import forms
from ebmrepro.runs.carried import duration
from ebmrepro.system import atomic, reading
from ebmrepro.system.locks import Lock
from ebmrepro.system.reading import Damaged, known

# torch is imported where it is needed: to list checkpoints takes none of it, and it takes seconds.

KEPT = 2
NAME = re.compile(r"(\d{12})-[0-9a-f]{64}\.pt")


class Checkpoints:
    """The checkpoints of one run, held by one process at a time.

    Args:
        root: the repository.
        fingerprint: of the training.
        made_with: kind of device and version of torch, as a folder's name.
        what: the run, in words for a person.

    Raises:
        locks.Busy: on entering, when another process holds them; it is named.
    """

    def __init__(self, root: Path, fingerprint: str, made_with: str, what: str):
        self.folder = _place(root) / fingerprint / made_with
        self.what = what
        self.about: Mapping[str, Any] = {}  # of `Stored`; to be said before the first is saved
        self._lock = Lock(_place(root) / fingerprint, what)

    def __enter__(self) -> Self:
        self._lock.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            shutil.rmtree(self.folder.parent, ignore_errors=True)
        self._lock.__exit__(kind, *rest)

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Make the state after `step` steps durable; raises atomic.CannotWrite where the machine
        refuses, and the checkpoints before are as they were."""
        import torch

        buffer = io.BytesIO()
        torch.save(state, buffer)
        # No view of the buffer, which would be copied no less: a full disk's error would hold on to
        # it, and collecting both ends CPython 3.12.1 in a segmentation fault (cpython#111049).
        content = buffer.getvalue()
        with atomic.named_errors(self.folder):
            path = self.folder / _name(step, hashlib.sha256(content).hexdigest())
            self._prepare()
            with atomic.atomic_write(path) as partial:
                partial.write_bytes(content)
            # Only now is the new name durable, and an old one may go, as may what a kill has left.
            old = [path for _, path in _saved(self.folder)[:-KEPT]]
            for each in [*old, *self.folder.glob(".partial-*")]:
                each.unlink()
        return path

    def latest(self) -> dict[str, Any] | None:
        """The newest readable state, or None when there is none."""
        import torch

        for step, path in reversed(_saved(self.folder)):
            try:
                with reading.opened(path, "not a checkpoint") as file:
                    if path.name != _name(step, hashlib.file_digest(file, "sha256").hexdigest()):
                        raise Damaged("its checksum differs")
                    file.seek(0)
                    return torch.load(file, weights_only=True, map_location="cpu")
            except Damaged as error:
                print(
                    f"{self.what}: the checkpoint of step {step} is unreadable ({error}); "
                    "trying the one before",
                    file=sys.stderr,
                )
                # Out of the way: as the newest by its name it would push out those to come.
                path.rename(path.with_suffix(".unreadable"))
        return None

    def give_way(self) -> bool:
        """Remove all but the newest, for a result without room; False if there is no other."""
        old = [path for _, path in _saved(self.folder)[:-1]]
        for path in old:
            path.unlink(missing_ok=True)
        return bool(old)

    def newest(self) -> tuple[int, Path] | None:
        """Step and file of the newest checkpoint, unread."""
        return max(_saved(self.folder), default=None)

    def of_others(self) -> list[tuple[int, str]]:
        """Step of the same training's checkpoints that were made with something else, and what."""
        folders = [f for f in sorted(self.folder.parent.glob("*/")) if f != self.folder]
        return [(saved[-1][0], folder.name) for folder in folders if (saved := _saved(folder))]

    def _prepare(self) -> None:
        """Make the folder and say whose it is, durably."""
        about = self.folder / "about.json"
        if about.exists():
            return
        missing = [f for f in (self.folder, *self.folder.parents) if not f.exists()]
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            atomic.flush_folder(folder.parent)
        if self.about:
            atomic.write_json(about, self.about)


@dataclass(frozen=True)
class Stored:
    """The checkpoints of one training, as they lie on disk."""

    folder: Path
    about: Mapping[str, Any]  # suite, method, seed, epochs, steps; empty if nobody said
    wrong: str  # with the file that says so, in one line
    step: int | None  # of the newest; None if there is none
    saved: float  # when, seconds since 1970
    bytes: int
    holder: str | None  # the process that trains it, in words

    @property
    def fingerprint(self) -> str:
        return self.folder.parent.name

    @property
    def made_with(self) -> str:
        return self.folder.name


def stored(root: Path) -> list[Stored]:
    """All checkpoints of a repository, in order of suite, method and seed."""
    found = [_describe(folder) for folder in sorted(_place(root).glob("*/*/"))]
    return sorted(found, key=lambda each: [str(each.about.get(k, "")) for k in _WHOSE])


def portable(each: Stored) -> list[Path]:
    """The files with which another machine of its kind goes on: the newest, and whose it is."""
    return [each.folder / "about.json", *(path for _, path in _saved(each.folder)[-1:])]


def remove(each: Stored) -> None:
    """Remove checkpoints from the disk, unless a process holds them: then it raises locks.Busy."""
    with Lock(each.folder.parent, f"the checkpoint {each.fingerprint[:8]}"):
        shutil.rmtree(each.folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # those of another torch lie there too
            each.folder.parent.rmdir()


def in_words(each: Stored) -> str:
    """One line for a person: whose, how far, how old, how large, made with what, held by whom."""
    from rich.filesize import decimal  # which a training on a bare machine has not

    about = each.about
    whose = " ".join(str(about.get(key, "?")) for key in _WHOSE[:2])
    words = [f"{whose} seed {about.get('seed', '?')}"]
    if each.step is None:
        words.append("nothing saved yet")
    elif about:
        epoch = each.step * about["epochs"] // about["steps"]
        words.append(f"epoch {epoch} of {about['epochs']}")
        words.append(f"step {each.step:,} of {about['steps']:,}")
    else:
        words.append(f"step {each.step:,}")
    words += [
        f"{duration(max(time.time() - each.saved, 0))} old",
        decimal(each.bytes),
        each.made_with,
    ]
    words.append(f"held by {each.holder}" if each.holder else "held by nobody")
    return ", ".join([*words, *filter(None, [each.wrong])])


_WHOSE = ("suite", "method", "seed")


def _place(root: Path) -> Path:
    return root / ".ebmrepro" / "checkpoints"


def _saved(folder: Path) -> list[tuple[int, Path]]:
    """Step and file of whole checkpoints, oldest first."""
    names = ((NAME.fullmatch(path.name), path) for path in folder.glob("*.pt"))
    return sorted((int(name[1]), path) for name, path in names if name)


def _name(step: int, sha256: str) -> str:
    return f"{step:012d}-{sha256}.pt"


def _describe(folder: Path) -> Stored:
    about, wrong = {}, ""
    try:
        about = known(forms.About.read, folder / "about.json") or {}
    except Damaged as error:
        wrong = str(error)
    saved = _saved(folder)
    stats: list[os.stat_result] = []
    for path in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # a training has just replaced it
            stats.append(path.stat())
    return Stored(
        folder=folder,
        about=about,
        wrong=wrong,
        step=saved[-1][0] if saved else None,
        saved=max((stat.st_mtime for stat in stats), default=0.0),
        bytes=sum(stat.st_size for stat in stats),
        holder=Lock(folder.parent, "").holder(),
    )
