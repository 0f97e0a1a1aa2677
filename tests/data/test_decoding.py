"""Decoding that is stopped and gone on with: the bytes of one that nobody disturbed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_up_images import asked, block, mirror, photographs, picture, refused

from ebmrepro import data
from ebmrepro.config.data import Data
from ebmrepro.data import crops, decoding, trees
from ebmrepro.data.sources import folder
from ebmrepro.system.locks import Busy, Lock

__all__ = ["mirror"]  # fixtures, used by name


CHILD = """
import sys
from pathlib import Path
from ebmrepro import data
from ebmrepro.data import crops, decoding
from ebmrepro.config.data import Data
from ebmrepro.config.validation import validate
decoding.SAVE_EVERY = 0.0
asks = validate(Data, {asks!r}, "p")
plain = crops.decode
def slow(content, name, *rest):
    print(name, flush=True)
    if name == {stops!r}:
        import time; time.sleep(60)
    return plain(content, name, *rest)
crops.decode = slow
data.prepare("mine", asks, Path(sys.argv[1]))
"""


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_decoding_that_is_killed_goes_on_and_ends_with_the_same_bytes(mirror, tmp_path):
    photographs(mirror / "mine")
    asks = block("folder", 4, 2, folder="mine", image=asked(broken=0.2))
    names = folder.fetch(asks).names
    (mirror / "mine" / names[3]).write_bytes(picture(3)[:300])  # is remembered as broken
    data.prepare("mine", asks, tmp_path / "whole/mine")
    target = tmp_path / "killed/mine"

    def child(stops: str) -> subprocess.Popen[str]:
        code = CHILD.format(asks=asks.model_dump(), stops=stops)
        code = code.replace("decoding.SAVE", "decoding.CHUNK = 1\ndecoding.SAVE")
        command = [sys.executable, "-c", code, str(target)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    with child(stops=names[7]) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if line == f"{names[7]}\n":
                first.send_signal(signal.SIGKILL)
                break
    assert not target.exists() and (tmp_path / "killed/.mine.decoding").exists()
    with child(stops="") as second:
        said = second.communicate()[0].splitlines()
    assert second.returncode == 0
    assert [line for line in said if line.endswith(".jpg")] == names[7:]
    assert "mine: 7 of 12 images are decoded already" in said
    assert files_of(target) == files_of(tmp_path / "whole/mine")
    assert not [p for p in (tmp_path / "killed/.mine.decoding").iterdir() if p.is_dir()]


def test_several_processes_make_the_bytes_of_one(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "CHUNK", 1)
    photographs(mirror / "mine")
    (mirror / "mine/cats/3.jpg").write_bytes(b"")
    asks = block("folder", 4, folder="mine", image=asked(8, broken=0.2, kind="patch", scale=12))
    data.prepare("mine", asks, tmp_path / "one/mine")
    monkeypatch.setenv(decoding.WORKERS, "2")
    monkeypatch.setattr(crops, "decode", None)  # not in this process
    data.prepare("mine", asks, tmp_path / "two/mine")
    assert files_of(tmp_path / "one/mine") == files_of(tmp_path / "two/mine")


def test_a_file_that_is_replaced_is_decoded_anew(mirror, tmp_path, monkeypatch):
    photographs(mirror / "mine")
    (mirror / "mine/cats/0.jpg").write_bytes(b"")
    asks = block("folder", 4, folder="mine")
    refused("1 of 12", "mine", asks, tmp_path / "mine")
    (mirror / "mine/cats/0.jpg").write_bytes(picture(0))
    assert data.prepare("mine", asks, tmp_path / "mine")["broken"] == {}


def test_a_larger_share_of_broken_images_needs_no_new_decoding(mirror, tmp_path, monkeypatch):
    photographs(mirror / "mine")
    (mirror / "mine/cats/0.jpg").write_bytes(b"")
    refused("1 of 12", "mine", block("folder", 4, folder="mine"), tmp_path / "mine")
    monkeypatch.setattr(crops, "decode", None)  # calling it would be a TypeError
    asks = block("folder", 4, folder="mine", image=asked(broken=0.1))
    assert set(data.prepare("mine", asks, tmp_path / "mine")["broken"]) == {"cats/0.jpg"}


def cut_after_all_were_decoded(mirror: Path, tmp_path: Path) -> Data:
    """Leaves a decoding that says it is done and has lost a byte; returns what goes on with it."""
    photographs(mirror / "mine")
    (mirror / "mine/cats/0.jpg").write_bytes(b"")
    refused("1 of 12", "mine", block("folder", 4, folder="mine"), tmp_path / "mine")
    (half,) = (tmp_path / ".mine.decoding").glob("*/images")
    half.write_bytes(half.read_bytes()[:-1])
    return block("folder", 4, folder="mine", image=asked(broken=0.1))


def test_a_state_without_its_images_is_not_believed(mirror, tmp_path):
    asks = cut_after_all_were_decoded(mirror, tmp_path)
    made = data.prepare("mine", asks, tmp_path / "mine")
    fresh = data.prepare("mine", asks, tmp_path / "fresh/mine")
    assert made == fresh


def test_nor_is_one_of_a_decoding_that_was_stopped_before_it_said_how_far_it_was(
    mirror, tmp_path, monkeypatch
):
    asks = cut_after_all_were_decoded(mirror, tmp_path)

    def stopped(job, names):
        yield from job(names[:2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(decoding, "_rows", stopped)
        with pytest.raises(KeyboardInterrupt):
            data.prepare("mine", asks, tmp_path / "mine")
    made = data.prepare("mine", asks, tmp_path / "mine")
    assert made == data.prepare("mine", asks, tmp_path / "fresh/mine")


def test_an_image_that_memory_does_not_suffice_for_is_not_called_broken(
    mirror, tmp_path, monkeypatch
):
    photographs(mirror / "mine")

    def short(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(crops.Pillow, "open", short)
    monkeypatch.setenv("EBMREPRO_WORKERS", "1")
    asks = block("folder", 4, folder="mine", image=asked(broken=0.9))
    refused("not enough memory to decode it", "mine", asks, tmp_path / "mine")


def test_two_processes_do_not_decode_for_the_same_folder(mirror, tmp_path):
    photographs(mirror / "mine")
    (tmp_path / ".mine.decoding").mkdir()
    with (
        Lock(tmp_path / ".mine.decoding/decoding", "x"),
        pytest.raises(Busy, match="is being written by"),
    ):
        data.prepare("mine", block("folder", 4, folder="mine"), tmp_path / "mine")


def test_a_file_that_is_gone_stops_the_decoding_and_is_not_called_broken(mirror, tmp_path):
    photographs(mirror / "mine")
    plain = trees.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trees, "read", lambda s, n: plain(s, n + ("x" if "dogs/2" in n else "")))
        asks = block("folder", 4, folder="mine", image=asked(broken=0.9))
        refused("dogs/2.jpgx: no such file", "mine", asks, tmp_path / "mine")


def test_a_mirror_that_fails_is_not_told_as_an_output_that_cannot_be_written(mirror, tmp_path):
    photographs(mirror / "mine")

    def fail(top: Path, name: str) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trees, "read", fail)
        asks = block("folder", 4, folder="mine")
        refused(r"^cats/1\.jpg: cannot be read: Input/output error$", "mine", asks, tmp_path / "x")


def test_a_worker_ends_with_the_process_that_it_works_for(tmp_path):
    code = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
import multiprocessing
from ebmrepro.data import decoding
from ebmrepro.config.data import Image
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, context, initializer=decoding._begin, initargs=(None,))
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""
    (tmp_path / "parent.py").write_text(code)
    command = [sys.executable, str(tmp_path / "parent.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(300):
        if not alive(worker):
            return
        time.sleep(0.05)
    os.kill(worker, signal.SIGKILL)
    raise AssertionError("the worker goes on without its parent")


def alive(process: int) -> bool:
    """A zombie, which waits for a parent that is gone, does not count."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_machine_without_linuxs_calls_decodes_to_the_same_bytes(mirror, tmp_path, monkeypatch):
    photographs(mirror / "mine")
    asks = block("folder", 4, 2, folder="mine", image=asked())
    data.prepare("mine", asks, tmp_path / "linux/mine")
    for name in ("posix_fallocate", "sched_getaffinity"):
        monkeypatch.delattr(os, name, raising=False)
    data.prepare("mine", asks, tmp_path / "macos/mine")
    assert files_of(tmp_path / "macos/mine") == files_of(tmp_path / "linux/mine")


@pytest.mark.parametrize(
    "state",
    ['{"done": 99, "broken": {}}', '{"done": 3, "broken": {"77": "x"}}', '{"broken": {"a": "x"}}'],
)
def test_a_state_that_says_what_cannot_be_is_not_believed(mirror, tmp_path, state: str):
    photographs(mirror / "mine")
    (mirror / "mine/cats/0.jpg").write_bytes(b"")
    refused("1 of 12", "mine", block("folder", 4, folder="mine"), tmp_path / "mine")
    (note,) = (tmp_path / ".mine.decoding").glob("*/state.json")
    note.write_text(state)
    asks = block("folder", 4, folder="mine", image=asked(broken=0.1))
    made = data.prepare("mine", asks, tmp_path / "mine")
    assert made == data.prepare("mine", asks, tmp_path / "fresh/mine")
