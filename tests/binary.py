"""All states of binary units, for sums by hand."""

import itertools

import torch


def states(n: int) -> torch.Tensor:
    """All 2^n of n units, in rows."""
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)))
