"""Images that no generator made and no data set holds: what else an energy is tested on.

An energy that has learnt the data puts all of these above it. All are uint8 (N, C, H, W), and the
same seed gives the same images.
"""

from __future__ import annotations

import io

import numpy as np

from ebmrepro.data import files

# china.jpg by danielbuechele and flower.jpg by vultilion, both CC BY 2.0, as in scikit-learn
PHOTOGRAPHS = {
    "datasets/images/china.jpg": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    "datasets/images/flower.jpg": (
        "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638"
    ),
}
LUMA = np.array([0.299, 0.587, 0.114])  # grey of red, green, blue: ITU-R BT.601
LARGEST_SCALE = 4  # photograph pixels across one pixel of a patch


def noise(shape: tuple[int, int, int], n: int, seed: int) -> np.ndarray:
    """Every value uniform on 0..255, independent of all others. `shape` is (C, H, W)."""
    return np.random.RandomState(seed).randint(0, 256, (n, *shape), dtype=np.uint8)


def shuffled(images: np.ndarray, seed: int) -> np.ndarray:
    """Each image with its pixels in a random order of its own; channels stay together.

    Keeps each image's histogram and destroys its structure.
    """
    n, channels, height, width = images.shape
    keys = np.random.RandomState(seed).random_sample((n, 1, height * width))
    order = keys.argsort(axis=2, kind="stable")
    flat = np.asarray(images).reshape(n, channels, height * width)
    return np.take_along_axis(flat, order, axis=2).reshape(images.shape)


def patches(shape: tuple[int, int, int], n: int, seed: int) -> np.ndarray:
    """Patches of natural images: random windows of scikit-learn's two photographs, 640x427.

    A window is four times as high and wide as `shape` (C, H, W) asks, or the largest whole multiple
    that fits, and is averaged down over squares, so that an 8x8 patch shows 32x32 pixels of a scene
    and not a flat spot. Where `shape` is larger than the photographs, they are enlarged to hold it.
    Photograph and place are uniform; one channel means luma. Windows of sky are nearly flat, as
    they are in nature. JPEG decoders may differ by a grey level.

    Raises:
        ValueError: neither one channel nor three.
    """
    channels, height, width = shape
    if channels not in (1, 3):
        raise ValueError(f"natural image patches have 1 or 3 channels, not {channels}")
    scenes = [_photograph(name, sha256, shape) for name, sha256 in PHOTOGRAPHS.items()]
    scale = max(1, min(LARGEST_SCALE, 427 // height, 640 // width))

    random = np.random.RandomState(seed)
    out = np.empty((n, *shape), dtype=np.uint8)
    for patch in out:
        scene = scenes[random.randint(len(scenes))]
        top = random.randint(scene.shape[1] - height * scale + 1)
        left = random.randint(scene.shape[2] - width * scale + 1)
        window = scene[:, top : top + height * scale, left : left + width * scale]
        squares = window.reshape(channels, height, scale, width, scale)
        patch[:] = np.rint(squares.mean(axis=(2, 4)))
    return out


def _photograph(name: str, sha256: str, shape: tuple[int, int, int]) -> np.ndarray:
    """float64 (C, H, W) on 0..255, at least as large as `shape` (C, H, W)."""
    from PIL import Image, ImageOps

    channels, height, width = shape
    content = files.verified(name, files.bundled(name), sha256)
    with Image.open(io.BytesIO(content)) as image:
        least = max(width, image.width), max(height, image.height)
        scene = np.asarray(ImageOps.cover(image.convert("RGB"), least), dtype=np.float64)
    return (scene @ LUMA)[None] if channels == 1 else scene.transpose(2, 0, 1)
