"""Grids of images as the tiles of a gallery."""

from __future__ import annotations

from collections.abc import Sequence

from ebmrepro.networks import images
from ebmrepro.report import numbers, pictures
from ebmrepro.report.blocks import Tile
from ebmrepro.report.gather import Array, Suite, System

Labelled = tuple[str, Array | None]  # a grid with its label, None where it was not run


def real(suite: Suite, count: int, columns: int) -> Array | None:
    return None if suite.real is None else images.grid(suite.real[:count], columns)


def generated(system: System, count: int, columns: int) -> Array | None:
    run = system.first("generated")
    if run is None or run.generated is None:
        return None
    return images.grid(run.generated[:count], columns)


def tiles(sheet: Sequence[Labelled]) -> Sequence[Tile]:
    return [
        Tile(label, None, numbers.NOT_RUN) if grid is None else Tile(label, pictures.png(grid))
        for label, grid in sheet
    ]
