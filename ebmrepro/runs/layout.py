"""Where a run's files lie."""

from __future__ import annotations

import os
import re
from pathlib import Path

SEED = re.compile("0|[1-9][0-9]{0,9}")  # the name of a run's folder


def folder(suite: str, name: str, seed: int) -> Path:
    """What its training leaves."""
    return Path("models") / suite / name / str(seed)


def results(suite: str, name: str, seed: int) -> Path:
    """What its evaluation leaves."""
    return Path("results") / suite / name / str(seed)


def root() -> Path:
    """The repository itself, also from the temporary workspace of an experiment."""
    return Path(os.environ.get("DVC_ROOT", "."))
