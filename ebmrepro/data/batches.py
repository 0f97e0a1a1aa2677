"""Batches on the device: the whole data set stays there as uint8 and is shuffled by index."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ebmrepro import ranks
from ebmrepro.images import from_uint8
from ebmrepro.params import ParamsError


class Batches:
    """A data set as shuffled batches, the same in every run of a seed.

    The order of an epoch follows from (seed, epoch) alone, so a training's position in its data is
    one number.
    The last, smaller batch of an epoch is left out: statistics over a batch keep one sample count.
    Of several ranks each gets its rows of every batch.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), or None for batches of images alone.
        size: images per batch, of all ranks together.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | None,
        size: int,
        seed: int,
        device: torch.device,
    ):
        if len(images) < size:
            raise ParamsError(
                f"params.yaml: batch_size: found {size}, there are {len(images)} training images"
            )
        if size % ranks.count():
            raise ParamsError(
                f"params.yaml: batch_size: found {size}, which {ranks.count()} ranks cannot share "
                "evenly"
            )
        self.images = torch.from_numpy(np.array(images)).to(device)
        self.labels = None if labels is None else torch.from_numpy(np.array(labels)).to(device)
        self.size, self.seed = size, seed

    def __len__(self) -> int:
        """Batches per epoch."""
        return len(self.images) // self.size

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Images in [-1, 1], (size, C, H, W), and their labels, (size,), from batch `start` on."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.images))
        index = torch.from_numpy(order).to(self.images.device)
        for batch in index.split(self.size)[start : len(self)]:
            own = batch[ranks.rows(self.size)]
            labels = None if self.labels is None else self.labels[own]
            yield from_uint8(self.images[own]), labels
