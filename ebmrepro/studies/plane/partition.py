"""What holds for any energy: the ratio of two densities needs no Z, and what Z costs on a grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 1 << 18  # points of a grid that are in memory at once


def log_ratio(energy: Callable[[Tensor], Tensor], x: Tensor, other: Tensor) -> Tensor:
    """log p(x) / p(x') = E(x') - E(x): Z stands in both densities and cancels."""
    return energy(other) - energy(x)


@dataclass(frozen=True)
class Grid:
    """k^D points, the middles of as many equal cells of the cube [-half, half]^D."""

    half: float
    k: int  # points per axis
    dimension: int

    def __len__(self) -> int:
        return self.k**self.dimension

    @property
    def axis(self) -> Tensor:
        """The points of one axis, (k,), float64."""
        steps = torch.arange(self.k, dtype=torch.float64)
        return (2 * (steps + 0.5) / self.k - 1) * self.half

    @property
    def log_cell(self) -> float:
        """log of a cell's volume."""
        return self.dimension * math.log(2 * self.half / self.k)

    def points(self) -> Tensor:
        """All points, (k^D, D), float32; the last coordinate runs fastest."""
        return torch.cat(list(self.chunks()))

    def chunks(self) -> Iterator[Tensor]:
        """The same points a part at a time: a grid of six dimensions need not fit into memory."""
        axis = self.axis.float()
        powers = torch.tensor([self.k**i for i in reversed(range(self.dimension))])
        for start in range(0, len(self), CHUNK):
            index = torch.arange(start, min(start + CHUNK, len(self)))
            yield axis[index[:, None] // powers % self.k]


@torch.no_grad()
def log_z(energy: Callable[[Tensor], Tensor], grid: Grid) -> Tensor:
    """log Z = log of the integral of exp(-E) over the grid's cube, by the midpoint rule.

    The energy may answer with leading axes, (N, D) -> (..., N): one Z for each, float64 (...).
    For a smooth energy whose density vanishes at the cube's faces the error falls faster than any
    power of k. The number of evaluations is k^D.
    """
    parts = [(-energy(x).double()).logsumexp(-1) for x in grid.chunks()]
    return torch.stack(parts).logsumexp(0) + grid.log_cell
