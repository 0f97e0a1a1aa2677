"""A running average of a network's weights, which draws in place of the weights after training.

    average <- decay average + (1 - decay) weights    after each move of the network

It begins at the first weights, so it means something after several times 1 / (1 - decay) moves.
Nothing is learnt from it: the training is the one without. The running statistics of batch
normalisation belong to the weights and are averaged with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

STATISTICS = ("running_mean", "running_var")  # of batch normalisation


class Average:
    """Of all parameters and statistics of a network; `values` is its whole state."""

    def __init__(self, network: nn.Module, decay: float):
        buffers = network.named_buffers()
        statistics = [b for name, b in buffers if name.rpartition(".")[2] in STATISTICS]
        self.decay = decay
        self.weights: list[Tensor] = [*network.parameters(), *statistics]
        self.values = [weight.detach().clone() for weight in self.weights]

    @torch.no_grad()
    def add(self) -> None:
        """Take in the weights as they are now."""
        lerp = torch._foreach_lerp_  # pyright: ignore[reportPrivateImportUsage]
        lerp(self.values, self.weights, 1 - self.decay)

    def load(self, values: Sequence[Tensor]) -> None:
        """Go on from saved `values`."""
        _copy(values, self.values)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """For the time of this context the network has the average as its weights."""
        moving = [weight.detach().clone() for weight in self.weights]
        _copy(self.values, self.weights)
        try:
            yield
        finally:
            _copy(moving, self.weights)


@torch.no_grad()
def _copy(values: Sequence[Tensor], to: Sequence[Tensor]) -> None:
    for own, value in zip(to, values, strict=True):
        own.copy_(value)
