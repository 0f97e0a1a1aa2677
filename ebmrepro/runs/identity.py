"""Which training is which: its resolved parameters, seed, data and code."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ebmrepro import data
from ebmrepro.config import params, training
from ebmrepro.config.documents import ParamsError
from ebmrepro.config.params import Params
from ebmrepro.networks import device, distributed, precision
from ebmrepro.runs.checkpoints import Stored

PACKAGE = Path(__file__).parents[1]
SCHEMA = 3  # of a checkpoint
# What the bytes of a training follow from, besides its method's own file. The stages that train
# name the same in dvc.yaml, and tests/pipeline/test_dvc.py holds both to the imports.
ROOMS = ("config/training.py", "methods/base", "networks", "runs", "training")


def fingerprint(
    suite: str, name: str, seed: int, settings: Params, splits: Mapping[str, Any] | None = None
) -> str:
    """Identity of a training: its resolved parameters, seed, data and code, as hex.

    `splits` is what dataset.json says of them; that of data/<suite> is read if none.
    """
    block = settings.block(suite, name)
    if splits is None:
        splits = data.describe(Path("data") / suite)["splits"]
    return params.digest(
        {
            "schema": SCHEMA,
            "run": [suite, name, seed],
            "params": block.model_dump(),
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


def made_with() -> str:
    """What the bits of a training depend on besides its fingerprint, as the name of a folder."""
    where = device.device()
    kind = "cpu"
    if where.type == "cuda":  # its model too: kernels are chosen by it
        kind = re.sub(r"\W+", "-", torch.cuda.get_device_name(where))
    processes = f"{distributed.count()}-ranks-" if distributed.count() > 1 else ""
    compiled = "compiled-" if precision.compiler() else ""
    return f"{processes}{compiled}{kind}-torch-{torch.__version__}"


def why_unusable(stored: Stored, settings: Params) -> str | None:
    """Why no training of params.yaml would go on from a checkpoint, in words; None if one would."""
    if not stored.made_with.endswith(f"-torch-{torch.__version__}"):
        return f"torch is {torch.__version__} here"
    about = stored.about
    if not about:
        known = {fingerprint(*run, settings) for run in settings.run.trainings if _has_data(run[0])}
        return None if stored.fingerprint in known else "nobody says whose it is"
    suite, name, seed = about["suite"], about["method"], about["seed"]
    try:
        settings.block(suite, name)
    except ParamsError:
        return "params.yaml has no such system"
    if not _has_data(suite):  # then its fingerprint is not known either
        return None
    same = fingerprint(suite, name, seed, settings) == stored.fingerprint
    return None if same else "its parameters, data or code have changed"


def _has_data(suite: str) -> bool:
    return (Path("data") / suite / "dataset.json").exists()
