"""Batches on the device, as floats, from a data set as uint8, shuffled by index.

A small data set stays on the device as a whole. A larger one stays where it is, mapped from the
disk, and a thread reads one batch ahead. Either way the batches are the same, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from ebmrepro.config.documents import ParamsError
from ebmrepro.networks import distributed
from ebmrepro.networks.images import from_uint8

SHARE = 0.25  # of the device's memory that a data set may take; a larger one is read as needed


def memory(device: torch.device) -> int:
    """Bytes of memory that a device has, used or not."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def stays_there(size: int, device: torch.device) -> bool:
    """Whether a data set of so many bytes is kept on the device."""
    return size <= SHARE * memory(device)


class Batches:
    """A data set as shuffled batches, the same in every run of a seed.

    The order of an epoch follows from (seed, epoch) alone, so a training's position in its data is
    one number. The last, smaller batch of an epoch is left out: statistics over a batch keep one
    sample count. Of several ranks each gets its rows of every batch.

    Args:
        images: uint8 (N, C, H, W); may be mapped read-only.
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
        if size % distributed.count():
            raise ParamsError(
                f"params.yaml: batch_size: found {size}, which {distributed.count()} ranks "
                "cannot share evenly"
            )
        self.count, self.device = len(images), device
        self.size, self.seed = size, seed
        stays = stays_there(images.nbytes, device)
        self._images = torch.from_numpy(np.array(images)).to(device) if stays else images
        self._labels = None if labels is None else torch.from_numpy(np.array(labels)).to(device)

    def __len__(self) -> int:
        """Batches per epoch."""
        return self.count // self.size

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Images in [-1, 1], (size, C, H, W), and their labels, (size,), from batch `start` on."""
        order = np.random.default_rng((self.seed, epoch)).permutation(self.count)
        rows, numbers = distributed.rows(self.size), range(start, len(self))
        index = torch.from_numpy(order).to(self.device).split(self.size)
        there = [index[i][rows] for i in numbers]
        if isinstance(self._images, Tensor):
            whole = self._images
            pictures = (whole.index_select(0, own) for own in there)
        else:
            pictures = _ahead(
                self._images, [order[i * self.size :][rows] for i in numbers], self.device
            )
        for own, images in zip(there, pictures, strict=True):
            labels = None if self._labels is None else self._labels[own]
            yield from_uint8(images), labels


def _ahead(
    images: np.ndarray, batches: Sequence[np.ndarray], device: torch.device
) -> Iterator[Tensor]:
    """Batches of a mapped data set, each read by a thread while the one before is computed with.

    To a GPU they go through pinned memory, so that the host does not wait for a copy; torch's
    allocator gives such memory to another batch only when its copy is done.
    """

    def read(rows: np.ndarray) -> Tensor:
        found = torch.from_numpy(images[rows])
        if device.type != "cuda":
            return found
        with torch.cuda.device(device):  # a thread begins at the first GPU
            return found.pin_memory()

    with ThreadPoolExecutor(1, "batches") as thread:
        ahead = (thread.submit(read, rows) for rows in batches)
        waiting = next(ahead, None)
        while waiting:
            now, waiting = waiting.result(), next(ahead, None)
            yield now.to(device, non_blocking=True)
