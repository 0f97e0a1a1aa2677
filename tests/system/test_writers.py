"""One writer per run: a second one is refused by name, and an orphan stops by itself."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trainings
from ruamel.yaml import YAML
from waiting import until

from ebmrepro.system import atomic
from ebmrepro.system.locks import Busy, Lock
from ebmrepro.system.signals import Watch

DVC = [sys.executable, "-W", "ignore", "-m", "dvc"]
COMMAND = [sys.executable, "-W", "ignore", "-m", "ebmrepro"]
OUT = "models/digits/magan/0"


def test_a_second_writer_is_refused_by_name_process_and_time(tmp_path: Path):
    who = rf"digits magan seed 0 is being written by process {os.getpid()} since 20\d\d-.*; wait"
    with (
        Lock(tmp_path / "x", "digits magan seed 0"),
        pytest.raises(Busy, match=who),
        Lock(tmp_path / "x", "digits magan seed 0"),
    ):
        pass


def hold(name: str) -> None:
    with Lock(Path(name), "digits magan seed 0"):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_lock_of_a_dead_process_is_gone_and_its_note_misleads_nobody(tmp_path: Path):
    child = trainings.FORKS.Process(target=hold, args=(str(tmp_path / "x"),))
    child.start()
    assert trainings.finish(child) == -signal.SIGKILL
    note = tmp_path / "x.pid"
    assert json.loads(note.read_text())["pid"] == child.pid
    with Lock(tmp_path / "x", "digits magan seed 0"):
        own = note.read_text()
        assert json.loads(own)["pid"] == os.getpid()
        # A new holder that has not come to write its note yet: the dead one is not named.
        note.write_text(own.replace(str(os.getpid()), str(child.pid)))
        assert Lock(tmp_path / "x", "").holder() == "another process"


def ask_twice() -> None:
    with Watch() as watch:
        assert watch.reason() is None
        os.kill(os.getpid(), signal.SIGINT)
        assert watch.reason() == ("by SIGINT", 130)
        os.kill(os.getpid(), signal.SIGINT)
        os._exit(0)


def test_a_second_ctrl_c_leaves_at_once():
    child = trainings.FORKS.Process(target=ask_twice)
    child.start()
    assert trainings.finish(child) == -signal.SIGINT


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("when", ["imports", "reads", "writes"])
def test_a_stage_that_is_stopped_before_it_watches_says_so(
    tmp_path: Path, number: signal.Signals, code: int, when: str
):
    """While it imports, reads, or writes: one line, its signal's code, and nothing half-written."""
    stop = f"os.kill(os.getpid(), {int(number)})"
    script = f"""
import os, sys
sys.path.insert(0, {str(trainings.ROOT / "stages")!r})
import environment
{stop if when == "imports" else ""}
from pathlib import Path
from ebmrepro.system import atomic
def main() -> None:
    {stop if when == "reads" else ""}
    with atomic.atomic_write(Path("x")) as partial:
        partial.write_text("half")
        {stop if when == "writes" else ""}
environment.run(main)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("stopped")
    assert not list(tmp_path.iterdir())


def test_a_signal_that_was_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch):
    """As SIGHUP is under nohup, and SIGINT in a job in the background."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Watch() as watch:
            os.kill(os.getpid(), signal.SIGHUP)
            assert watch.reason() is None
            monkeypatch.setattr(os, "getppid", lambda: -1)  # another parent than any
            assert watch.reason() == ("because its parent process is gone", 143)
        with Watch(parent=False) as alone:  # which goes on when the shell that began it ends
            assert alone.reason() is None
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC project of one training, and how it ends undisturbed in `whole`."""
    folder = trainings.project(tmp_path_factory.mktemp("writers"), ["magan"])
    trainings.train(folder, "magan", seconds=1000)
    os.rename(folder / OUT, folder / "whole")
    stage = {
        "cmd": f"{sys.executable} {trainings.ROOT}/stages/train.py digits magan 0",
        "deps": ["data/digits"],
        "outs": [OUT],
    }
    with (folder / "dvc.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump({"stages": {"train": stage}}, file)
    dvc(folder, "init", "--no-scm", "--quiet").communicate(timeout=120)
    return folder


def dvc(folder: Path, *words: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DVC_")}
    environment |= {"EBMREPRO_TRACKING": "off", "EBMREPRO_CHECKPOINT_SECONDS": "0"}
    return subprocess.Popen(
        [*DVC, *words],
        cwd=folder,
        env={**environment, "DVC_NO_ANALYTICS": "1", "SHELL": "/bin/bash"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def note(folder: Path) -> Path:
    return folder / ".ebmrepro/running/digits-magan-0.pid"


@pytest.mark.slow
def test_two_repros_at_once_and_an_orphan_of_one_do_no_damage(project: Path):
    """The second one is turned away; of the first, only DVC is killed, and its child stops."""
    first = dvc(project, "repro")
    second = None
    try:
        until(lambda: (project / OUT / "curves.csv").exists(), "the training does not start")
        pid = json.loads(note(project).read_text())["pid"]
        os.kill(pid, signal.SIGSTOP)  # the training waits while the second repro is tried
        second = dvc(project, "repro")
        said, _ = second.communicate(timeout=120)
        assert second.returncode and "is busy" in said and "Traceback" not in said
        # A stage that is started by hand is turned away as well, by our own lock.
        by_hand = trainings.start(project, "magan")
        assert trainings.finish(by_hand) == 2
        (line,) = trainings.said(project).splitlines()
        assert re.match(f"digits magan seed 0 is being written by process {pid} since .*", line)

        first.terminate()
        os.kill(pid, signal.SIGCONT)
        said, _ = first.communicate(timeout=120)
        assert "stopped because its parent process is gone; the last good checkpoint" in said
        until(lambda: not note(project).exists(), "the orphan goes on")
    finally:
        for each in filter(None, (first, second)):
            if each.poll() is None:
                os.killpg(each.pid, signal.SIGKILL)

    last = dvc(project, "repro")
    said, _ = last.communicate(timeout=120)
    assert last.returncode == 0, said
    assert "digits magan seed 0: going on after step" in said
    assert trainings.outputs(project / OUT) == trainings.outputs(project / "whole")


def command(folder: Path, *words: str) -> list[str]:
    done = subprocess.run(
        [*COMMAND, "checkpoints", *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.slow
def test_checkpoints_are_listed_and_pruned_when_nothing_can_use_them(project: Path):
    (line,) = command(project, "ls")
    assert line.startswith("no checkpoints")
    original = (project / "params.yaml").read_text()
    tree = trainings.read_params(project)
    for moves in (False, True):  # a killed training of each of two params.yaml
        tree["digits"]["methods"]["magan"]["hparams"]["margin_moves"] = moves
        trainings.write_params(project, tree)
        trainings.clear(project, "magan")
        child = trainings.start(project, "magan")
        until((project / OUT / "curves.csv").exists, "the training does not start")
        child.kill()
        assert trainings.finish(child) == -signal.SIGKILL
    (project / "params.yaml").write_text(original)  # that of the second

    listed = command(project, "ls")
    assert len(listed) == 2
    for line in listed:
        assert re.fullmatch(
            r"digits magan seed 0, epoch \d of \d, step \d+ of \d+, \d+ s old, [\d.]+ kB, "
            r"cpu-torch-.*, held by nobody",
            line,
        )
    pid, folders = os.getpid(), (project / ".ebmrepro/checkpoints").glob("*/")
    with contextlib.ExitStack() as held:
        for folder in folders:
            held.enter_context(Lock(folder, "digits magan seed 0"))
        pruned = command(project, "prune")
        assert sum(f"held by process {pid} since" in line for line in pruned) == 2
        assert len(command(project, "ls")) == 2
    command(project, "prune")
    (left,) = command(project, "ls")
    (own,) = (project / ".ebmrepro/checkpoints").glob("*/cpu-torch-*")
    shutil.copytree(own, own.with_name("cuda-torch-0.0.1"))  # as a pack brought it home
    command(project, "prune")
    assert len(command(project, "ls")) == 2
    command(project, "prune", "--all")
    (left,) = command(project, "ls")
    assert ", cpu-torch-" in left
    assert "going on after step" in trainings.train(project, "magan")
    (line,) = command(project, "ls")
    assert line.startswith("no checkpoints"), left


@pytest.mark.parametrize("pid", ["abc", None, 10**20])
def test_whoever_wrote_a_strange_note_a_lock_that_is_held_has_a_holder(tmp_path: Path, pid: object):
    with Lock(tmp_path / "x", "digits magan seed 0") as held:
        note = json.loads(held.note.read_text()) | {"pid": pid}
        held.note.write_text(json.dumps(note))
        assert Lock(tmp_path / "x", "").holder() == "another process"


@pytest.mark.parametrize("left", ["old", "9" * 20, ""])
def test_what_no_process_of_ours_left_beside_a_folder_is_left_alone(tmp_path: Path, left: str):
    (beside := tmp_path / f".x.partial-{left}").mkdir()
    with atomic.atomic_folder(tmp_path / "x") as folder:
        (folder / "a").touch()
    assert beside.is_dir() and (tmp_path / "x/a").exists()


def test_a_folder_whose_writer_was_killed_between_two_names_is_put_back(tmp_path: Path):
    (old := tmp_path / ".x.partial-999999999/old").mkdir(parents=True)
    (old / "a").touch()
    with pytest.raises(KeyError), atomic.atomic_folder(tmp_path / "x"):
        raise KeyError
    assert (tmp_path / "x/a").exists() and not old.parent.exists()
