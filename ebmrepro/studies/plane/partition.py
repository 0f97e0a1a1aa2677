"""log Z of any energy: by a grid, and by annealed importance sampling."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ebmrepro.config.plane import PlaneAIS
from ebmrepro.metrics import ais
from ebmrepro.networks.samplers import Draws, Energy

CHUNK = 1 << 18  # points of a grid that are in memory at once


@dataclass(frozen=True)
class Grid:
    """k^D points, the middles of as many equal cells of the cube [-half, half]^D."""

    half: float
    k: int  # points per axis
    dimension: int

    def __len__(self) -> int:
        return self.k**self.dimension

    @property
    def log_cell(self) -> float:
        """log of a cell's volume."""
        return self.dimension * math.log(2 * self.half / self.k)

    def points(self) -> Tensor:
        """All points, (k^D, D), float32; the last coordinate runs fastest."""
        return torch.cat(list(self.chunks()))

    def chunks(self) -> Iterator[Tensor]:
        """The same points a part at a time: a grid of six dimensions need not fit into memory."""
        steps = torch.arange(self.k, dtype=torch.float64)
        axis = ((2 * (steps + 0.5) / self.k - 1) * self.half).float()
        powers = torch.tensor([self.k**i for i in reversed(range(self.dimension))])
        for start in range(0, len(self), CHUNK):
            index = torch.arange(start, min(start + CHUNK, len(self)))
            yield axis[index[:, None] // powers % self.k]


@torch.no_grad()
def log_z(energy: Energy, grid: Grid) -> Tensor:
    """log Z = log of the integral of exp(-E) over the grid's cube, by the midpoint rule.

    The energy may answer with leading axes, (N, D) -> (..., N): one Z for each, float64 (...).
    For a smooth energy whose density vanishes at the cube's faces the error falls faster than any
    power of k. The number of evaluations is k^D.
    """
    parts = [(-energy(x).double()).logsumexp(-1) for x in grid.chunks()]
    return torch.stack(parts).logsumexp(0) + grid.log_cell


def annealed(energy: Energy, draws: Draws, dimension: int, spec: PlaneAIS) -> list[ais.Estimate]:
    """The same of M energies, (M, N, D) -> (M, N), without a grid."""
    path = ais.FromGaussian(energy, draws, spec.chains, dimension, spec.base_sd, spec.step)
    betas = [i / (spec.temperatures - 1) for i in range(spec.temperatures)]
    weights = ais.log_weights(path, betas)
    return [ais.estimate(row, path.log_z_0, spec.temperatures) for row in weights]
