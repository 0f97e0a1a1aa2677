"""`dvc repro` by our own driver, with the costly imports done once for all stages."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ebmrepro.pipeline import before, executors
from ebmrepro.system.errors import UserError

DRIVER = [sys.executable, "-P", str(Path(__file__).with_name("scheduler.py"))]
PATIENCE = 5.0  # seconds that the server has to go when it is told
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LONGEST = 107  # bytes of a Unix socket's address, unix(7)
LINUX = sys.platform.startswith("linux")  # elsewhere a Unix socket has no messages


def repro(
    root: Path, arguments: Sequence[str], jobs: int | None = None, scheduler: str | None = None
) -> int:
    """Run `dvc repro` in the project at `root` and return its exit status.

    Args:
        jobs: stages to run at once; None is one by one, or as many trainings as take turns in one
            process.
        scheduler: address of a Dask cluster that runs them.

    Raises:
        UserError: `root` holds no pipeline, or Dask is not installed.
    """
    before.in_project(root, "dvc.yaml")
    before.in_git(root)
    before.heal(root)
    if scheduler is not None and importlib.util.find_spec("distributed") is None:
        raise UserError("--scheduler needs Dask, which is not installed: pip install distributed")
    around = environment(jobs)
    if scheduler is None and LINUX:
        at_once = executors.together(around)
        around["EBMREPRO_TOGETHER"] = str(at_once)
    places = [] if scheduler is None else ["--scheduler", scheduler]
    if jobs is not None or scheduler is None:
        places += ["--jobs", str(jobs or 1)]
    with warm(root, around) as warmed:
        return attended([*DRIVER, *places, "repro", *arguments], root, warmed)


def attended(
    command: Sequence[str], root: Path, environment: Mapping[str, str], hushed: str = ""
) -> int:
    """Run a command to its end, with the signals that come meanwhile; its exit status.

    With `hushed`, a pattern, what it says goes to stderr, but for lines in which that is found.
    """
    streams: dict[str, Any] = {}
    if hushed:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        streams |= {"text": True, "errors": "replace"}
    tied = functools.partial(_end_with, os.getpid()) if LINUX else None
    process = subprocess.Popen(command, cwd=root, env=environment, preexec_fn=tied, **streams)

    def pass_on(number: int, _: object) -> None:
        # Ctrl-C reaches it by itself: the terminal sends it to everyone.
        if number != signal.SIGINT:
            process.send_signal(number)

    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, pass_on) for number in numbers}
    with process:
        for line in process.stdout or ():
            if not re.search(hushed, line):
                sys.stderr.write(line)
                sys.stderr.flush()
        status = process.wait()
    for number, handler in before.items():
        signal.signal(number, handler)
    return 128 - status if status < 0 else status


def _end_with(parent: int) -> None:
    """Of a process that begins: SIGTERM as soon as its parent is gone, however it went.

    A driver that went on alone would begin stages that nobody waits for.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGTERM)


def environment(jobs: int | None) -> dict[str, str]:
    """What DVC, the stages and the server that they are forked from are started in."""
    # Whatever `python` a stage is started with is the one of this environment.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    around = {**os.environ, "PATH": path}
    if jobs is not None and jobs > 1:
        # Stages side by side may have more threads than there are cores: those that wait shall
        # sleep. The server needs it too, for a fork goes on with the OpenMP that it has loaded.
        around.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return around


@contextlib.contextmanager
def warm(root: Path, environment: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The environment in which stages find a server to be forked from; see forkserver.py."""
    if not LINUX:
        yield environment
        return
    with tempfile.TemporaryDirectory(prefix="ebmrepro-") as private:  # only its owner may enter
        address = str(Path(private) / "warm")
        if len(os.fsencode(address)) > LONGEST:  # TMPDIR is deep: each stage imports for itself
            yield environment
            return
        server = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("forkserver.py")), address],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the stages, which it reaches through dvc
        )
        assert server.stdin is not None
        try:
            yield {**environment, "EBMREPRO_WARM": address}
        finally:
            server.stdin.close()
            try:
                server.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
