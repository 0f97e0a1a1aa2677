"""Pictures of arrays as PNG bytes, one pixel per pixel: who shows them scales them up."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

Array = np.ndarray[Any, np.dtype[Any]]


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
