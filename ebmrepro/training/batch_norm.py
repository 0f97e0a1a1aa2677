"""Batch normalisation over a batch that several ranks share.

The papers normalise by the statistics of the batch. A rank has only its rows of it, so its layers
must ask the others; otherwise the statistics, and the results, would depend on the number of ranks.
(torch's SyncBatchNorm does the same and needs a GPU.)
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ebmrepro.networks import distributed


class OverRanks(nn.Module):
    """Normalises (N, C, ...) by mean and variance over the rows of all ranks.

    It has the parameters and buffers of the layer that it replaces, under the same names.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, alone: nn.BatchNorm1d | nn.BatchNorm2d):
        super().__init__()
        self.eps, self.momentum = alone.eps, cast(float, alone.momentum)
        self.weight, self.bias = alone.weight, alone.bias
        for name, buffer in alone.named_buffers():
            self.register_buffer(name, buffer)

    def forward(self, given: Tensor) -> Tensor:
        x = given.float()  # statistics of bfloat16 are float32 as well
        shape = [1, -1] + [1] * (x.ndim - 2)
        mean, variance = self.running_mean, self.running_var
        if self.training:
            over = [0, *range(2, x.ndim)]
            mean = distributed.joint_mean(x.mean(over))
            variance = distributed.joint_mean((x - mean.view(shape)).square().mean(over))
            self._remember(mean, variance, x.numel() // x.shape[1] * distributed.count())
        scale = (variance + self.eps).rsqrt()
        if self.weight is None:
            normed = (x - mean.view(shape)) * scale.view(shape)
        else:
            scale = self.weight * scale
            normed = (x - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)
        return normed.to(given.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, n: int) -> None:
        """The running statistics, as nn.BatchNorm keeps them: the variance unbiased."""
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * n / (n - 1), self.momentum)


def over_ranks(module: nn.Module) -> None:
    """Have every batch normalisation in a module ask the other ranks, with the weights it has."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            setattr(module, name, OverRanks(child))
        else:
            over_ranks(child)
