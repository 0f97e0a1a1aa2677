"""Is a suite's folder what `prepare` wrote, and do its pixels mean what papers mean by them?

The second question has a published answer that takes no training: the error of PCA with 30
components on MNIST, 13.87, and with 18 on the curves, 5.90 (Hinton and Salakhutdinov, "Reducing
the dimensionality of data with neural networks", Science 313, 2006). Pixels on another scale, a
wrong split or a transposed image all move it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ebmrepro.config.declarations import source_facts
from ebmrepro.data import DATASET, describe, per_class, read, remarks
from ebmrepro.data.files import DataError

COMPONENTS = 30  # where no error is published
PIXELS = 255  # uint8 value of a pixel that is 1 in [0, 1]
LARGEST = 4096  # values of an image up to which PCA is tried: its time grows with their cube
CHUNK = 10_000  # images in float64 at a time: 63 MB of MNIST


@dataclass(frozen=True)
class Report:
    """What was found; every checksum and count was as `dataset.json` says."""

    name: str
    shape: tuple[int, int, int]
    counts: dict[str, int]  # images per split
    components: int
    pca_error: float | None  # see `pca_error`; None for images of more than LARGEST values
    published: float | None  # of `pca_error`, to two decimals
    remarks: tuple[str, ...] = ()  # see `data.remarks`

    @property
    def agrees(self) -> bool | None:
        """Whether the error rounds to the published one; None where nothing is published."""
        if self.published is None or self.pca_error is None:
            return None
        return round(self.pca_error, 2) == self.published


def check(folder: str | Path) -> Report:
    """Verify a suite's folder against its `dataset.json` and measure the error of PCA.

    PCA is fitted on all images outside the test split, those held out for validation included, as
    the published figure was.

    Raises:
        DataError: an array is missing or is not what `dataset.json` says; names the file, what was
            found and what was expected.
    """
    dataset, arrays = verify(folder)
    values = math.prod(dataset["shape"])
    asked, published = source_facts(dataset["source"]).pca or (COMPONENTS, None)
    components = min(asked, values)
    train = [images for split, (images, _) in arrays.items() if split != "test"]
    return Report(
        name=dataset["name"],
        shape=tuple(dataset["shape"]),
        counts={split: len(images) for split, (images, _) in arrays.items()},
        components=components,
        pca_error=pca_error(train, arrays["test"][0], components) if values <= LARGEST else None,
        published=published,
        remarks=tuple(remarks(dataset)),
    )


def verify(folder: str | Path) -> tuple[dict[str, Any], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """What `dataset.json` says, and images and labels by split, verified as `check` says."""
    dataset = describe(folder)
    arrays = {split: read(folder, split) for split in dataset["splits"]}
    for split, (_, labels) in arrays.items():
        said = dataset["splits"][split]
        if (counts := per_class(labels, dataset)) != said["per_class"]:
            raise DataError(
                f"{folder}: per_class of {split} is {counts}, {DATASET} says {said['per_class']}"
            )
    return dataset, arrays


def pca_error(train: list[np.ndarray], test: np.ndarray, components: int) -> float:
    """Squared error of the PCA reconstruction of a test image, summed over pixels in [0, 1], mean.

    `train` is a list of uint8 arrays (N, C, H, W) that are fitted as one; see
    `principal_components`.
    """
    pca = principal_components(train, components)
    squared = 0.0
    for x in _chunks(test):
        centred = x - pca.mean
        squared += np.square(centred - centred @ pca.axes @ pca.axes.T).sum()
    return float(squared / len(test) / PIXELS**2)


class Principal(NamedTuple):
    """PCA of images: their mean (pixels,) on 0..255, and leading axes (pixels, components)."""

    mean: np.ndarray
    axes: np.ndarray

    def codes(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, C, H, W) -> (N, components), for pixels in [0, 1]."""
        return np.concatenate([(x - self.mean) @ self.axes for x in _chunks(images)]) / PIXELS

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """The nearest image in the span of the components, uint8 (N, C, H, W) -> the same."""
        pixels = self.codes(images) @ self.axes.T * PIXELS + self.mean
        return pixels.round().clip(0, PIXELS).astype(np.uint8).reshape(images.shape)


def principal_components(train: list[np.ndarray], components: int) -> Principal:
    """PCA of uint8 arrays (N, C, H, W), fitted as one: leading eigenvectors of their covariance.

    Sums of uint8 products are whole numbers far below 2^53, so the covariance does not depend on
    the order of the images or on the number of threads. The largest entry of an axis is positive.

    Raises:
        ValueError: `components` is not between 0 and the number of pixels.
    """
    pixels = math.prod(train[0].shape[1:])
    if not 0 <= components <= pixels:
        raise ValueError(f"found {components} components; images have {pixels} values")
    n, total, products = 0, np.zeros(pixels), np.zeros((pixels, pixels))
    for images in train:
        for x in _chunks(images):
            n += len(x)
            total += x.sum(axis=0)
            products += x.T @ x
    mean = total / n
    covariance = products / n - np.outer(mean, mean)
    _, vectors = np.linalg.eigh(covariance)  # eigenvalues ascending
    axes = vectors[:, ::-1][:, :components]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    return Principal(mean, axes * np.where(largest < 0, -1, 1))


def _chunks(images: np.ndarray) -> Iterator[np.ndarray]:
    """Images as float64 rows (n, pixels), on 0..255."""
    flat = images.reshape(len(images), -1)
    return (flat[i : i + CHUNK].astype(np.float64) for i in range(0, len(flat), CHUNK))
