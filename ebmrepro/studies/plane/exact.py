"""Densities and energies of the plane on one fine grid, where sums are as good as integrals."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ebmrepro.networks.samplers import Draws
from ebmrepro.studies.plane.partition import Grid


class Exact:
    """M true densities at the points of a grid.

    log_p: (K, 2) -> (M, K), -inf where a density is 0.
    """

    def __init__(self, grid: Grid, log_p: Callable[[Tensor], Tensor]):
        self.grid, self.points = grid, grid.points()
        self.log_p = log_p(self.points).double().log_softmax(1)  # of the cells: sums to 1 exactly
        self.p = self.log_p.exp()

    @torch.no_grad()
    def energies(self, energy: Callable[[Tensor], Tensor]) -> Tensor:
        """(M, K) float64."""
        return energy(self.points).double()

    def log_z(self, energies: Tensor) -> Tensor:
        """Of energies at the grid's points, (M, K) -> (M,) nats."""
        return (-energies).logsumexp(1) + self.grid.log_cell

    def kl(self, energies: Tensor) -> Tensor:
        """KL(p_data || p_model) of energies at the grid's points, (M, K) -> (M,) nats.

        sum p (log p - log q) with q = exp(-E) / sum exp(-E), both over cells; a cell without data
        adds nothing.
        """
        log_q = (-energies).log_softmax(1)
        return torch.where(self.p > 0, self.p * (self.log_p - log_q), 0.0).sum(1)

    def draw(self, energies: Tensor, n: int, draws: Draws) -> Tensor:
        """n independent points of exp(-E) / Z, (M, n, 2): a cell by its mass, a place in it."""
        q = energies.neg().softmax(1)
        cells = [
            self.points[torch.multinomial(row, n, replacement=True, generator=generator)]
            for row, generator in zip(q, draws.generators, strict=True)
        ]
        width = 2 * self.grid.half / self.grid.k
        return torch.stack(cells) + width * (draws.uniform(n, 2) - 0.5)


def total_variation(points: Tensor, cells: Tensor, grid: Grid, bins: int) -> Tensor:
    """Distance of points' histograms from exact distributions, (M,) in [0, 1].

    1/2 sum |share of points - mass| over bins x bins equal parts of the grid's square.

    points: (M, N, 2). cells: mass per cell of the grid, (M, K). Points outside the square count
    with the nearest bin.
    """
    members, part = len(cells), grid.k // bins
    mass = cells.reshape(members, bins, part, bins, part).sum((2, 4)).flatten(1)
    place = ((points + grid.half) / (2 * grid.half) * bins).floor().clamp(0, bins - 1).long()
    index = place[..., 0] * bins + place[..., 1]
    counts = torch.zeros_like(mass).scatter_add_(1, index, torch.ones_like(index).to(mass))
    return (counts / points.shape[1] - mass).abs().sum(1) / 2
