"""Running statistics of batch normalisation, estimated anew on images of one kind.

A GAN's D sees real and generated images in turn, each normalised by the statistics of its own
batch, and its running statistics mix both: in evaluation it is another function than was trained.
`torch.optim.swa_utils.update_bn` does the same for all layers of a module. Here only those count
that a function passes: G's statistics, of its own images alone, are what it was trained with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

import torch
from torch import Tensor, nn


@torch.no_grad()
def estimate(
    module: nn.Module, function: Callable[[Tensor], Tensor], batches: Iterable[Tensor]
) -> int:
    """Give the layers of `module` that `function` passes the mean over batches of their statistics.

    The module is in evaluation mode, and all but those layers stays so. Returns how many images it
    took; 0 where the function passes no batch normalisation.
    """
    passed = _passed(module, function, first := next(batches := iter(batches)))
    momenta = [layer.momentum for layer in passed]
    for layer in passed:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
        layer.train()
    images = 0
    for x in chain([first], batches) if passed else ():
        function(x)
        images += len(x)
    for layer, momentum in zip(passed, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
    return images


def _passed(
    module: nn.Module, function: Callable[[Tensor], Tensor], x: Tensor
) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    layers = [m for m in module.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    found: set[nn.Module] = set()
    hooks = [layer.register_forward_hook(lambda it, *_: found.add(it)) for layer in layers]
    if layers:
        function(x)
    for hook in hooks:
        hook.remove()
    return [layer for layer in layers if layer in found]
