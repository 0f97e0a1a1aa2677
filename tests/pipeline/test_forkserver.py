"""A stage that is forked from a process with torch imported is the stage it would be without."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import until

pytestmark = pytest.mark.slow

STAGES = Path(__file__).parents[2] / "stages"
WARM = STAGES.parent / "ebmrepro/pipeline/forkserver.py"

# A stage script like the project's own, with a life that a test can direct.
STAGE = """
import environment

import os
import signal
import sys
import time

if sys.argv[1] == "tell":
    print(sys.argv[1:], os.getcwd(), os.environ.get("WORD"), "EBMREPRO_WARM" in os.environ)
    print("torch" in sys.modules, sys.path[0], file=sys.stderr)
    sys.exit(7)
if sys.argv[1] == "wait":
    def stop(number, frame):
        open("stopped", "w").write(str(number))
        sys.exit(128 + number)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    open("started", "w").write(str(os.getpid()))
    time.sleep(60)
if sys.argv[1] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "fail":
    raise RuntimeError("as it would without")
"""


Server = tuple[subprocess.Popen[bytes], Path]


@contextlib.contextmanager
def serving(address: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-P", str(WARM), str(address)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        until(address.exists)
        yield process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    address = tmp_path_factory.mktemp("warm") / "socket"
    with serving(address) as process:
        yield process, address
    assert process.returncode == 0  # it went when its standard input ended


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stages").mkdir()
    shutil.copy2(STAGES / "environment.py", tmp_path / "stages")
    (tmp_path / "stages/probe.py").write_text(STAGE)
    return tmp_path


class Stage:
    """A stage at work: cold without an address; what it says goes to files."""

    def __init__(self, folder: Path, address: Path | None, *words: str):
        environment = {**os.environ, "WORD": "heard"}
        if address is not None:
            environment["EBMREPRO_WARM"] = str(address)
        name = "warm" if address else "cold"
        self.out, self.error = (folder / f"{name}.{stream}" for stream in ("out", "err"))
        with self.out.open("w") as out, self.error.open("w") as error:
            command = [sys.executable, "stages/probe.py", *words]
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=out, stderr=error
            )

    def end(self) -> int:
        return self.process.wait(60)


def test_a_warm_stage_says_and_returns_what_a_cold_one_does(server: Server, folder: Path):
    cold, warm = (Stage(folder, a, "tell", "--x", "a b") for a in (None, server[1]))
    assert (warm.end(), cold.end()) == (7, 7)
    assert warm.out.read_text() == cold.out.read_text()
    assert warm.out.read_text() == f"{['tell', '--x', 'a b']} {folder} heard False\n"
    # What differs is that torch is there already; the package is that of the stage's own checkout.
    assert cold.error.read_text() == f"False {folder}\n"
    assert warm.error.read_text() == f"True {folder}\n"


def test_an_error_in_a_warm_stage_ends_as_it_does_in_a_cold_one(server: Server, folder: Path):
    stages = [Stage(folder, a, "fail") for a in (None, server[1])]
    assert [stage.end() for stage in stages] == [1, 1]
    last = [stage.error.read_text().splitlines()[-1] for stage in stages]
    assert last == ["RuntimeError: as it would without"] * 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_stage_reaches_its_fork(
    server: Server, folder: Path, number: signal.Signals
):
    stage = Stage(folder, server[1], "wait")
    until((folder / "started").exists)
    stage.process.send_signal(number)
    assert stage.end() == 128 + number
    assert (folder / "stopped").read_text() == str(int(number))


def test_a_fork_that_was_killed_kills_the_stage_the_same_way(server: Server, folder: Path):
    assert Stage(folder, server[1], "die").end() == -signal.SIGKILL


def test_a_fork_whose_stage_was_killed_is_told_to_stop(server: Server, folder: Path):
    stage = Stage(folder, server[1], "wait")
    until(lambda: (folder / "started").exists() and (folder / "started").read_text())
    stage.process.kill()
    stage.end()
    until((folder / "stopped").exists)
    fork = int((folder / "started").read_text())
    until(lambda: not Path(f"/proc/{fork}").exists())  # and it leaves no zombie


def test_without_a_server_a_stage_starts_by_itself(folder: Path):
    stage = Stage(folder, folder / "nobody", "tell")
    assert stage.end() == 7
    assert stage.error.read_text().split()[0] == "False"


def test_a_server_that_is_told_to_go_stops_what_is_left(folder: Path, tmp_path: Path):
    with serving(tmp_path / "socket") as server:
        stage = Stage(folder, tmp_path / "socket", "wait")
        until((folder / "started").exists)
        assert server.stdin is not None
        server.stdin.close()
        until((folder / "stopped").exists)
        assert stage.end() == 1


def test_a_server_that_dies_does_not_leave_its_stages_waiting(folder: Path, tmp_path: Path):
    with serving(tmp_path / "socket") as server:
        stage = Stage(folder, tmp_path / "socket", "wait")
        until(lambda: (folder / "started").exists() and (folder / "started").read_text())
        server.kill()
        fork = int((folder / "started").read_text())
        os.kill(fork, signal.SIGTERM)  # a training watches its parent and stops by itself
        assert stage.end() == 1
        assert "`ebmrepro repro` goes on" in stage.error.read_text()
