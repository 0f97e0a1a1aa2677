"""What a source gives: images, or a listing of images that are still encoded."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """The labels of a source's images, in the order in which these are kept, and their splits.

    Args:
        labels: int64 (N,), indices into `classes`.
        test: which are the official test split, bool (N,); None where `params.test` are drawn.
    """

    labels: np.ndarray
    classes: Sequence[str]
    test: np.ndarray | None = None

    def _check(self, n: int) -> None:
        """Raise ValueError unless labels are int64 (n,), and `test` is None or bool (n,)."""
        for name, array, kind in (("labels", self.labels, np.int64), ("test", self.test, np.bool_)):
            if array is not None and (array.dtype != kind or array.shape != (n,)):
                found = f"{array.dtype} {array.shape}"
                raise ValueError(f"{name}: found {found}, want {np.dtype(kind)} ({n},)")


@dataclass(frozen=True, kw_only=True)
class Images(Labelled):
    """Images that fit into memory.

    Args:
        images: uint8 (N, C, H, W).
        notes: in what these images are not the published ones, a sentence each.
    """

    images: np.ndarray
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            kind = f"{self.images.dtype} {self.images.shape}"
            raise ValueError(f"images: found {kind}, want uint8 (N, C, H, W)")
        self._check(len(self.images))


@dataclass(frozen=True, kw_only=True)
class Listing(Labelled):
    """Images that are still encoded.

    Args:
        names: each once.
        read: gives an image's encoded bytes by its name, in this process or, sent there by pickle,
            in another; raises DataError where the machine refuses, or where what holds the images
            is damaged or not what it was.
        identity: what the encoded bytes follow from; another identity is decoded anew.
        upright: see `crops.decode`.
        left_out: what lies there besides, and why it is none of the images.
    """

    names: Sequence[str]
    read: Callable[[str], bytes]
    identity: str
    upright: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check(len(self.names))

    def mixed(self, seed: int) -> Listing:
        """The same images in a random order, for a source that lists one class after the other: the
        first images of a split, of which some things are measured, are then of all classes.
        """
        random = np.random.RandomState([seed % 2**32, zlib.crc32(b"order")])
        order = random.permutation(len(self.names))
        return replace(
            self,
            names=[self.names[i] for i in order],
            labels=self.labels[order],
            test=None if self.test is None else self.test[order],
        )
