"""The shipped grid with networks that train in a moment, on the digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from params_file import shipped

from ebmrepro import data
from ebmrepro.config.grid import Grid
from ebmrepro.config.params import Params
from ebmrepro.studies.grid import play, workers
from ebmrepro.studies.grid.play import Played

SHIPPED = shipped()
GRID = SHIPPED.grid("mnist")
SHAPE = (1, 8, 8)


def small(**changes: Any) -> Grid:
    """The shipped grid with networks that train in a moment."""
    tree = GRID.model_dump()
    for kind in ("ebgan", "gan"):
        tree["table"][kind] |= {"sizeG": [6, 10], "sizeD": [5, 7]}
    tree["sweep"] |= {"margins": [1.0, 10.0], "nLayerG": 3, "sizeG": 8, "sizeD": 6}
    tree |= {
        "draw": {"ebgan": 2, "gan": 2, "ebgan_pt": 1, "matched": False},
        "epochs": 1,
        "epoch_fraction": 0.2,
        "z": 4,
    }
    tree["score"] |= {"generated": 40, "best": 9}
    tree["classifier"]["network"] |= {"hidden": [16]}
    tree["classifier"] |= {"epochs": 2}
    return Grid.model_validate({**tree, **changes})


def with_grid(grid: Grid) -> Params:
    """params.yaml whose digits have a grid."""
    digits = SHIPPED.suites["digits"].model_copy(update={"grid": grid, "budget": 1.0})
    return SHIPPED.model_copy(update={"suites": {"digits": digits}})


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits") / "data" / "digits"
    data.prepare("digits", SHIPPED.suites["digits"].data, folder)
    return folder.parents[1]


@pytest.fixture
def here(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the digits' images and nothing else."""
    (tmp_path / "data").symlink_to(digits / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def alone(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, where the stage is its own worker: another process imports torch for seconds."""
    monkeypatch.setattr(workers, "finish", workers.take)
    return here


def whole(*arguments: Any) -> Played:
    """A training that has all turns."""
    turns = play.play(*arguments)
    while True:
        try:
            next(turns)
        except StopIteration as end:
            return end.value


def pictures(n: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *SHAPE), dtype=np.uint8)
