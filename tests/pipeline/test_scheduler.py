"""Stages at once, here and on a Dask cluster, leave what `dvc repro` leaves, also after kills."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shell_pipeline import Project, ended
from waiting import until

from ebmrepro.pipeline import executors, repro

pytestmark = pytest.mark.slow

# With `meet`, m@0 can only end after m@1 has begun, ended and been committed.
MEETING = """\
stages:
  data:
    cmd: . ./shell; ran data; mkdir data && echo 1 > data/x
    deps: [code]
    outs: [data]
  m:
    matrix:
      n: [0, 1]
    cmd: >-
      . ./shell; ran m${item.n}; touch begun${item.n};
      if [ -e meet ]; then until_there begun0; until_there begun1; fi;
      if [ -e meet ] && [ ${item.n} = 0 ]; then until_locked m@1; fi;
      mkdir -p models/${item.n} && echo "${item.n} $OMP_NUM_THREADS" > models/${item.n}/w
    deps: [code, data]
    params: [rate]
    outs: ["models/${item.n}"]
  report:
    cmd: . ./shell; ran report; cat models/*/w > report.md
    deps: [models]
    metrics:
      - report.md:
          cache: false
"""
# `slow` waits for `go`, and says when it is asked to stop.
WAITING = """\
stages:
  quick:
    cmd: . ./shell; ran quick; echo 1 > quick.txt
    deps: [code]
    outs: [quick.txt]
  slow:
    cmd: >-
      . ./shell; ran slow; trap 'touch stopped; exit 1' TERM; touch slow-begun;
      until_there go; echo 2 > slow.txt
    deps: [code]
    outs: [slow.txt]
  after:
    cmd: . ./shell; ran after; cat slow.txt > after.txt
    deps: [slow.txt]
    outs: [after.txt]
"""


@contextlib.contextmanager
def ending(*commands: list[str], folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes for the time of this context; what they say goes to files."""
    started = []
    for number, command in enumerate(commands):
        with (folder / f"process-{number}").open("w") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT
            )
        started.append(process)
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()


@pytest.fixture(scope="module")
def sequential(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The pipeline MEETING after plain `dvc repro`."""
    project = Project(tmp_path_factory.mktemp("dvc") / "project", MEETING)
    project.dvc("repro")
    return project


def test_independent_stages_run_at_once_and_leave_what_dvc_leaves(
    sequential: Project, tmp_path: Path
):
    project = Project(tmp_path / "project", MEETING)
    (project.folder / "meet").touch()
    said = project.run("--jobs", "2")
    told = re.findall(r"(?m)^(\d)/4 (\S+): \d+ s(?:, about \d+ s left)?$", said)
    assert [n for n, _ in told] == ["1", "2", "3", "4"]
    assert [stage for _, stage in told] == ["data", "m@1", "m@0", "report"]
    assert project.ran() == ["data", "m0", "m1", "report"]
    assert project.lock() == sequential.lock()
    for path in ("data/x", "models/0/w", "models/1/w", "report.md"):
        assert (project.folder / path).read_bytes() == (sequential.folder / path).read_bytes()
    assert not project.has(".dvc/tmp/ebmrepro-jobs.json")
    assert not list((project.folder / ".ebmrepro/jobs").iterdir())

    # DVC finds nothing to do, nor do we; an edit reruns what reads it; taken back, nothing runs.
    assert "up to date" in project.dvc("status")
    (project.folder / "params.yaml").write_text("rate: [0.2]\n")
    project.run("--jobs", "2", "m@1")
    assert project.ran() == ["m1"]
    (project.folder / "params.yaml").write_text("rate: [0.1]\n")
    said = project.run("--jobs", "2")
    assert re.search(r"(?m)^\d/4 m@1: taken from DVC's cache", said)
    assert sum(map(int, re.findall(r"(?m)^\d/4 (\d) stages? unchanged$", said))) == 3
    assert project.ran() == [] and project.lock() == sequential.lock()


def test_a_failed_stage_is_named_and_what_does_not_need_it_is_done(tmp_path: Path):
    project = Project(
        tmp_path / "project", WAITING.replace("until_there go;", "echo why; test -e go &&")
    )
    said = project.run("--jobs", "2", status=255)
    assert project.ran() == ["quick", "slow"] and not project.has("after.txt")
    assert "failed to reproduce 'slow'; 1 that depend on them were not run" in said
    assert "/3 slow: failed" in said and "\n    why\n" in said
    assert (project.folder / ".ebmrepro/jobs/slow.log").read_text() == "why\n"
    (project.folder / "go").touch()
    project.run("--jobs", "1")
    assert project.ran() == ["after", "slow"]


def test_one_by_one_a_stage_talks_while_it_runs(tmp_path: Path):
    project = Project(tmp_path / "project", WAITING.replace("touch slow-begun;", "echo on my way;"))
    driver = project.start("--jobs", "1")
    assert driver.stdout is not None
    heard = iter(driver.stdout.readline, "")
    assert "on my way\n" in heard
    (project.folder / "go").touch()
    assert "3/3 after: 0 s\n" in ended(driver)
    assert json.loads((project.folder / ".ebmrepro/seconds.json").read_text()).keys() == {
        "quick",
        "slow",
        "after",
    }


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_after_the_driver_was_killed_only_what_is_missing_runs(tmp_path: Path, number: int):
    project = Project(tmp_path / "project", WAITING)
    driver = project.start("--jobs", "2")
    until(lambda: project.has("dvc.lock") and "quick" in project.lock())
    until(lambda: project.has("slow-begun"))
    driver.send_signal(number)
    ended(driver, 128 + number if number == signal.SIGTERM else -number)
    until(lambda: project.has("stopped"))  # the stage was told, and not left to itself
    assert project.ran() == ["quick", "slow"]
    (project.folder / "go").touch()
    project.run("--jobs", "2")
    assert project.ran() == ["after", "slow"]
    assert "up to date" in project.dvc("status")


def test_a_worker_without_ebmrepro_reads_what_it_is_sent():
    """By value, with all of ours that it calls."""
    distributed: Any = pytest.importorskip("distributed")
    cloudpickle: Any = pytest.importorskip("cloudpickle")
    alone = {"n_workers": 0, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(protocol="tcp://", host="127.0.0.1", **alone) as cluster:
        executors.Cluster(cluster.scheduler_address, None).client.close()
    sent = cloudpickle.dumps(executors.on_worker)
    read = (
        "import pickle, sys; sys.modules['ebmrepro'] = None\n"
        "print(pickle.loads(sys.stdin.buffer.read()).__globals__['cores']())"
    )
    done = subprocess.run([sys.executable, "-I", "-c", read], input=sent, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) >= 1


CLUSTER = """
import sys, distributed
with distributed.LocalCluster(
    n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", host="127.0.0.1",
    dashboard_address=None,
) as cluster:
    with open(sys.argv[1] + ".part", "w") as file:
        file.write(cluster.scheduler_address)
    __import__("os").rename(sys.argv[1] + ".part", sys.argv[1])
    sys.stdin.read()
"""


def test_a_local_cluster_leaves_the_same_and_a_killed_driver_stops_its_stages(
    sequential: Project, tmp_path: Path
):
    told = tmp_path / "address"
    command = [sys.executable, "-W", "ignore", "-c", CLUSTER, str(told)]
    with ending(command, folder=tmp_path):
        project = Project(tmp_path / "project", MEETING)
        (project.folder / "meet").touch()
        until(told.exists)
        address = told.read_text()
        project.run("--scheduler", address)
        assert project.ran() == ["data", "m0", "m1", "report"]
        assert project.lock() == sequential.lock()

        project = Project(tmp_path / "killed", WAITING)
        driver = project.start("--scheduler", address)
        until(lambda: project.has("slow-begun"))
        driver.kill()
        ended(driver, -signal.SIGKILL)
        until(lambda: project.has("stopped"))


def test_a_worker_of_its_own_process_that_dies_fails_its_stage_alone(tmp_path: Path):
    contact = tmp_path / "scheduler.json"
    python = [sys.executable, "-W", "ignore", "-m"]
    scheduler = [*python, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    scheduler += ["--no-dashboard", "--scheduler-file", str(contact)]
    worker = [*python, "distributed.cli.dask_worker", "--scheduler-file", str(contact)]
    worker += ["--no-nanny", "--nthreads", "1", "--no-dashboard"]
    worker += ["--local-directory", str(tmp_path)]
    with ending(scheduler, worker, worker, folder=tmp_path) as started:
        until(contact.exists)
        until(lambda: contact.read_text().endswith("}"))
        address = json.loads(contact.read_text())["address"]
        repro = WAITING.replace("touch slow-begun", "echo $$ > slow-begun; echo $PPID > worker")
        project = Project(tmp_path / "project", repro)
        driver = project.start("--scheduler", address, "--jobs", "2")
        until(lambda: project.has("worker") and project.has("quick.txt"))
        launcher = int((project.folder / "worker").read_text())
        at_work = parent(launcher)
        next(each for each in started if each.pid == at_work).kill()
        said = ended(driver, 255)
        assert "failed to reproduce 'slow'; 1 that depend" in said and "is gone" in said
        until(lambda: project.has("stopped"))
        assert project.ran() == ["quick", "slow"]
        (project.folder / "go").touch()
        project.run("--scheduler", address)
        assert project.ran() == ["after", "slow"]
        assert "up to date" in project.dvc("status")


def parent(process: int) -> int:
    told = subprocess.run(["ps", "-o", "ppid=", "-p", str(process)], capture_output=True, text=True)
    return int(told.stdout)


def test_a_scheduler_that_is_not_there_is_named(tmp_path: Path):
    project = Project(tmp_path / "project", WAITING)
    said = project.run("--scheduler", "somewhere://", status=2)
    assert said.startswith("--scheduler: no Dask scheduler at 'somewhere://'")
    assert len(said.splitlines()) == 1


def test_a_stage_has_the_threads_that_dvc_would_give_it(tmp_path: Path):
    """The bits of sums follow from their number; see `executors.py`."""
    for set_by_user in (None, "5"):
        log = tmp_path / f"{set_by_user}.log"
        environment = {"PATH": os.environ["PATH"], "EBMREPRO_DEVICE": "cpu"}
        if set_by_user:
            environment["OMP_NUM_THREADS"] = set_by_user
        line = ["/bin/sh", "-c", "echo $OMP_NUM_THREADS; exit 3"]
        command = executors.Command(line, str(tmp_path), environment, str(log))
        assert executors.Here(2).run(command) == 3
        assert log.read_text().split() == [*filter(None, [set_by_user])]


def test_threads_that_wait_sleep_where_stages_run_side_by_side(monkeypatch: pytest.MonkeyPatch):
    """Also in the server, of whose OpenMP a fork has a copy."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert repro.environment(2)["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "OMP_WAIT_POLICY" not in repro.environment(1)
    assert "OMP_WAIT_POLICY" not in repro.environment(None)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert repro.environment(2)["OMP_WAIT_POLICY"] == "ACTIVE"


def test_each_job_has_a_gpu_and_several_share_them_evenly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho GPU-a\necho GPU-b\necho GPU-c\n")
    program.chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}

    def given(**settings: str) -> str | None:
        environment = {**path, **settings}
        held.enter_context(executors.own_gpu(environment, 4))
        return environment.get("CUDA_VISIBLE_DEVICES")

    with contextlib.ExitStack() as held:
        assert [given() for _ in range(4)] == ["GPU-a", "GPU-b", "GPU-c", "GPU-a"]
    with contextlib.ExitStack() as held:
        assert [given(CUDA_VISIBLE_DEVICES="2,1") for _ in range(3)] == ["GPU-c", "GPU-b", "GPU-c"]
        assert given(CUDA_VISIBLE_DEVICES="1") == "1"  # a batch system has chosen
        assert given(EBMREPRO_DEVICE="cpu") is None
        assert given(EBMREPRO_DEVICE="cuda:1") is None
    assert executors.gpus({"PATH": str(tmp_path / "nothing")}) == []
    for hidden, seen in (("-1", []), ("", []), ("1,-1,2", ["GPU-b"]), ("GPU-c", ["GPU-c"])):
        assert executors.gpus({**path, "CUDA_VISIBLE_DEVICES": hidden}) == seen
    assert executors.together({**path, "CUDA_VISIBLE_DEVICES": "-1"}) == 1


def test_a_damaged_configuration_of_dvc_is_named_in_a_line(tmp_path: Path):
    project = Project(tmp_path / "p", MEETING)
    (project.folder / ".dvc/config.local").write_text("[")
    del project.environment["DVC_NO_ANALYTICS"]  # for which DVC reads it where nothing catches
    said = project.run(status=2)
    assert "Traceback" not in said and ".dvc/config or .dvc/config.local: config file error" in said
