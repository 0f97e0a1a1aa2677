"""A disk that is full or refuses: one line with the path and the reason, and nothing half written.

No test needs root or a disk of its own: a process may limit the size of its own files (the error is
then "File too large"), and what no limit reaches is raised in the writer's place.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from params_file import part_of_text, shipped

from ebmrepro import data
from ebmrepro.config.data import Data
from ebmrepro.networks import images
from ebmrepro.runs.checkpoints import Checkpoints
from ebmrepro.runs.curves import Curves
from ebmrepro.system import atomic

ROOT = Path(__file__).parents[2]
NOISE = np.random.RandomState(0).randint(0, 256, (200, 200), dtype=np.uint8)
DIGITS = Data(source="digits", test=360, validation=0, split_seed=0)


@contextlib.contextmanager
def small_disk(size: int = 4096) -> Iterator[None]:
    """No file of this process may grow past `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def everything(folder: Path) -> dict[str, bytes]:
    """Every file's content, hidden ones included; locks aside, which are empty."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def limited(folder: Path, *command: str, size: int, **environment: str):
    """A stage, as DVC would start it in `folder`, that can write files of at most `size` bytes."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "EBMREPRO_TRACKING": "off", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("params.yaml", "stages"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


# --- each writer ---------------------------------------------------------------------------------


def _savez(path: Path) -> None:
    with atomic.atomic_write(path) as partial:
        np.savez(partial, x=NOISE)


def _save(path: Path) -> None:
    with atomic.atomic_write(path) as partial:
        np.save(partial, NOISE)


WRITERS: dict[str, Callable[[Path], object]] = {
    "x.json": lambda path: atomic.write_json(path, NOISE.tolist()),
    "x.png": lambda path: images.save_png(path, NOISE),
    "x.npz": _savez,
    "x.npy": _save,
    "x.html": lambda path: atomic.write(path, NOISE.tobytes()),
    "x.csv": lambda path: Curves(path, [{"epoch": i, "loss": i / 7} for i in range(999)]),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_does_not_fit_is_named_and_the_old_one_stays(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"of an earlier run")
    with small_disk(), pytest.raises(atomic.CannotWrite) as error:
        WRITERS[name](path)
    assert str(error.value).startswith(f"{path}: cannot be written: ")
    assert "too large" in str(error.value) or "is the disk full?" in str(error.value)
    assert everything(tmp_path) == {name: b"of an earlier run"}
    WRITERS[name](path)
    assert list(everything(tmp_path)) == [name]
    assert path.stat().st_size > 4096


def test_a_row_that_does_not_fit_into_the_curves_names_them(tmp_path):
    curves = Curves(tmp_path / "curves.csv")
    with small_disk(), pytest.raises(atomic.CannotWrite, match=r"curves\.csv: cannot be written"):
        for epoch in range(1000):
            curves.append({"epoch": epoch, "loss": epoch / 7})


def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(tmp_path):
    checkpoints = Checkpoints(tmp_path, "f", "cpu", "a training")
    before: dict[str, bytes] = {}
    with contextlib.suppress(KeyboardInterrupt), checkpoints:
        checkpoints.save(1, {"epoch": 1, "x": torch.zeros(10)})
        before = everything(checkpoints.folder)
        place = re.escape(str(checkpoints.folder))
        with (
            small_disk(),
            pytest.raises(atomic.CannotWrite, match=f"^{place}/0.*: cannot be written"),
        ):
            checkpoints.save(2, {"epoch": 2, "x": torch.zeros(10_000)})
        assert everything(checkpoints.folder) == before
        assert (checkpoints.latest() or {})["epoch"] == 1
        raise KeyboardInterrupt
    assert everything(checkpoints.folder) == before


def test_a_file_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: done.append("flush") or fsync(handle))
    monkeypatch.setattr(os, "replace", lambda *paths: done.append("rename") or replace(*paths))
    atomic.write_json(tmp_path / "x.json", {})
    assert done == ["flush", "rename", "flush"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES])
def test_whatever_the_machine_refuses_is_said_in_its_words(tmp_path, monkeypatch, number):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(atomic.CannotWrite, match=f"x.json: cannot be .*{os.strerror(number)}$"):
        atomic.write_json(tmp_path / "x.json", {})
    assert everything(tmp_path) == {}


# --- a suite's folder ----------------------------------------------------------------------------


def test_data_that_do_not_fit_leave_the_old_folder(tmp_path):
    data.prepare("digits", DIGITS, tmp_path / "digits")
    before = everything(tmp_path)
    other = DIGITS.model_copy(update={"split_seed": 1})
    with small_disk(), pytest.raises(atomic.CannotWrite, match=f"^{tmp_path}/digits: cannot be"):
        data.prepare("digits", other, tmp_path / "digits")
    assert everything(tmp_path) == before


def test_a_kill_while_data_are_written_leaves_no_folder_and_the_next_run_clears_up(tmp_path):
    script = f"""
import os, signal, numpy
from ebmrepro import data
from ebmrepro.config.params import Data
save, saved = numpy.save, []
def killed(path, array):
    save(path, array)
    saved.append(path)
    if len(saved) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
numpy.save = killed
data.prepare("digits", Data(**{DIGITS.model_dump()!r}), {str(tmp_path / "digits")!r})
"""
    killed = subprocess.run([sys.executable, "-c", script], timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "digits").exists()
    with pytest.raises(data.DataError, match="no such file"):
        data.read(tmp_path / "digits", "train")
    assert len(everything(tmp_path)) == 2
    data.prepare("digits", DIGITS, tmp_path / "digits")
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_an_array_that_is_whole_but_of_another_run_is_refused(tmp_path):
    data.prepare("digits", DIGITS, tmp_path / "a")
    data.prepare("digits", DIGITS.model_copy(update={"test": 100}), tmp_path / "b")
    shutil.copy(tmp_path / "b/train.npy", tmp_path / "a/train.npy")
    with pytest.raises(data.DataError, match=r"uint8 \(1697, 1, 8, 8\) .* says uint8 \(1437, 1, 8"):
        data.read(tmp_path / "a", "train")


# --- stages --------------------------------------------------------------------------------------


def test_a_stage_on_a_full_disk_stops_with_one_line_and_exit_code_2(project):
    done = limited(project, "stages/data.py", "digits", size=10_000)
    assert done.returncode == 2
    assert done.stderr.startswith("data/digits: cannot be written: ")
    assert len(done.stderr.splitlines()) == 1 and done.stdout == ""
    assert list((project / "data").iterdir()) == []


@pytest.mark.slow
def test_a_training_goes_on_without_checkpoints_and_stops_where_its_result_does_not_fit(project):
    asked = shipped().suite("digits").data
    data.prepare("digits", asked, project / "data/digits")
    (project / "params.yaml").unlink()
    short = part_of_text().replace("budget: 1.0", "budget: 0.02", 1)  # ends soon, and as large
    (project / "params.yaml").write_text(short)
    command = ["stages/train.py", "digits", "dcgan", "0"]
    done = limited(project, *command, size=50_000, EBMREPRO_CHECKPOINT_SECONDS="0")
    assert done.returncode == 2, done.stderr
    lost, stopped = done.stderr.splitlines()
    assert "no checkpoint can be saved" in lost and "File too large" in lost
    assert stopped.endswith("/model.safetensors: cannot be written: File too large")
    assert not list(project.rglob("*.pt")) and not list(project.rglob(".partial*"))
    assert not list((project / "models").rglob("model.safetensors"))


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        ("OSError(30, 'Read-only file system', 'models/x')", 2, "models/x: Read-only file system"),
        ("OSError(28, 'No space left on device')", 2, "a file of this stage: No space left on"),
        ("FileNotFoundError(2, 'No such file', 'a mistake of ours')", 1, "Traceback"),
    ],
)
def test_a_stage_that_the_machine_refuses_says_so_and_a_mistake_keeps_its_traceback(
    raised, code, said
):
    script = f"""
import sys
sys.path.insert(0, {str(ROOT / "stages")!r})
import environment
def main() -> None:
    raise {raised}
environment.run(main)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == code and said in done.stderr
    assert (len(done.stderr.splitlines()) == 1) == (code == 2)


def test_another_librarys_last_bits_change_no_file(tmp_path: Path):
    one, other = ({"a": [x, {"b": (x, -x * 1e-300)}], "n": 2**53 + 1} for x in (0.1 + 0.2, 0.3))
    for name, tree in (("one", one), ("other", other)):
        atomic.write_json(tmp_path / name, tree)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    read = json.loads((tmp_path / "one").read_text())
    assert read["a"][0] == 0.3 and read["n"] == 2**53 + 1
