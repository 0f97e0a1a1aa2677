"""Which training is which: its resolved parameters, seed, data and code."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from ebmrepro import data
from ebmrepro.config.documents import ParamsError
from ebmrepro.config.params import Params
from ebmrepro.networks import device, distributed, precision
from ebmrepro.runs import fingerprints
from ebmrepro.runs.checkpoints import Stored


def fingerprint(suite: str, name: str, seed: int, settings: Params) -> str:
    """That of a training on data/<suite>."""
    settings.block(suite, name)  # a name that does not exist is told before data that do not
    splits = data.describe(Path("data") / suite)["splits"]
    return fingerprints.of(suite, name, seed, settings, splits)


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
