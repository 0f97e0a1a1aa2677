"""`ebmrepro repro --jobs 2`, killed anywhere and typed again, ends as one that nobody disturbed.

`make soak` sets EBMREPRO_SOAK, the number of kills of trainings; here are a fifth as many.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from shell_pipeline import DRIVER, PYTHON, Project, ended
from waiting import PATIENCE, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc"),
]
ROOT = Path(__file__).parents[2]
KILLS = max(3, int(os.environ.get("EBMREPRO_SOAK", "8")) // 5)
REPRO = [*PYTHON, "-m", "ebmrepro", "repro", "--jobs", "2"]
PARTS = 4
STAGES = PARTS + 2
PIPELINE = f"""\
stages:
  data:
    cmd: . ./shell; ran data; mkdir data && sleep 0.05 && echo 1 > data/x
    deps: [code]
    outs: [data]
  part:
    matrix:
      n: {[*range(PARTS)]}
    cmd: >-
      . ./shell; ran part@${{item.n}}; mkdir -p parts/${{item.n}};
      echo half >> parts/${{item.n}}/w; sleep 0.1; echo ${{item.n}} >> parts/${{item.n}}/w
    deps: [code, data]
    outs: ["parts/${{item.n}}"]
  report:
    cmd: . ./shell; ran report; cat parts/*/w > report.md
    deps: [parts]
    metrics:
      - report.md:
          cache: false
"""
# The driver, in which DVC dies while it writes its list of who reads and writes what: at the given
# rewrite, after as many characters.
STRUCK = """
import json, os, runpy, signal, sys, types
import dvc.rwlock
at, kept = map(int, sys.argv[1:3])
def dump(tree, file, count=[0]):
    count[0] += 1
    text = json.dumps(tree)
    file.write(text[:kept] if count[0] == at else text)
    if count[0] == at:
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
dvc.rwlock.json = types.SimpleNamespace(**{**vars(json), "dump": dump})
del sys.argv[:3]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
REWRITES = 2 * STAGES  # of that list, in a whole run: as a stage begins and as it ends


def made(folder: Path) -> Project:
    project = Project(folder, PIPELINE)
    shutil.copy(ROOT / "params.yaml", folder)
    subprocess.run(["git", "init", "-q", folder], check=True)
    return project


def typed(project: Project, command: list[str] = REPRO) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left(project: Project) -> dict[str, bytes]:
    """Everything that a run leaves for the next, but what differs by time and process."""
    folder, names = project.folder, ("dvc.lock", "report.md", "data", "parts")
    paths = [path for name in names for path in (folder / name, *(folder / name).rglob("*"))]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.is_file()}


def begun(project: Project) -> list[str]:
    path = project.folder / "ran"
    return path.read_text().split() if path.exists() else []


def at_work(folder: Path) -> list[str]:
    """Command lines of the processes that work in a folder, whoever started them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it has ended, or is none of ours
    return found


def torn(path: Path) -> bool:
    """Whether a file is there and no JSON."""
    try:
        json.loads(path.read_text())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False


def driver_of(process: subprocess.Popen[str]) -> int | None:
    """What drives DVC for a typed `ebmrepro repro`."""
    with contextlib.suppress(OSError):  # one of them, or it, has just ended
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            if DRIVER[0].encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return None


def strike(project: Project, victim: str, rng: random.Random) -> bool:
    """Run until a kill ends it: of the typed command, of its driver, or of DVC as it writes.

    False if it had ended by then.
    """
    if victim == "list":
        where = [str(rng.randint(1, REWRITES)), str(rng.choice([0, 0, 1, 20]))]
        command = [*PYTHON, "-c", STRUCK, *where, *DRIVER, "--jobs", "2"]
        ended(typed(project, command), -signal.SIGKILL)
        return True
    process, after = typed(project), rng.randrange(STAGES)
    until(lambda: driver_of(process) or process.poll() is not None)
    until(lambda: len(begun(project)) >= after or process.poll() is not None)
    time.sleep(rng.random() * (0.2 if after else 2))  # where none has begun: as DVC is imported
    struck = process.pid if victim == "typed" else driver_of(process)
    alive = bool(struck) and process.poll() is None
    if struck and alive:
        os.kill(struck, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    return alive


def test_killed_at_any_moment_and_typed_again_it_ends_with_the_bytes_of_a_whole_one(
    tmp_path: Path,
):
    whole = made(tmp_path / "whole")
    ended(typed(whole))
    rng, struck = random.Random(0), dict.fromkeys(("typed", "driver", "list"), 0)
    for number in range(KILLS):
        victim = list(struck)[number % 3]
        project = made(tmp_path / str(number))
        struck[victim] += strike(project, victim, rng)
        at_kill = begun(project)
        until(lambda at=project.folder: not at_work(at))  # nobody goes on in its place
        before, locked = begun(project), project.lock() if project.has("dvc.lock") else ""
        half = torn(project.folder / ".dvc/tmp/rwlock")
        told = f"kill {number}, of {victim}, after {at_kill}"
        assert len(before) - len(at_kill) <= 2, f"{told}: begun after it: {before}"

        said = ended(typed(project))
        again = begun(project)[len(before) :]
        assert left(project) == left(whole), f"{told}\n{said}"
        assert not [name for name in again if f"\n  {name}:" in locked], f"{told}: again {again}"
        assert ("rwlock: not JSON" in said) == half, f"{told}\n{said}"
        shutil.rmtree(project.folder)
    assert all(struck.values()), f"a kill that struck nothing: {struck}"
