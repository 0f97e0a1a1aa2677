"""How images with labels are split into train, validation and test."""

from __future__ import annotations

import zlib
from collections.abc import Collection

import numpy as np

from ebmrepro.config.data import Data
from ebmrepro.config.documents import ParamsError
from ebmrepro.data.files import DataError
from ebmrepro.data.images import Labelled


def split(
    source: Labelled, params: Data, suite: str, broken: Collection[int] = ()
) -> dict[str, np.ndarray]:
    """Split -> places of its images, rising; those that are `broken` are in none.

    Raises:
        ParamsError: there are too few images.
        DataError: all images of a split are broken.
    """

    def drawn(name: str, places: np.ndarray, count: int) -> np.ndarray:
        if count >= len(places):
            raise ParamsError(
                f"params.yaml: {suite}.data.{name}: found {count}; there are {len(places)} images "
                f"to draw from, so at most {len(places) - 1}"
            )
        return stratified(source.labels[places], count, params.split_seed, name)

    train = np.setdiff1d(np.arange(len(source.labels)), np.array([*broken], np.int64))
    held_out = drawn("test", train, params.test) if source.test is None else source.test[train]
    train, rows = train[~held_out], {"test": train[held_out]}
    if params.validation:
        held_out = drawn("validation", train, params.validation)
        train, rows["validation"] = train[~held_out], train[held_out]
    rows = {"train": train, **rows}
    for name, places in rows.items():
        if not len(places):
            raise DataError(f"{suite}: {name}: found no image for this split; all of it is broken")
    return rows


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
