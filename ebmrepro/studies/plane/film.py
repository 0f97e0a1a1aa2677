"""Surfaces of energy as pictures, and pictures in a row as an animation, without matplotlib's axes.

Low energy is dark, high energy pale; points are orange, which both show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ebmrepro.config.plane import Fundamentals
from ebmrepro.system import atomic

Array = np.ndarray[Any, np.dtype[Any]]
Scene = tuple[Array, Array]  # energies (k, k), first axis x, and points (N, 2)

# From the bottom of a valley upwards, as red, green, blue.
SHADES = ((8, 34, 64), (24, 84, 130), (74, 140, 182), (158, 198, 220), (240, 244, 247))
POINT = (255, 122, 26)
PAPER, WORDS = (255, 255, 255), (28, 32, 36)
TITLES = {
    "ring": "Ring of Gaussians",
    "moons": "Two moons",
    "pinwheel": "Pinwheel",
    "checkerboard": "Checkerboard",
}
WAYS = {"cd": "Contrastive divergence", "ml": "Maximum likelihood", "ebgan": "EBGAN"}
TOP = 8.0  # nats above the bottom from which on all is palest: e^-8 is a third of a thousandth
SLIDING = {"langevin": ("Langevin", TOP), "descent": ("Gradient descent", TOP)}
CELL = 150  # pixels of a surface in a film
FRAME, HOLD = 220, 2500  # milliseconds of a picture, and of the last
EDGE = 18  # pixels of a sheet's labels
GAP = 4


def surface(energy: Array, top: float, size: int) -> Image.Image:
    """Energies (k, k), first axis x, as a square of `size` pixels with y upwards.

    The lowest is the darkest; `top` above it, and all that is higher, the palest.
    """
    height = np.clip((energy - np.nanmin(energy)) / top, 0, 1)
    place = height.T[::-1] * (len(SHADES) - 1)
    shades = np.array(SHADES, dtype=np.float64)
    below = np.minimum(place.astype(int), len(SHADES) - 2)
    rest = (place - below)[..., None]
    pixels = (1 - rest) * shades[below] + rest * shades[below + 1]
    picture = Image.fromarray(np.round(pixels).astype(np.uint8))
    return picture.resize((size, size), Image.Resampling.BICUBIC)


def dot(picture: Image.Image, points: Array, half: float, radius: float) -> Image.Image:
    """The same picture with points of the square [-half, half]^2 on it; others are left out."""
    scale = 4  # drawn larger and scaled down: round dots
    size = picture.width * scale
    layer = Image.new("L", (size, size))
    draw = ImageDraw.Draw(layer)
    for x, y in points[(np.abs(points) < half).all(axis=1)]:
        across, down = size * (x + half) / (2 * half), size * (half - y) / (2 * half)
        r = radius * scale
        draw.ellipse((across - r, down - r, across + r, down + r), fill=255)
    mask = layer.resize(picture.size, Image.Resampling.BOX)
    picture.paste(POINT, (0, 0), mask)
    return picture


def crop(energy: Array, domain: float, half: float) -> Array:
    """The part of energies over [-domain, domain]^2 that lies over [-half, half]^2."""
    k = len(energy)
    cut = round(k * (1 - half / domain) / 2)
    return energy[cut : k - cut, cut : k - cut]


def sheet(
    scenes: Mapping[tuple[str, str], Scene],
    rows: Mapping[str, tuple[str, float]],
    columns: Mapping[str, str],
    half: float,
    size: int,
) -> Image.Image:
    """Scenes by (row, column) with labels; a row has a title and the height of its palest shade."""
    width = EDGE + len(columns) * (size + GAP)
    whole = Image.new("RGB", (width, EDGE + len(rows) * (size + GAP)), PAPER)
    font = ImageFont.load_default(12)
    for j, title in enumerate(columns.values()):
        _write(whole, title, (EDGE + j * (size + GAP), 0, size, EDGE), font)
    for i, (row, (title, top)) in enumerate(rows.items()):
        side = Image.new("RGB", (size, EDGE), PAPER)
        _write(side, title, (0, 0, size, EDGE), font)
        whole.paste(side.rotate(90, expand=True), (0, EDGE + i * (size + GAP)))
        for j, column in enumerate(columns):
            energy, points = scenes[row, column]
            picture = dot(surface(energy, top, size), points, half, 1.6)
            whole.paste(picture, (EDGE + j * (size + GAP), EDGE + i * (size + GAP)))
    return whole


def write(
    training: Sequence[Mapping[tuple[str, str], Scene]],
    sliding: Sequence[Mapping[tuple[str, str], Scene]],
    asked: Fundamentals,
    into: Path,
) -> None:
    """Both films of the plane, and the last picture of each for who wants no movement."""
    domain, wall = asked.domain.half, asked.domain.wall
    for name, scenes, rows in (
        ("training", training, training_rows(asked)),
        ("sliding", sliding, SLIDING),
    ):
        sheets = []
        for scene in scenes:
            cut = {key: (crop(energy, domain, wall), x) for key, (energy, x) in scene.items()}
            sheets.append(sheet(cut, rows, TITLES, wall, CELL))
        first, *others = sheets
        shown = [FRAME] * len(others) + [HOLD]
        film = {"save_all": True, "append_images": others, "duration": shown, "loop": 0}
        with atomic.atomic_write(into / f"{name}.webp") as partial:
            first.save(partial, quality=70, method=3, **film)
        with atomic.atomic_write(into / f"{name}-last.webp") as partial:
            sheets[-1].save(partial, quality=80, method=3)


def training_rows(asked: Fundamentals) -> dict[str, tuple[str, float]]:
    """Ways of training with their titles, and how high the palest shade is.

    EBGAN's energies are distances between 0 and about the margin, not nats.
    """
    tops = {"cd": TOP, "ml": TOP, "ebgan": asked.training.ebgan.margin}
    return {way: (title, tops[way]) for way, title in WAYS.items()}


def _write(picture: Image.Image, text: str, box: tuple[int, int, int, int], font: Any) -> None:
    """Text in the middle of a box (left, top, width, height)."""
    left, top, width, height = box
    ImageDraw.Draw(picture).text(
        (left + width / 2, top + height / 2), text, fill=WORDS, font=font, anchor="mm"
    )
