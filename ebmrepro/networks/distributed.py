"""One training in several processes, its ranks, each on its own rows of every batch.

`torchrun` starts them, on one machine or many, and tells each its number through the environment;
the stage command is the one that trains in a single process. Rank 0 writes; the others compute.
A batch is that of `params.yaml`, whatever the number of ranks: it is split, never multiplied.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

T = TypeVar("T")


def count() -> int:
    """Number of ranks; 1 where torchrun has not started this process."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def number() -> int:
    """This process's, from 0."""
    return int(os.environ.get("RANK", "0"))


def on_this_machine() -> int | None:
    """This process's number among those of its machine, which chooses its GPU; None if alone."""
    return int(os.environ["LOCAL_RANK"]) if count() > 1 else None


def rows(size: int) -> slice:
    """This rank's of `size` rows, which divide evenly."""
    own = size // count()
    return slice(number() * own, (number() + 1) * own)


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """For the time of this context the ranks hear each other; nothing to do where there is one."""
    if count() == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)  # else objects would travel by the first GPU
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def total(value: Tensor) -> Tensor:
    """Sum over the ranks, without gradient; where there is one, the tensor itself."""
    if count() == 1:
        return value
    found = value.detach().clone()
    distributed.all_reduce(found)
    return found


def mean(value: Tensor) -> Tensor:
    """Average over the ranks, without gradient; where there is one, the tensor itself."""
    return value if count() == 1 else total(value) / count()


def joint_mean(own: Tensor) -> Tensor:
    """Average over the ranks, through which each rank's loss reaches the rows of all."""
    return own if count() == 1 else _JointMean.apply(own)  # pyright: ignore[reportReturnType]


class _JointMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        return mean(own)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return mean(gradients[0])


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Put the mean over the ranks into every gradient, in one message."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if count() == 1 or not gradients:
        return
    joint = mean(torch.cat([gradient.flatten() for gradient in gradients]))
    parts = joint.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def from_first(value: T) -> T:
    """What rank 0 holds, on every rank; the others' `value` is dropped."""
    if count() == 1:
        return value
    box = [value]
    distributed.broadcast_object_list(box)
    return box[0]
