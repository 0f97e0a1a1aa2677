"""Stages that one process trains end, and leave, what they do alone."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trainings
from waiting import PATIENCE, until

from ebmrepro.pipeline import executors, forkserver, gathered

ROOT = trainings.ROOT
NAMES = ["began", "ebgan", "magan"]  # began comes to nothing: its rate is far too high
PIPELINE = """\
stages:
  train:
    matrix: {name: [ebgan, began, magan]}
    cmd: python stages/train.py digits ${item.name} 0
    deps: [data/digits]
    outs: ["models/digits/${item.name}/0"]
  after:
    cmd: cat models/digits/*/0/run.json > after.txt
    deps: [models/digits/ebgan/0, models/digits/magan/0]
    outs: [after.txt]
"""
REPRO = "import sys; from pathlib import Path; from ebmrepro.pipeline import repro; "
REPRO += "sys.exit(repro.repro(Path(), []))"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = trainings.project(tmp_path_factory.mktemp("project") / "p", NAMES)
    tree = trainings.read_params(folder)
    tree["digits"]["budget"] = 0.3
    tree["digits"]["methods"]["began"]["optim"]["D"]["lr"] = 1e12
    trainings.write_params(folder, tree)
    for name in ("ebgan", "magan"):
        trainings.train(folder, name)
    return folder


@pytest.fixture
def project(alone: Path, tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("models", ".ebmrepro", "*.txt")
    folder = shutil.copytree(alone, tmp_path / "p", ignore=ignored)
    shutil.copytree(ROOT / "stages", folder / "stages")
    (folder / "ebmrepro").symlink_to(ROOT / "ebmrepro")
    return folder


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "EBMREPRO_"))}
    kept["PATH"] = f"{Path(sys.executable).parent}:{kept['PATH']}"
    kept |= {"EBMREPRO_DEVICE": "cpu", "EBMREPRO_TRACKING": "off", "DVC_NO_ANALYTICS": "1"}
    return kept | {"EBMREPRO_TOGETHER": "3", **more}


def holders(project: Path) -> list[int]:
    """Processes that train, one for each training."""
    found = []
    for note in (project / ".ebmrepro/running").glob("*.pid"):
        try:
            found.append(json.loads(note.read_text())["pid"])
        except (OSError, ValueError):  # being written, or gone
            continue
    return found


def same(name: str, alone: Path, project: Path) -> bool:
    whole, found = (trainings.outputs(trainings.out(p, name)) for p in (alone, project))
    return "model.safetensors" in found and found == whole


@pytest.mark.slow
def test_repro_trains_ready_stages_in_one_process_to_what_they_are_alone(
    alone: Path, project: Path
):
    (project / "dvc.yaml").write_text(PIPELINE)
    (project / ".dvc").mkdir()
    (project / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    subprocess.run(["git", "init", "-q", project], check=True)
    with (project / "said").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", REPRO],
            cwd=project,
            env=environment(),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    pids: list[int] = []

    def beside() -> bool:
        nonlocal pids
        pids = max(pids, holders(project), key=len)
        return len(pids) > 1 or process.poll() is not None

    until(beside)
    status, said = process.wait(PATIENCE), (project / "said").read_text()
    assert len(pids) > 1 and len(set(pids)) == 1, said
    assert status == 255 and "failed to reproduce 'train@began'; what they said" in said, said
    assert same("ebgan", alone, project) and same("magan", alone, project)
    told = (project / ".ebmrepro/jobs/train@began.log").read_text().splitlines()
    assert len(told) == 1 and told[0].startswith("began: ")
    assert re.search(r"\d/4 train@ebgan: .*\n    digits ebgan seed 0: ", said)
    provenance = [json.loads(p.read_text()) for p in (project / ".ebmrepro/provenance").iterdir()]
    assert {each["stage"] for each in provenance} == {"train@ebgan", "train@magan"}
    lock = (project / "dvc.lock").read_text()
    assert (project / "after.txt").exists() and "train@magan:" in lock and "began" not in lock


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Path]:
    address = tmp_path / "socket"
    command = [sys.executable, "-P", forkserver.__file__, str(address)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        until(address.exists)
        yield address
    assert process.returncode == 0


def started(project: Path, server: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "stages/train.py", "digits", name, "0"],
        cwd=project,
        env=environment(EBMREPRO_WARM=str(server), DVC_STAGE=f"train@{name}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_signal_to_one_stage_stops_it_alone_and_a_killed_one_is_not_trained_on(
    alone: Path, project: Path, server: Path
):
    ebgan, magan = (started(project, server, name) for name in ("ebgan", "magan"))
    until(lambda: (trainings.out(project, "ebgan") / "curves.csv").exists())
    ebgan.send_signal(signal.SIGINT)
    _, error = ebgan.communicate(timeout=PATIENCE)
    assert ebgan.returncode == 130
    assert error.startswith("digits ebgan seed 0: stopped by SIGINT; the last good checkpoint")
    assert error.endswith("`dvc repro` goes on from there\n")
    ebgan = started(project, server, "ebgan")
    until(lambda: len(holders(project)) == 2 or magan.poll() is not None)
    ebgan.kill()
    ebgan.communicate()
    assert magan.communicate(timeout=PATIENCE)[1] == "" and magan.returncode == 0
    until(lambda: not holders(project))
    ebgan = started(project, server, "ebgan")
    out, error = ebgan.communicate(timeout=PATIENCE)
    assert (ebgan.returncode, error) == (0, "") and "going on after step" in out
    assert same("ebgan", alone, project) and same("magan", alone, project)


@pytest.mark.slow
def test_a_process_that_dies_ends_its_stages_and_the_next_go_on(
    alone: Path, project: Path, server: Path
):
    stages = [started(project, server, name) for name in ("ebgan", "magan")]
    until(lambda: len(holders(project)) == 2)
    os.kill(holders(project)[0], signal.SIGKILL)
    for stage in stages:
        assert "is gone; `ebmrepro repro` goes on" in stage.communicate(timeout=PATIENCE)[1]
        assert stage.returncode == 1
    stage = started(project, server, "magan")
    assert stage.communicate(timeout=PATIENCE)[1] == "" and stage.returncode == 0
    assert same("magan", alone, project)


@pytest.mark.parametrize(
    ("error", "code"),
    [(None, 0), (SystemExit(143), 143), (SystemExit("said"), 1), (BrokenPipeError(), 1)],
)
def test_an_end_has_its_exit_code(error: BaseException | None, code: int):
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = {"argv": ["stages/pretrain.py", "digits", "3"], "environment": {}}
    out, silent = os.pipe(), os.pipe()
    stage = gathered.Stage(json.dumps(request).encode(), out[1], silent[1], there.detach())
    assert stage.words == ["digits", "dbn", "3"] and stage.reason() is None
    os.close(silent[0])
    with contextlib.suppress(BrokenPipeError):
        stage.error.write("to nobody\n")
    stage.end(error)
    assert here.recv(2) == bytes([0, code]) and here.recv(2) == b""
    here.close()
    os.close(out[0])


def test_trainings_have_places_of_their_own_on_each_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(executors, "gpus", lambda environment: ["a", "b"])
    monkeypatch.setenv("EBMREPRO_WARM", "somewhere")
    train, other = "python stages/train.py mnist ebgan 0", "python stages/evaluate.py mnist ebgan"
    monkeypatch.setenv("EBMREPRO_DEVICE", "cuda")
    place = executors.Here(2)
    assert place.count() == {False: 2, True: 16}
    assert place.shares(train) and not place.shares(other) and not place.shares(None)
    monkeypatch.setenv("EBMREPRO_TOGETHER", "3")
    assert executors.Here(2).count()[True] == 6
    monkeypatch.delenv("EBMREPRO_TOGETHER")
    for name, value in (("EBMREPRO_DEVICE", "cpu"), ("EBMREPRO_WARM", None)):
        with monkeypatch.context() as there:
            there.setenv(name, value) if value else there.delenv(name)
            place = executors.Here(2)
            assert place.count() == {False: 2, True: 0} and not place.shares(train)


def test_trainings_of_another_folder_or_environment_are_not_trained_together():
    def request(*words: str, cwd: str = "/p", **more: str) -> dict[str, object]:
        argv = [f"stages/{words[0]}.py", *words[1:]]
        return {"argv": argv, "cwd": cwd, "environment": {"EBMREPRO_TOGETHER": "2", **more}}

    one = request("train", "digits", "ebgan", "0", DVC_STAGE="a")
    same = [request("train", "digits", "ebgan", "1", DVC_STAGE="b"), request("pretrain", "d", "0")]
    assert {forkserver._crew(each) for each in [one, *same]} == {forkserver._crew(one)}
    other = [
        request("train", "digits", "ebgan", "0", cwd="/q"),
        request("train", "digits", "ebgan", "0", CUDA_VISIBLE_DEVICES="1"),
        request("train", "digits", "ebgan", "x"),
        request("train", "digits", "ebgan", "0", "--help"),
        request("evaluate", "digits", "ebgan", "0"),
        request("train", "digits", "ebgan", "0", EBMREPRO_TOGETHER="1"),
    ]
    found = [forkserver._crew(each) for each in other]
    assert found[2:] == [None] * 4 and None not in found[:2]
    assert len({*found[:2], forkserver._crew(one)}) == 3
