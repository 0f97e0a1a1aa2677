"""A classifier from labelled images, by cross-entropy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ebmrepro.config.optimisers import Optim
from ebmrepro.networks import images
from ebmrepro.training.batches import Batches
from ebmrepro.training.loop import Player

AT_A_TIME = 1000  # images of one pass


def train(
    network: nn.Module,
    x: np.ndarray,
    y: np.ndarray,
    optim: Optim,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
) -> Iterator[int]:
    """Train on images, uint8 (N, C, H, W), and labels (N,), on the CPU; yields each epoch done."""
    batches = Batches(x, y, batch_size, seed, torch.device("cpu"))
    player = Player(network, optim)
    for epoch in range(epochs):
        for pictures, labels in batches.epoch(epoch):
            assert labels is not None
            player.take(cross_entropy(network(pictures), labels))
        player.end_epoch()
        yield epoch + 1


@torch.no_grad()
def logits(network: nn.Module, x: np.ndarray) -> Tensor:
    """Of images, uint8 (N, C, H, W): float32 (N, classes)."""
    parts = (x[i : i + AT_A_TIME] for i in range(0, len(x), AT_A_TIME))
    return torch.cat([network(images.from_uint8(part)) for part in parts])
