"""Checkpoints on a disk that loses power, fills up, or returns other bits than were written."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ebmrepro.runs import checkpoints
from ebmrepro.runs.checkpoints import Checkpoints
from ebmrepro.system.atomic import CannotWrite

STEPS = (5, 10, 15, 20)
CUT = STEPS[:3]  # saved while the power may go


def of(root: Path, fingerprint: str = "f", made_with: str = "cpu-torch-0") -> Checkpoints:
    made = Checkpoints(root, fingerprint, made_with, "digits magan seed 0")
    made.about = {"suite": "digits", "method": "magan", "seed": 0, "epochs": 2, "steps": 20}
    return made


def state(step: int) -> dict[str, Any]:
    return {"step": step, "weights": torch.arange(300.0) * step}


def is_whole(found: dict[str, Any]) -> bool:
    return torch.equal(found["weights"], state(found["step"])["weights"])


def files(kept: Checkpoints) -> list[Path]:
    return sorted(kept.folder.glob("*.pt"))


def test_the_last_two_are_kept_and_the_newest_is_taken(tmp_path: Path):
    with of(tmp_path) as kept:
        for step in STEPS:
            kept.save(step, state(step))
        assert [int(path.name[:12]) for path in files(kept)] == [15, 20]
        found = kept.latest()
        assert found is not None and found["step"] == 20 and is_whole(found)


def flip(content: bytes) -> bytes:
    """One bit, among the bytes of a tensor, where torch.load notices nothing."""
    at = content.index(state(20)["weights"][100:110].numpy().tobytes())
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"not a checkpoint",
        lambda old: old[:-100],
        lambda old: bytes(len(old)),
        flip,
    ],
    ids=["empty", "other", "truncated", "zeros", "one bit"],
)
def test_an_unreadable_checkpoint_is_passed_over_and_said(
    tmp_path: Path, damage: Callable[[bytes], bytes], capsys: pytest.CaptureFixture[str]
):
    with of(tmp_path) as kept:
        for step in STEPS:
            kept.save(step, state(step))
        newest = files(kept)[-1]
        newest.write_bytes(damage(newest.read_bytes()))
        found = kept.latest()
        assert found is not None and found["step"] == 15 and is_whole(found)
        said = capsys.readouterr().err
        assert "digits magan seed 0: the checkpoint of step 20 is unreadable (its checksum" in said
        # And it does not count as the newest afterwards, which would push out the good ones.
        kept.save(16, state(16))
        assert [int(path.name[:12]) for path in files(kept)] == [15, 16]


def test_where_no_checkpoint_can_be_read_the_training_starts_anew(tmp_path: Path):
    with of(tmp_path) as kept:
        assert kept.latest() is None
        kept.save(5, state(5))
        files(kept)[0].write_bytes(b"")
        assert kept.latest() is None


def test_half_a_checkpoint_of_a_killed_process_is_in_nobodys_way(tmp_path: Path):
    with of(tmp_path) as kept:
        kept.save(5, state(5))
        half = kept.folder / ".partial-1-000000000010-0.pt"
        half.write_bytes(b"half of something")
        found = kept.latest()
        assert found is not None and found["step"] == 5
        kept.save(10, state(10))
        assert [int(path.name[:12]) for path in files(kept)] == [5, 10]
        assert not half.exists()


def test_a_run_that_ends_well_leaves_no_checkpoint_and_one_that_fails_leaves_it(tmp_path: Path):
    with of(tmp_path, "good") as kept:
        kept.save(1, state(1))
    assert not kept.folder.parent.exists()
    with pytest.raises(RuntimeError), of(tmp_path, "bad") as kept:
        kept.save(1, state(1))
        raise RuntimeError
    assert files(kept)


def test_a_checkpoint_of_another_torch_or_device_is_left_alone(tmp_path: Path):
    with pytest.raises(RuntimeError), of(tmp_path, made_with="cuda-torch-0") as kept:
        kept.save(5, state(5))
        raise RuntimeError
    with of(tmp_path) as other:
        assert other.latest() is None
        assert other.of_others() == [(5, "cuda-torch-0")]
        assert files(kept)


class PowerCut(BaseException):
    """The machine is off from here on."""


class Disk:
    """A disk that keeps what was synced, and of the rest as little or as much as it likes.

    It counts what is done to it, and loses power at the `cut`-th deed.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, cut: int):
        self.root, self.cut, self.deeds = root, cut, 0
        self.contents: dict[int, bytes] = {}  # inode -> what was synced of it
        self.names: dict[Path, dict[str, int]] = {}  # folder -> its synced entries
        self.sync_names(root)
        fsync, replace, unlink, mkdir = os.fsync, os.replace, Path.unlink, Path.mkdir
        write = Path.write_bytes

        def synced(handle: int) -> None:
            self.deed()
            fsync(handle)
            about = os.fstat(handle)
            paths = [self.root, *self.root.rglob("*")]
            (path,) = (p for p in paths if p.stat().st_ino == about.st_ino)
            if stat.S_ISDIR(about.st_mode):
                self.sync_names(path)
            else:
                self.contents[about.st_ino] = path.read_bytes()

        def half(path: Path, data: bytes) -> int:
            if self.deeds + 1 == self.cut:
                write(path, data[: len(data) // 2])
            self.deed()
            return write(path, data)

        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(os, "replace", self.first(replace))
        monkeypatch.setattr(Path, "unlink", self.first(unlink))
        monkeypatch.setattr(Path, "mkdir", self.first(mkdir))
        monkeypatch.setattr(Path, "write_bytes", half)

    def deed(self) -> None:
        self.deeds += 1
        if self.deeds >= self.cut:
            raise PowerCut

    def first(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.deed()
            return function(*arguments, **options)

        return counted

    def sync_names(self, folder: Path) -> None:
        self.names[folder] = {path.name: path.stat().st_ino for path in folder.iterdir()}

    def after(self, place: Path, *, names: bool, contents: bool, removals: bool) -> None:
        """Write what is left when the power is back.

        Args:
            names: those that were not synced are there all the same.
            contents: likewise; else such a file is empty.
            removals: those that were not synced have happened all the same.
        """
        place.mkdir()
        self._write(self.root, place, names, contents, removals)

    def _write(
        self, folder: Path, place: Path, names: bool, contents: bool, removals: bool
    ) -> None:
        now = {path.name: path for path in folder.iterdir()} if folder.exists() else {}
        durable = dict(self.names.get(folder, {}))
        if removals:
            durable = {name: inode for name, inode in durable.items() if name in now}
        if names:
            durable |= {name: path.stat().st_ino for name, path in now.items()}
        for name, inode in durable.items():
            path = now.get(name)
            if path is not None and path.is_dir():
                (place / name).mkdir()
                self._write(path, place / name, names, contents, removals)
            elif contents and path is not None:
                shutil.copy(path, place / name)
            else:
                (place / name).write_bytes(self.contents.get(inode, b""))


def save_until(root: Path, monkeypatch: pytest.MonkeyPatch, cut: int) -> tuple[Disk, list[int]]:
    """Save one checkpoint after another until the power goes; which of them were saved."""
    root.mkdir()
    saved: list[int] = []
    with monkeypatch.context() as patched:
        disk = Disk(root, patched, cut)
        kept = of(root)
        kept.folder.parent.parent.mkdir(parents=True)
        disk.sync_names(root)  # the repository's own folders were there before
        disk.sync_names(root / ".ebmrepro")
        disk.sync_names(root / ".ebmrepro/checkpoints")
        try:
            for step in CUT:
                kept.save(step, state(step))
                saved.append(step)
        except PowerCut:
            assert disk.deeds >= cut
    return disk, saved


def test_a_power_cut_between_any_two_writes_loses_no_checkpoint_that_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Whatever a disk keeps of what was not synced: the last saved one, or the one being saved."""
    cut, saved, interrupted = 4, [], 0
    while len(saved) < len(CUT):
        disk, saved = save_until(tmp_path / f"{cut}", monkeypatch, cut)
        choices = [(n, c, r) for n in (0, 1) for c in (0, 1) for r in (0, 1)]
        for names, contents, removals in choices:
            left = tmp_path / f"{cut} {names}{contents}{removals}"
            disk.after(left, names=bool(names), contents=bool(contents), removals=bool(removals))
            found = of(left).latest()
            if not saved:
                assert found is None or (found["step"] == STEPS[0] and is_whole(found))
                continue
            assert found is not None and is_whole(found), (cut, names, contents, removals)
            assert found["step"] >= saved[-1], (cut, names, contents, removals)
        interrupted += len(saved) < len(CUT)
        cut += 1
    assert interrupted > 20  # power cuts, in three saves


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_a_full_disk_costs_the_checkpoint_that_was_to_be_saved_and_no_other(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    def half(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        full()

    with of(tmp_path) as kept:
        kept.save(5, state(5))
        with monkeypatch.context() as patched:
            if failing == "write":
                patched.setattr(Path, "write_bytes", half)
            else:
                patched.setattr(os, failing, full)
            with pytest.raises(CannotWrite, match="No space left"):
                kept.save(10, state(10))
        assert not list(kept.folder.glob(".partial*")), "a full disk needs the room"
        found = kept.latest()
        assert found is not None and found["step"] == 5
        kept.save(15, state(15))
        found = kept.latest()
        assert found is not None and found["step"] == 15


def test_checkpoints_give_way_to_a_result_but_for_the_newest(tmp_path: Path):
    with of(tmp_path) as kept:
        assert not kept.give_way()
        for step in (5, 10):
            kept.save(step, state(step))
        assert kept.give_way() and not kept.give_way()
        found = kept.latest()
        assert found is not None and found["step"] == 10


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"suite": 3}', b"\xff"])
def test_checkpoints_whose_card_is_damaged_are_listed_and_that_is_said(
    tmp_path: Path, content: bytes
):
    saved = of(tmp_path).save(5, state(5))
    saved.with_name("about.json").write_bytes(content)
    (each,) = checkpoints.stored(tmp_path)
    line = checkpoints.in_words(each)
    assert each.step == 5 and "about.json: " in line and "\n" not in line
