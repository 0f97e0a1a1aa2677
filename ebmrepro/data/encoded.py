"""Images that are still encoded: which there are, in what order, and how their bytes are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ebmrepro.data.splits import check_labels


class Reader(Protocol):
    """Reads images by name, in this process or, sent there by pickle, in another."""

    def read(self, name: str) -> bytes:
        """The encoded image.

        Raises:
            DataError: the machine refuses, or what holds the images is damaged or not what it was.
        """
        ...


@dataclass(frozen=True)
class Listing:
    """The images of a source, in the order in which they are kept, and their splits.

    Args:
        names: each once.
        labels: int64 (N,), indices into `classes`.
        test: which are the official test split, bool (N,); None where `params.test` are drawn.
        identity: what the encoded bytes follow from; another identity is decoded anew.
        upright: see `crops.decode`.
    """

    names: Sequence[str]
    labels: np.ndarray
    classes: Sequence[str]
    test: np.ndarray | None
    reader: Reader
    identity: str
    upright: bool = False

    def __post_init__(self) -> None:
        check_labels(len(self.names), self.labels, self.test)


@dataclass(frozen=True)
class Decoded:
    """What became of a listing.

    Args:
        images: uint8 (N, C, H, W), mapped read-only, in the order of the listing.
        broken: place in the listing -> why that image is left out (it is black in `images`).
    """

    images: np.ndarray
    broken: dict[int, str]
