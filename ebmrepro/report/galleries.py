"""Grids of images as the tiles of a gallery."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ebmrepro.networks import images
from ebmrepro.report import numbers, pictures
from ebmrepro.report.blocks import Tile
from ebmrepro.report.gather import SHOWN, Array, Suite, System

FEW = 25  # images of a sheet beside others

Labelled = tuple[str, Array | None]  # a grid with its label, None where it was not run


def square(pictures: Array | None, count: int = SHOWN) -> Array | None:
    """The first of some images, (N, C, H, W), in as many columns as rows."""
    return None if pictures is None else images.grid(pictures[:count], math.isqrt(count))


def real(suite: Suite, count: int = SHOWN) -> Array | None:
    return square(suite.real, count)


def generated(system: System, count: int = SHOWN) -> Array | None:
    run = system.first("generated")
    return square(run and run.generated, count)


def tiles(sheet: Sequence[Labelled]) -> Sequence[Tile]:
    return [
        Tile(label, None, numbers.NOT_RUN) if grid is None else Tile(label, pictures.png(grid))
        for label, grid in sheet
    ]
