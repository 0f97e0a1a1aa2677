"""Batches on the device, as floats, from a data set as uint8, shuffled by index.

A small data set stays on the device as a whole. A larger one stays where it is, mapped from the
disk, and a thread reads one batch ahead. Either way the batches are the same, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from ebmrepro.config.documents import ParamsError
from ebmrepro.networks import distributed
from ebmrepro.networks.images import from_uint8

SHARE = 0.25  # of the memory that a data set may take; a larger one is read as needed


def memory(device: torch.device) -> int:
    """Bytes that the machine has, or that a GPU has free: other trainings may be on it."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
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
        few: how many of the images, as many of each class, `take_few` gives with their labels;
            which they are follows from the seed.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | None,
        size: int,
        seed: int,
        device: torch.device,
        few: int | None = None,
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
        # Where in which epoch it is: places in memory that stay, for a step that is replayed.
        own = distributed.rows(size)
        rows = torch.zeros(len(self), own.stop - own.start, dtype=torch.int64)
        self._rows = rows.to(device)  # of each batch
        self.position = torch.zeros(1, dtype=torch.int64, device=device)  # batches passed
        self._few: Tensor | None = None
        if few is not None and labels is not None:
            chosen = balanced(np.asarray(labels), few, seed)
            self._few = torch.from_numpy(images[chosen]).to(device)
            self._few_labels = torch.from_numpy(np.asarray(labels)[chosen]).to(device)
            self._few_rows = torch.zeros_like(self._rows)
        self._ahead: Iterator[Tensor] | None = None

    def __len__(self) -> int:
        """Batches per epoch."""
        return self.count // self.size

    @property
    def on_device(self) -> bool:
        """Whether the whole data set is there."""
        return isinstance(self._images, Tensor)

    def begin(self, epoch: int, start: int = 0) -> None:
        """Go to batch `start` of an epoch."""
        order = np.random.default_rng((self.seed, epoch)).permutation(self.count)
        batches = order[: len(self) * self.size].reshape(len(self), self.size)
        rows = batches[:, distributed.rows(self.size)]
        self._rows.copy_(torch.from_numpy(rows))
        self.position.fill_(start)
        if self._few is not None:
            rng, few = np.random.default_rng((self.seed, epoch, 1)), len(self._few)
            again = [rng.permutation(few) for _ in range(0, batches.size, few)]
            again = np.concatenate(again)[: batches.size].reshape(batches.shape)
            own = again[:, distributed.rows(self.size)]
            self._few_rows.copy_(torch.from_numpy(own))
        if not isinstance(self._images, Tensor):
            self._ahead = _ahead(self._images, rows[start:], self.device)

    def take(self) -> tuple[Tensor, Tensor | None]:
        """The batch at `position`: images in [-1, 1], (size, C, H, W), and labels, (size,)."""
        rows = self._rows.index_select(0, self.position)[0]
        if isinstance(self._images, Tensor):
            images = self._images.index_select(0, rows)
        else:
            assert self._ahead, "an epoch has begun"
            images = next(self._ahead)
        return from_uint8(images), None if self._labels is None else self._labels[rows]

    def take_few(self) -> tuple[Tensor, Tensor] | None:
        """As many of the few images with labels, which come in a new order whenever all have been
        seen: (size, C, H, W) and (size,); None where there are none.
        """
        if self._few is None:
            return None
        rows = self._few_rows.index_select(0, self.position)[0]
        return from_uint8(self._few[rows]), self._few_labels[rows]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor | None]]:
        """The batches of an epoch from `start` on, one after the other."""
        self.begin(epoch, start)
        try:
            for _ in range(start, len(self)):
                yield self.take()
                self.position.add_(1)
        finally:
            self.end()

    def end(self) -> None:
        """Read no more of the epoch."""
        self._ahead = None


def balanced(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Rows of `count` images, as many of each class, the first of an order that the seed gives."""
    classes = np.unique(labels)
    each = count // len(classes)
    if each * len(classes) != count:
        raise ParamsError(
            f"params.yaml: hparams.labels: found {count}, which {len(classes)} classes cannot "
            "share evenly"
        )
    order = np.random.default_rng((seed, 0, 2)).permutation(len(labels))
    rows = [order[labels[order] == label][:each] for label in classes]
    if (fewest := min(map(len, rows))) < each:
        raise ParamsError(
            f"params.yaml: hparams.labels: found {count}, {each} of each class; a class has "
            f"{fewest} training images"
        )
    return np.sort(np.concatenate(rows))


def _ahead(images: np.ndarray, batches: np.ndarray, device: torch.device) -> Iterator[Tensor]:
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
