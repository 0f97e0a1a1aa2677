"""Real images with something done to them, by a stated amount.

All take and give uint8 (N, C, H, W); the same seed gives the same images, and an amount of 0 gives
the images themselves. With one seed, a larger amount does more of the same: the noise is the same
noise louder, the square is the same square grown.
"""

from __future__ import annotations

import numpy as np

from ebmrepro.networks.images import HALF

AT_ONCE = 500  # images whose noise is held in memory, as float64


def noisy(images: np.ndarray, amount: float, seed: int) -> np.ndarray:
    """Gaussian noise of standard deviation `amount`, in units of pixel values in [-1, 1]."""
    random, out = np.random.RandomState(seed), np.empty_like(images)
    for i in range(0, len(images), AT_ONCE):
        part = images[i : i + AT_ONCE]
        out[i : i + AT_ONCE] = _uint8(part + amount * HALF * random.standard_normal(part.shape))
    return out


def occluded(images: np.ndarray, amount: float, seed: int) -> np.ndarray:
    """A black square over the share `amount` of the area, at a random place inside the image.

    Its sides are rounded to whole pixels: of 8 x 8, 3 x 3 stand for 0.1.
    """
    n, _, height, width = images.shape
    h, w = (round(side * np.sqrt(amount)) for side in (height, width))
    place = np.random.RandomState(seed).random_sample((n, 2))
    out = np.array(images)
    for image, (down, right) in zip(out, place, strict=True):
        top, left = round(down * (height - h)), round(right * (width - w))
        image[:, top : top + h, left : left + w] = 0
    return out


def blurred(images: np.ndarray, amount: float, seed: int = 0) -> np.ndarray:
    """A Gaussian blur of standard deviation `amount` pixels; beyond the edge its pixels go on."""
    from scipy.ndimage import gaussian_filter

    sigmas = (0, 0, amount, amount)
    return _uint8(gaussian_filter(images.astype(np.float64), sigmas, mode="nearest"))


def inverted(images: np.ndarray, amount: float, seed: int = 0) -> np.ndarray:
    """On the straight way to the negative: flat grey at an amount of 0.5, the negative at 1."""
    return _uint8((1 - amount) * images + amount * (255.0 - images))


def mirrored(images: np.ndarray) -> np.ndarray:
    """Left and right exchanged."""
    return np.ascontiguousarray(images[..., ::-1])


def turned(images: np.ndarray) -> np.ndarray:
    """A quarter turn anticlockwise. ValueError if the images are not square."""
    if images.shape[2] != images.shape[3]:
        raise ValueError(f"images of {images.shape[2]} x {images.shape[3]}, a turn needs squares")
    return np.ascontiguousarray(np.rot90(images, axes=(2, 3)))


def averaged(images: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Each image mixed half and half with a random one of another class.

    ValueError if there is none.
    """
    random = np.random.RandomState(seed)
    partner = [random.choice(np.flatnonzero(labels != label)) for label in labels]
    return _uint8((images.astype(np.float64) + images[partner]) / 2)


CORRUPTIONS = {"noise": noisy, "occlusion": occluded, "blur": blurred, "inversion": inverted}


def _uint8(grey: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(grey, 0, 255)).astype(np.uint8)
