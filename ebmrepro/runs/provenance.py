"""What belongs to the machine and moment of a training; beside the results, never inside them."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import torch

from ebmrepro import __version__
from ebmrepro.networks import device, distributed, precision
from ebmrepro.runs.layout import root
from ebmrepro.system.atomic import write_json

MADE = (":!results", ":!reports", ":!dvc.lock")  # by what is committed, and not the other way


class Start(NamedTuple):
    """Of a training, or of its last part: the code that it runs is that of this moment."""

    time: datetime
    commit: str | None


def start() -> Start:
    """Of what begins now."""
    return Start(datetime.now(UTC), commit())


def write_provenance(identity: str, started: Start, seconds: float, shown: int) -> None:
    """After a resume, `started` and `seconds` are those of the part that ended the run.

    Of one that took turns with others in its process `seconds` are those of its own turns, so that
    those of all add up; on a GPU they may be less than it would take alone.
    """
    path = root() / ".ebmrepro" / "provenance" / f"{identity}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    where = device.device()
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else platform.processor()
    write_json(
        path,
        {
            "device": f"{where.type} {name}".strip(),
            "threads": torch.get_num_threads(),
            "ranks": distributed.count(),
            "compiled": precision.compiler() is not None,
            "seconds": round(seconds, 2),
            "images_per_second": round(shown / seconds, 1),
            "started": started.time.isoformat(timespec="seconds"),
            "stage": os.environ.get("DVC_STAGE"),
            "experiment": os.environ.get("DVC_EXP_NAME"),
            "commit": started.commit,
            "versions": {
                "ebmrepro": __version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
            },
        },
    )


def commit() -> str | None:
    """That of the repository, and whether what a result follows from is as committed; None without
    git. Results themselves may differ: what is measured meanwhile is written beside them.
    """
    head = _git("rev-parse", "HEAD")
    if not head:
        return None
    return f"{head}-dirty" if _git("status", "--porcelain", "-uno", "--", ".", *MADE) else head


def _git(*command: str) -> str:
    try:
        done = subprocess.run(["git", *command], capture_output=True, text=True, cwd=root())
    except OSError:  # no git
        return ""
    return done.stdout.strip()
