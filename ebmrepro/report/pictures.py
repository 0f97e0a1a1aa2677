"""Pictures of arrays as PNG bytes, one pixel per pixel: who shows them scales them up."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ebmrepro.runs.results import Array

SMALLEST = 600  # pixels across, of a picture to look at
SIZE, LINE, GAP = 15, 24, 8  # pixels, of its type, a line and its margins


def png(pixels: Array) -> bytes:
    """uint8 (H, W) or (H, W, 3) as a PNG; the same pixels give the same bytes."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG", optimize=True)
    return out.getvalue()


def filters(weights: Array, shape: tuple[int, int, int], count: int) -> Array:
    """Weights (visible, hidden) of the first `count` units as uint8 images of `shape` (C, H, W).

    Zero is mid-grey, a unit's largest weight, of either sign, white or black.
    """
    tiles = weights[:, :count].T.reshape(-1, *shape)
    largest = np.abs(tiles).max(axis=(1, 2, 3), keepdims=True)
    scaled = tiles / np.where(largest > 0, largest, 1)
    return np.round(127.5 + 127.5 * scaled).astype(np.uint8)


def labelled(
    pixels: Array, heading: str, rows: Sequence[str] = (), columns: Sequence[str] = ()
) -> Array:
    """A grid that a person can look at, uint8 (H, W, 3): at least SMALLEST wide, with its labels.

    Pixels become squares of a whole number of pixels. `rows` and `columns` share out the height and
    the width evenly; an empty label leaves its place empty.
    """
    scale = max(1, -(-SMALLEST // pixels.shape[1]))
    grid = Image.fromarray(pixels).convert("RGB")
    grid = grid.resize((grid.width * scale, grid.height * scale), Image.Resampling.NEAREST)
    font = ImageFont.load_default(SIZE)
    left = max((int(font.getlength(row)) + 2 * GAP for row in rows), default=GAP)
    top = GAP + LINE * (2 if any(columns) else 1)
    width = max(left + grid.width, int(font.getlength(heading)) + 2 * GAP) + GAP
    whole = Image.new("RGB", (width, top + grid.height + GAP), "white")
    whole.paste(grid, (left, top))
    draw = ImageDraw.Draw(whole)
    draw.text((left if not rows else GAP, GAP), heading, "black", font)
    for i, row in enumerate(rows):
        middle = top + grid.height * (i + 0.5) / len(rows)
        draw.text((left - GAP, middle), row, "black", font, anchor="rm")
    for i, column in enumerate(columns):
        middle = left + grid.width * (i + 0.5) / len(columns)
        draw.text((middle, top - GAP // 2), column, "black", font, anchor="mb")
    return np.asarray(whole)


def paths(pixels: Array, heading: str, rows: int, between: int) -> Array:
    """A grid of `evaluation.interpolation.write`, `rows` of each of three kinds, with labels."""
    kinds = ("to mirror image", "to other image", "between draws")
    return labelled(
        pixels,
        f"{heading}; between draws, all are G(z)",
        [f"{kind} {i + 1}" for kind in kinds for i in range(rows)],
        ["real", "G(z)", *[""] * (between - 2), "G(z)", "real"],
    )
