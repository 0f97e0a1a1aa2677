"""Moving points through any energy: downhill, with noise, and with noise and a correction.

An energy here is a function of points, (..., D) -> (...); its density is exp(-E(x)) / Z. Each
sampler is an endless iterator over the states that follow `x`: who calls takes as many as wanted.
Z occurs nowhere: a gradient of the energy does not know it, and neither does a difference.

Sources: Roberts and Tweedie (1996), Exponential convergence of Langevin distributions and their
discrete approximations, Bernoulli 2(4): the Langevin algorithm, its bias, and its correction, MALA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

Energy = Callable[[Tensor], Tensor]


class Draws:
    """Random numbers for M members side by side, each from a generator of its own.

    What a member draws does not depend on who stands beside it, so that a member of a stack takes
    the path that it would take alone. Every shape begins with M.
    """

    def __init__(self, seeds: Sequence[int]):
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, (M, *shape)."""
        return torch.stack([torch.randn(shape, generator=g) for g in self.generators])

    def uniform(self, *shape: int) -> Tensor:
        """Uniform in [0, 1), (M, *shape)."""
        return torch.stack([torch.rand(shape, generator=g) for g in self.generators])

    def indices(self, below: int, *shape: int) -> Tensor:
        """Whole numbers in [0, below), (M, *shape)."""
        return torch.stack([torch.randint(below, shape, generator=g) for g in self.generators])


def gradient(energy: Energy, x: Tensor) -> tuple[Tensor, Tensor]:
    """E(x) and its gradient in x, (..., D) -> (...), (..., D); parameters get none."""
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        value = energy(x)
        (slope,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), slope


def descend(energy: Energy, x: Tensor, step: float) -> Iterator[Tensor]:
    """x <- x - step grad E(x): every point ends at the bottom of its valley."""
    while True:
        x = x - step * gradient(energy, x)[1]
        yield x


def langevin(energy: Energy, x: Tensor, step: float, draws: Draws) -> Iterator[Tensor]:
    """x <- x - step grad E(x) + sqrt(2 step) xi, x of shape (M, N, D).

    Unadjusted: its stationary distribution is exp(-E) only in the limit of small steps. A Gaussian
    of variance s^2 is sampled with variance s^2 / (1 - step / (2 s^2)).
    """
    while True:
        noise = draws.normal(*x.shape[1:])
        x = x - step * gradient(energy, x)[1] + (2 * step) ** 0.5 * noise
        yield x


def mala(energy: Energy, x: Tensor, step: float, draws: Draws) -> Iterator[Tensor]:
    """The same proposal, accepted with probability min(1, p(y) q(x | y) / (p(x) q(y | x))).

    Leaves exp(-E) / Z invariant at every step size; a point that is refused stays where it is.
    """
    value, slope = gradient(energy, x)
    while True:
        y = x - step * slope + (2 * step) ** 0.5 * draws.normal(*x.shape[1:])
        value_y, slope_y = gradient(energy, y)
        forth = (y - x + step * slope).square().sum(-1)  # - 4 step log q(y | x), up to a constant
        back = (x - y + step * slope_y).square().sum(-1)
        log_acceptance = value - value_y + (forth - back) / (4 * step)
        taken = draws.uniform(*x.shape[1:-1]).log() < log_acceptance
        x = torch.where(taken[..., None], y, x)
        value = torch.where(taken, value_y, value)
        slope = torch.where(taken[..., None], slope_y, slope)
        yield x


def after(count: int, states: Iterator[Tensor]) -> Tensor:
    """The state after `count` moves, at least one."""
    return next(islice(states, count - 1, None))
