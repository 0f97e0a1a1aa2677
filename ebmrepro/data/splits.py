"""Splits of a data set, and how images are drawn from one for another."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Splits:
    """Images, uint8 (N, C, H, W), and labels, int64 (N,), of the two splits a source gives.

    `notes` say, a sentence each, in what these images are not the published ones.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for split, images, labels in (
            ("train", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            if images.dtype != np.uint8 or images.ndim != 4:
                raise ValueError(
                    f"{split} images: found {images.dtype} {images.shape}, want uint8 (N, C, H, W)"
                )
            if labels.dtype != np.int64 or labels.shape != (len(images),):
                raise ValueError(
                    f"{split} labels: found {labels.dtype} {labels.shape}, "
                    f"want int64 ({len(images)},)"
                )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(
                f"found train images of {self.train_images.shape[1:]} "
                f"and test images of {self.test_images.shape[1:]}"
            )


def stratified(labels: np.ndarray, count: int, seed: int, split: str) -> np.ndarray:
    """A draw of `count` of the N images, as a mask (N,): each class in its share of all images.

    Shares are rounded by largest remainder, ties going to the lower class. The draw depends on
    `seed` and on the name of the split it is for, so that two splits are drawn independently.
    """
    classes, per_class = np.unique(labels, return_counts=True)
    shares = count * per_class  # in units of 1/N of an image, so that rounding is exact
    wanted = shares // len(labels)
    order = np.argsort(-(shares % len(labels)), kind="stable")
    wanted[order[: count - wanted.sum()]] += 1

    # RandomState's stream is frozen for ever (NEP 19), default_rng's is not: a split must outlive
    # the NumPy it was drawn with.
    random = np.random.RandomState([seed % 2**32, zlib.crc32(split.encode())])
    mask = np.zeros(len(labels), dtype=bool)
    for label, n in zip(classes, wanted, strict=True):
        mask[random.permutation(np.flatnonzero(labels == label))[:n]] = True
    return mask
