"""Pictures of a training that its results keep, so that a report of carried ones needs no model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ebmrepro.config.evaluation import Paths
from ebmrepro.config.optimisers import Adam
from ebmrepro.config.params import Params
from ebmrepro.evaluation import interpolation
from ebmrepro.networks import images
from ebmrepro.system import atomic, reading

FIRST = 10  # images of a grid that are kept, not picked


def progress(trained: Path, out: Path, shape: tuple[int, int, int]) -> None:
    """Write progress.npz: the `steps` (K,) at which a training drew its fixed z, and the first
    `images` of each of these grids, uint8 (K, FIRST, C, H, W). Nothing where it drew none.

    Raises:
        UserError: a grid is damaged, or one of other images.
    """
    drawn = {}
    for path in (trained / "samples").glob("step_[0-9]*.png"):
        with reading.opened(path, "not a grid of its images"):
            drawn[int(path.stem.removeprefix("step_"))] = images.tiles(
                reading.pixels(path), shape, FIRST
            )
    if drawn:
        steps = sorted(drawn)
        kept = {"steps": np.array(steps), "images": np.stack([drawn[step] for step in steps])}
        with atomic.atomic_write(out / "progress.npz") as partial:
            np.savez_compressed(partial, allow_pickle=False, **kept)


def paths(out: Path, trained: tuple[str, str, int], settings: Params, asked: Paths) -> None:
    """Write paths.png, a grid of `interpolation.write`, drawn by the training's seed."""
    optim = Adam(name="adam", lr=asked.lr, beta1=0.9, beta2=0.999)
    how = (asked.rows, asked.between, asked.steps, optim)
    interpolation.write(out / "paths.png", trained, settings, *how, draw=trained[2])
