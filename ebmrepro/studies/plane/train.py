"""An energy learnt three ways: contrastive divergence, maximum likelihood, EBGAN's margin.

All three push the energy down at the data and up elsewhere; they differ in where "elsewhere" is.

    cd     at the ends of Langevin chains on the energy itself
    ml     everywhere, by exp(-E) / Z: Z is a sum over a grid, which only the plane affords
    ebgan  where a generator puts its points, up to a margin m

Sources: Hinton (2002), Training products of experts by minimizing contrastive divergence;
Tieleman (2008), Training restricted Boltzmann machines using approximations to the likelihood
gradient; Zhao, Mathieu and LeCun (2017), Energy-based generative adversarial network,
arXiv:1609.03126.

Departures. From Hinton: chains go on from step to step (Tieleman) and a share begins anew in the
square, because chains of a few moves that begin at the data leave deep valleys where no data are.
From EBGAN: points instead of images, and networks to match; G's points are held within the walls
by a tanh; D and G move on the same z; the code is as wide as the plane, so that only the margin
keeps the auto-encoder from copying everything. In all three the learning rate
falls to 0 linearly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ebmrepro.config.optimisers import Adam
from ebmrepro.config.plane import Chains, Fundamentals, Game, Likelihood, Margin
from ebmrepro.networks import samplers
from ebmrepro.networks.samplers import Draws
from ebmrepro.studies.plane.energies import Plain, PlaneEnergy, Reconstruction, Stack
from ebmrepro.studies.plane.partition import Grid
from ebmrepro.training import optimisers


class Descent:
    """Adam with a rate that falls to 0, linearly over `steps` moves."""

    def __init__(self, network: nn.Module, spec: Adam, steps: int):
        self.rule: Any = optimisers.make(list(network.parameters()), spec)
        self.factors = iter([1 - i / steps for i in range(steps)])

    def __call__(self, loss: Tensor) -> None:
        """One move down `loss`, in these parameters and in no others."""
        self.rule.clear()
        loss.backward(inputs=self.rule.parameters)
        self.rule.scale(next(self.factors))
        self.rule.step()


def batch(data: Tensor, n: int, draws: Draws) -> Tensor:
    """n points of each member's data, (M, N, 2) -> (M, n, 2)."""
    chosen = draws.indices(data.shape[1], n)
    return data.gather(1, chosen[..., None].expand(-1, -1, 2))


def _plain(draws: Draws, asked: Fundamentals) -> Plain:
    return Plain(Stack([2, *asked.network.hidden, 1], asked.network.spread, draws), asked.domain)


def contrastive_divergence(
    data: Tensor, draws: Draws, spec: Chains, asked: Fundamentals
) -> Iterator[PlaneEnergy]:
    """The energy before training and after every step; one object, that moves on."""
    E = _plain(draws, asked)
    descend = Descent(E, spec.optim, spec.steps)
    chains = scattered(draws, spec.batch_size, asked)
    yield E
    for _ in range(spec.steps):
        x = batch(data, spec.batch_size, draws)
        anew = draws.uniform(spec.batch_size, 1) < spec.restart
        chains = torch.where(anew, scattered(draws, spec.batch_size, asked), chains)
        moves = samplers.langevin(E, chains, spec.langevin_step, draws)
        chains = samplers.after(spec.langevin_steps, moves)
        real, fake = E(torch.cat([x, chains], 1)).split(spec.batch_size, 1)
        descend((real.mean(1) - fake.mean(1)).sum())  # E_data[E(x)] - E_chains[E(x)]
        yield E


def maximum_likelihood(
    data: Tensor, draws: Draws, spec: Likelihood, asked: Fundamentals
) -> Iterator[PlaneEnergy]:
    """The same, down the negative log-likelihood itself.

    The grid is shifted at random at every step: Z's estimate is then unbiased, and no mass can
    hide between its points.
    """
    E = _plain(draws, asked)
    descend = Descent(E, spec.optim, spec.steps)
    grid = Grid(asked.domain.half, spec.grid, 2)
    points, cell = grid.points(), 2 * grid.half / grid.k
    yield E
    for _ in range(spec.steps):
        x = batch(data, spec.batch_size, draws)
        shifted = points + (draws.uniform(1, 2) - 0.5) * cell
        real, everywhere = E(torch.cat([x, shifted], 1)).split([spec.batch_size, len(grid)], 1)
        log_z = (-everywhere).logsumexp(1) + grid.log_cell
        descend((real.mean(1) + log_z).sum())  # - log p(x) = E(x) + log Z
        yield E


def margin(data: Tensor, draws: Draws, spec: Margin, asked: Fundamentals) -> Iterator[PlaneEnergy]:
    """The same, down EBGAN's losses, against a generator that learns beside the energy."""
    D, G, down_D, down_G = players(draws, spec, asked)
    yield D
    for _ in range(spec.steps):
        x, z = batch(data, spec.batch_size, draws), draws.normal(spec.batch_size, spec.z)
        x_g = asked.domain.wall * torch.tanh(G(z))
        real, fake = D.inside(torch.cat([x, x_g.detach()], 1)).split(spec.batch_size, 1)
        hinge = (spec.margin - fake).clamp_min(0)
        down_D((real.mean(1) + hinge.mean(1)).sum())  # L_D = D(x) + [m - D(G(z))]^+
        down_G(D.inside(x_g).mean(1).sum())  # L_G = D(G(z))
        yield D


def players(
    draws: Draws, spec: Game, asked: Fundamentals
) -> tuple[Reconstruction, Stack, Descent, Descent]:
    """D, an auto-encoder whose error is the energy, and G, z -> points; and what moves each."""
    hidden, spread = asked.network.hidden, asked.network.spread
    auto_encoder = Stack([2, hidden[0], spec.code, hidden[0], 2], spread, draws)
    D = Reconstruction(auto_encoder, asked.domain)
    G = Stack([spec.z, *hidden, 2], spread, draws)
    return D, G, Descent(D, spec.D, spec.steps), Descent(G, spec.G, spec.steps)


def scattered(draws: Draws, n: int, asked: Fundamentals) -> Tensor:
    """n points per member, uniform within the walls, (M, n, 2)."""
    return asked.domain.wall * (2 * draws.uniform(n, 2) - 1)


def ways(
    data: Tensor, draws: Callable[[str], Draws], asked: Fundamentals
) -> Iterator[tuple[str, int, Iterator[PlaneEnergy]]]:
    """(name, steps, training) of each way, each with draws of its own."""
    spec = asked.training
    yield "cd", spec.cd.steps, contrastive_divergence(data, draws("cd"), spec.cd, asked)
    yield "ml", spec.ml.steps, maximum_likelihood(data, draws("ml"), spec.ml, asked)
    yield "ebgan", spec.ebgan.steps, margin(data, draws("ebgan"), spec.ebgan, asked)
