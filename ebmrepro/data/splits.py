"""Images with labels, and how they are split into train, validation and test."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from ebmrepro.config.data import Data
from ebmrepro.config.documents import ParamsError
from ebmrepro.data.files import DataError


@dataclass(frozen=True)
class Images:
    """What a source gives that fits into memory.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        test: which are the official test split, bool (N,); None where `params.test` are drawn.
        notes: in what these images are not the published ones, a sentence each.
    """

    images: np.ndarray
    labels: np.ndarray
    test: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            kind = f"{self.images.dtype} {self.images.shape}"
            raise ValueError(f"images: found {kind}, want uint8 (N, C, H, W)")
        check_labels(len(self.images), self.labels, self.test)


def check_labels(n: int, labels: np.ndarray, test: np.ndarray | None) -> None:
    """Raise ValueError unless labels are int64 (n,), and `test` is None or bool (n,)."""
    for name, array, kind in (("labels", labels, np.int64), ("test", test, np.bool_)):
        if array is not None and (array.dtype != kind or array.shape != (n,)):
            found = f"{array.dtype} {array.shape}"
            raise ValueError(f"{name}: found {found}, want {np.dtype(kind)} ({n},)")


def split(
    labels: np.ndarray, test: np.ndarray | None, params: Data, broken: tuple[int, ...] = ()
) -> dict[str, np.ndarray]:
    """Split -> places of its images, rising; those that are `broken` are in none.

    Args:
        labels: int64 (N,).
        test: the official test split, bool (N,); None to draw one.

    Raises:
        ParamsError: there are too few images; the message begins with the key.
        DataError: all images of a split are broken.
    """
    whole = np.setdiff1d(np.arange(len(labels)), np.array(broken, np.int64))
    if test is None:
        held_out = _drawn("test", labels[whole], params.test, params.split_seed)
    else:
        held_out = test[whole]
    rows = {"train": whole[~held_out], "test": whole[held_out]}
    if params.validation:
        train = rows["train"]
        held_out = _drawn("validation", labels[train], params.validation, params.split_seed)
        rows |= {"train": train[~held_out], "validation": train[held_out]}
    for name, places in rows.items():
        if not len(places):
            raise DataError(f"{name}: found no image for this split; all of it is broken")
    return rows


def _drawn(name: str, labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    if count >= len(labels):
        raise ParamsError(
            f"{name}: found {count}; there are {len(labels)} images to draw from, so at most "
            f"{len(labels) - 1}"
        )
    return stratified(labels, count, seed, name)


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
