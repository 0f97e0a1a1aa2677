"""Annealed importance sampling: an estimate of log Z that does not visit every point of a grid.

Neal (2001), Annealed importance sampling, Statistics and Computing 11; Salakhutdinov and Murray
(2008), On the quantitative analysis of deep belief networks, ICML. Chains start in a distribution
p_0 that can be drawn from and whose Z_0 is known, and move through p_beta to p_1, the distribution
in question. Each chain's weight is an unbiased estimate of Z_1 / Z_0. Its logarithm is not
unbiased: log Z comes out too low on average, so a log-likelihood too high.

Backwards, from p_1 to p_0, the mean weight estimates Z_0 / Z_1 and log Z comes out too high: the
two bracket it (Burda, Grosse, Salakhutdinov (2015), Accurate and conservative estimates of MRF
log-likelihood using reverse annealing, AISTATS). That holds where the chains start at exact draws
from p_1; those of a sampler that has not mixed see less than p_1 has, and may come out too low.

What is annealed is a `Path`: energies on the plane here, an RBM's free energies elsewhere (there
log_z_0 = H log 2 + sum_i log(1 + exp(b_i)), and a move is a Gibbs step).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from ebmrepro.networks import samplers
from ebmrepro.networks.samplers import Draws


class Path(Protocol):
    """Unnormalised distributions f_beta for beta in [0, 1]; states are (..., N, D)."""

    @property
    def log_z_0(self) -> float: ...  # log of the integral (or sum) of f_0, in nats

    def start(self) -> Tensor: ...  # independent draws from f_0 / Z_0, one per chain

    def log_f(self, x: Tensor, beta: float) -> Tensor: ...  # of each state, (..., N)

    def move(self, x: Tensor, beta: float) -> Tensor:
        """A transition that leaves f_beta / Z_beta invariant, and is its own reversal."""
        ...


@dataclass(frozen=True)
class Estimate:
    """log Z in nats, with the interval of its mean weight, and what it rests on."""

    log_z: float
    low: float
    high: float
    effective: float  # effective sample size (sum w)^2 / sum w^2, between 1 and `chains`
    chains: int
    temperatures: int  # distributions on the path, both ends included


def log_weights(path: Path, betas: Sequence[float]) -> Tensor:
    """log of each chain's weight, an estimate of log Z_1 - log Z_0, (..., N) float64.

    log w = sum_t log f_{beta_t}(x_t) - log f_{beta_{t-1}}(x_t), where x_1 is drawn from p_0 and
    x_{t+1} is a move from x_t under beta_t.

    Raises:
        ValueError: `betas` do not rise from 0 to 1.
    """
    _check(betas)
    return _walk(path, path.start(), betas)


def reverse_log_weights(path: Path, betas: Sequence[float], x: Tensor) -> Tensor:
    """The same backwards from draws `x` of f_1 / Z_1: estimates of log Z_0 - log Z_1."""
    _check(betas)
    return _walk(path, x, betas[::-1])


def _check(betas: Sequence[float]) -> None:
    if len(betas) < 2 or betas[0] != 0 or betas[-1] != 1 or any(b <= a for a, b in pairwise(betas)):
        raise ValueError(
            f"betas: found {len(betas)} from {betas[:1]}, want them to rise from 0 to 1"
        )


def _walk(path: Path, x: Tensor, betas: Sequence[float]) -> Tensor:
    total = torch.zeros(x.shape[:-1], dtype=torch.float64, device=x.device)
    for before, beta in pairwise(betas):
        total += path.log_f(x, beta).double() - path.log_f(x, before).double()
        if beta != betas[-1]:
            x = path.move(x, beta)
    return total


def estimate(weights: Tensor, log_z_0: float, temperatures: int, level: float = 0.95) -> Estimate:
    """log Z_1 from the log weights of N chains, (N,).

    The interval is log of the mean weight -+ z s / (mean sqrt(N)), the delta method's. It can only
    know of the weights it has seen: where a few chains carry all weight (`effective` near 1), the
    truth is easily above it.
    """
    n = len(weights)
    scaled = (weights - weights.max()).exp()
    mean, square = scaled.mean().item(), scaled.square().mean().item()
    log_z = log_z_0 + weights.max().item() + math.log(mean)
    variation = max(square / mean**2 - 1, 0.0) * n / max(n - 1, 1)  # s^2 / mean^2
    quantile = torch.special.ndtri(torch.tensor((1 + level) / 2, dtype=torch.float64)).item()
    half = quantile * math.sqrt(variation / n)
    effective = n * mean**2 / square
    return Estimate(log_z, log_z - half, log_z + half, effective, n, temperatures)


def estimate_within(weights: Tensor, log_z_0: float, temperatures: int, errors: float) -> Estimate:
    """log Z_1 from the log weights of N chains, (N,), between bounds of the mean weight itself.

    The interval is log(mean weight -+ `errors` standard errors), as Salakhutdinov and Murray's
    demonstration prints it with 3. The errors are added before the logarithm is taken, so it
    reaches further down than up; where they exceed the mean, `low` is minus infinity.
    """
    n, top = len(weights), weights.max().item()
    scaled = (weights - top).exp()
    mean, square = scaled.mean().item(), scaled.square().mean().item()
    half = errors * (scaled.std().item() if n > 1 else math.inf) / math.sqrt(n)
    low, high = (math.log(m) if m > 0 else -math.inf for m in (mean - half, mean + half))
    base = log_z_0 + top
    effective = n * mean**2 / square
    return Estimate(base + math.log(mean), base + low, base + high, effective, n, temperatures)


def reversed_within(weights: Tensor, log_z_0: float, temperatures: int, errors: float) -> Estimate:
    """log Z_1 from `reverse_log_weights`, (N,): log Z_0 - log(mean weight -+ `errors` errors)."""
    back = estimate_within(weights, 0.0, temperatures, errors)
    log_z, low, high = (log_z_0 - ratio for ratio in (back.log_z, back.high, back.low))
    return Estimate(log_z, low, high, back.effective, back.chains, temperatures)


@dataclass(frozen=True)
class FromGaussian:
    """exp(-E) of M members' energies, (M, N, D) -> (M, N), annealed from a Gaussian around 0.

    log f_beta = (1 - beta) log N(x; 0, sd^2) - beta E(x), with log Z_0 = 0; a move is one of MALA.
    """

    energy: Callable[[Tensor], Tensor]
    draws: Draws
    chains: int
    dimension: int
    sd: float
    step: float

    @property
    def log_z_0(self) -> float:
        return 0.0

    def start(self) -> Tensor:
        return self.sd * self.draws.normal(self.chains, self.dimension)

    def log_f(self, x: Tensor, beta: float) -> Tensor:
        with torch.no_grad():
            return -self._annealed(x, beta)

    def move(self, x: Tensor, beta: float) -> Tensor:
        return next(samplers.mala(lambda y: self._annealed(y, beta), x, self.step, self.draws))

    def _annealed(self, x: Tensor, beta: float) -> Tensor:
        base = x.square().sum(-1) / (2 * self.sd**2)
        base = base + self.dimension / 2 * math.log(2 * math.pi * self.sd**2)
        return (1 - beta) * base + beta * self.energy(x) if beta else base
