"""What a training's identity is made of: numbers, seed, data and code. It needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ebmrepro.config import params, training
from ebmrepro.config.params import Params

PACKAGE = Path(__file__).parents[1]
SCHEMA = 3  # of a checkpoint
# What the bytes of a training follow from, besides its method's own file. The stages that train
# name the same in dvc.yaml, and tests/pipeline/test_dvc.py holds both to the imports.
ROOMS = ("config/training.py", "methods/base", "networks", "runs", "training")


def of(suite: str, name: str, seed: int, settings: Params, splits: Mapping[str, Any]) -> str:
    """Of a training on the data of which dataset.json says `splits`, as hex."""
    return params.digest(
        {
            "schema": SCHEMA,
            "run": [suite, name, seed],
            "params": settings.block(suite, name).model_dump(),
            "data": splits,
            "code": code([*ROOMS, f"methods/{training.base(name)}.py"]),
        }
    )


def code(rooms: Sequence[str]) -> dict[str, str]:
    """sha256 of every Python file of some rooms and files of the package."""
    places = [PACKAGE / room for room in rooms]
    files = {f for p in places for f in (p.rglob("*.py") if p.is_dir() else [p])}
    return {
        path.relative_to(PACKAGE).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
    }
