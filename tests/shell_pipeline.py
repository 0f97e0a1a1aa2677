"""A project whose stages are a few shell commands, with what DVC and the driver make of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from waiting import PATIENCE

from ebmrepro.pipeline import executors

PYTHON = [sys.executable, "-P", "-W", "ignore"]
DRIVER = [str(Path(executors.__file__).with_name("scheduler.py")), "repro"]
DVC = [sys.executable, "-W", "ignore", "-m", "dvc"]

# What a stage's commands may use: a count of runs, and waiting for what a test or a stage does.
SHELL = """\
ran() { echo "$1" >> ran; }
until_there() { while [ ! -e "$1" ]; do sleep 0.05; done; }
until_locked() { while ! grep -qs "$1:" dvc.lock; do sleep 0.05; done; }
"""


class Project:
    """A pipeline of a few shell commands."""

    def __init__(self, folder: Path, pipeline: str):
        folder.mkdir()
        self.folder = folder
        (folder / "dvc.yaml").write_text(pipeline)
        (folder / "params.yaml").write_text("rate: [0.1]\n")
        (folder / "shell").write_text(SHELL)
        (folder / "code").write_text("x\n")
        (folder / ".dvc").mkdir()
        (folder / ".dvc/config").write_text(
            "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
        )
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("DVC_")}
        self.environment |= {"OMP_NUM_THREADS": "1", "SHELL": "/bin/sh", "DVC_NO_ANALYTICS": "1"}

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*PYTHON, *DRIVER, *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, status: int = 0) -> str:
        return ended(self.start(*words), status)

    def dvc(self, *words: str) -> str:
        done = subprocess.run(
            [*DVC, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ran(self) -> list[str]:
        """Commands that ran since the last time that this was asked."""
        path = self.folder / "ran"
        names = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return sorted(names)

    def lock(self) -> str:
        return (self.folder / "dvc.lock").read_text()

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()


def ended(process: subprocess.Popen[str], status: int = 0) -> str:
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == status, said
    return said
