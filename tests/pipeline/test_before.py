"""What is looked at before DVC is started, and who ends when its starter is gone."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ebmrepro.pipeline import before
from ebmrepro.system.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    return tmp_path / ".dvc/tmp"


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 40, b"\xff"])
def test_a_list_of_writers_that_a_kill_left_half_is_removed_and_that_is_said(
    tmp_path: Path, locks: Path, content: bytes, capsys: pytest.CaptureFixture[str]
):
    (locks / "rwlock").write_bytes(content)
    before.heal(tmp_path)
    assert not (locks / "rwlock").exists()
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "rwlock: not JSON" in said and "removed" in said
    before.heal(tmp_path)  # and what is not there is fine
    assert capsys.readouterr().err == ""


def test_one_that_is_whole_or_is_being_written_stays(tmp_path: Path, locks: Path):
    (locks / "rwlock").write_text("{}")
    before.heal(tmp_path)
    assert (locks / "rwlock").read_text() == "{}"
    for guard in before.GUARDS:
        (locks / "rwlock").write_text("")
        with (locks / guard).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            before.heal(tmp_path)
        assert (locks / "rwlock").exists()


@pytest.mark.parametrize("guard", before.GUARDS)
def test_a_folder_in_the_place_of_a_lock_is_named(tmp_path: Path, locks: Path, guard: str):
    (locks / "rwlock").write_text("{")
    (locks / guard).mkdir()
    with pytest.raises(UserError, match=f"tmp/{guard}: cannot be written: Is a directory"):
        before.heal(tmp_path)


@pytest.mark.slow
def test_dvc_holds_these_locks_and_goes_on_once_it_is_healed(tmp_path: Path):
    """DVC itself: that the names are still its own, and that what it says is mended."""
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run(command, cwd=tmp_path, check=True, env={**os.environ, "PATH": path()})
    (tmp_path / "dvc.yaml").write_text("stages: {one: {cmd: echo x > out, outs: [out]}}")
    repro = ["dvc", "repro"]
    (tmp_path / ".dvc/tmp").mkdir(exist_ok=True)
    (tmp_path / ".dvc/tmp/rwlock").write_text("")
    run = {"cwd": tmp_path, "capture_output": True, "text": True, "check": False}
    environment = {**os.environ, "PATH": path()}
    failed = subprocess.run(repro, env=environment, **run)
    assert failed.returncode and "JSON structure is corrupted" in failed.stderr
    assert {*before.GUARDS} <= {file.name for file in (tmp_path / ".dvc/tmp").iterdir()}
    before.heal(tmp_path)
    assert subprocess.run(repro, env=environment, **run).returncode == 0


def path() -> str:
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def test_without_git_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UserError, match=r"DVC needs a git repository here .*git init") as error:
        before.in_git(tmp_path)
    assert "\n" not in str(error.value)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    before.in_git(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="git: No such file"):
        before.in_git(tmp_path)


def test_make_says_it_before_it_installs_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    done = subprocess.run(["make", "repro"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "DVC needs a git repository here" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["Makefile"]


def test_a_method_that_git_does_not_know_is_named(tmp_path: Path):
    methods = tmp_path / before.METHODS
    methods.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for name in ("known.py", "fresh.py", "notes.txt"):
        (methods / name).write_text("")
    subprocess.run(["git", "-C", tmp_path, "add", methods / "known.py"], check=True)
    assert before.unknown_to_git(tmp_path) == [f"{before.METHODS}/fresh.py"]


STARTER = """
import functools, os, subprocess, sys
from ebmrepro.pipeline import repro
tied = functools.partial(repro._end_with, os.getpid())
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], preexec_fn=tied)
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
def test_what_drives_dvc_ends_with_its_starter_even_if_that_is_killed():
    command = [sys.executable, "-c", STARTER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as starter:
        assert starter.stdout is not None
        child = int(starter.stdout.readline())
        starter.send_signal(signal.SIGKILL)
    end = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text():
        assert time.monotonic() < end, "its child goes on"
        time.sleep(0.02)
