"""Images in two forms: float in [-1, 1] inside the package, uint8 on disk. Grids and PNG files.

This is the only place where one form becomes the other. -1 is 0, 1 is 255, and every uint8 value
survives the way to float32 and back. torch is imported by the functions that need it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ebmrepro.system import atomic

if TYPE_CHECKING:
    from torch import Tensor

HALF = 127.5  # half the range of uint8
SEPARATOR = 128  # between the images of a grid: seen beside black and beside white


def to_uint8(x: Tensor) -> np.ndarray:
    """x in [-1, 1], any shape, as the nearest uint8 values; what lies outside is clamped.

    Raises:
        ValueError: x holds NaN or infinity, for which there is no honest grey level.
    """
    x = x.detach().float()
    if not x.isfinite().all():
        raise ValueError("images hold NaN or infinity: the network that made them has diverged")
    return ((x + 1) * HALF).round().clamp(0, 255).byte().cpu().numpy()


def from_uint8(images: np.ndarray | Tensor) -> Tensor:
    """uint8 of any shape as float32 in [-1, 1]; a tensor stays on its device.

    Raises:
        TypeError: the images are not uint8.
    """
    import torch

    if isinstance(images, np.ndarray):
        images = torch.from_numpy(np.array(images))  # a copy: the array may be mapped read-only
    if images.dtype != torch.uint8:
        raise TypeError(f"found images of {images.dtype}, want uint8")
    return images.float() / HALF - 1


def grid(images: np.ndarray, columns: int, pad: int = 1) -> np.ndarray:
    """uint8 (N, C, H, W) as one image, row by row, `pad` grey pixels between neighbours.

    Returns:
        uint8 (H', W') for one channel, (H', W', 3) for three; cells without an image are grey.

    Raises:
        ValueError: no image, not uint8, neither one channel nor three, or no column.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"found {images.dtype} {images.shape}, want uint8 (N, 1 or 3, H, W)")
    n, channels, height, width = images.shape
    if n < 1 or columns < 1:
        raise ValueError(f"found {n} images in {columns} columns, want at least one of each")
    rows = -(-n // columns)
    cells = np.full(
        (rows * columns, height + pad, width + pad, channels), SEPARATOR, dtype=np.uint8
    )
    cells[:n, :height, :width] = images.transpose(0, 2, 3, 1)
    cells = cells.reshape(rows, columns, height + pad, width + pad, channels).swapaxes(1, 2)
    whole = cells.reshape(rows * (height + pad), columns * (width + pad), channels)
    whole = whole[: len(whole) - pad, : whole.shape[1] - pad]
    return np.ascontiguousarray(whole[..., 0] if channels == 1 else whole)


def tiles(pixels: np.ndarray, shape: tuple[int, int, int], count: int) -> np.ndarray:
    """The first `count` images, uint8 (N, C, H, W), of a picture that `grid` made of them.

    `shape` is (C, H, W). A grid is stored without loss, so these are the images' own bytes.

    Raises:
        ValueError: the picture is no grid of such images, or of fewer.
    """
    channels, height, width = shape
    cells = pixels.reshape(*pixels.shape[:2], -1)
    rows, columns = (cells.shape[0] + 1) // (height + 1), (cells.shape[1] + 1) // (width + 1)
    whole = rows * (height + 1) - 1, columns * (width + 1) - 1, channels
    if cells.shape != whole or rows * columns < count:
        raise ValueError(f"{pixels.shape} is no grid of {count} images of {shape}")
    cells = np.pad(cells, ((0, 1), (0, 1), (0, 0)))
    cells = cells.reshape(rows, height + 1, columns, width + 1, channels).transpose(0, 2, 4, 1, 3)
    return np.ascontiguousarray(cells[..., :height, :width].reshape(-1, *shape)[:count])


def save_png(path: str | Path, image: np.ndarray) -> None:
    """Write uint8 (H, W) or (H, W, 3), whole or not at all. The same pixels give the same bytes.

    Raises:
        atomic.CannotWrite: the machine refuses.
    """
    from PIL import Image

    with atomic.atomic_write(path) as partial:
        Image.fromarray(image).save(partial, format="PNG")
