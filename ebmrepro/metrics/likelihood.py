"""Log-likelihood of binary images under an RBM, and its lower bound under a stack of them (a DBN).

Salakhutdinov and Murray (2008), On the quantitative analysis of deep belief networks, ICML.

An RBM's log p(v) = - F(v) - log Z, log Z by annealed importance sampling. Of a stack, for any q,

    log p(v) >= E_q [ log p(v | h_1) + ... + log p*(h_top) ] - log Z_top + entropy of q

where p(v | h_1), ... are the lower RBMs downwards, p* = exp(-F) of the top RBM, and q goes upwards
layer by layer, each layer's units independent given a sample of the one below. The interval of
log Z is that of every number made from it; it is the only error that is stated.

AIS from the base rates comes out low on average, AIS back from the model's own chains high; what
lies between is `log_z_gap`, and whether those chains have mixed is `r_hat`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ebmrepro.metrics import ais, partition_rbm, r_hat
from ebmrepro.networks.energies import RBM

ERRORS = 3  # standard errors of the mean weight in an interval, as in the authors' demonstration
BATCH = 1000  # images, and chains of trials, at once


class AIS(Protocol):
    """Settings of annealed importance sampling, as `methods/rbm.py` declares them."""

    chains: int
    base_counts: float | None
    burn_in: int

    @property
    def betas(self) -> list[float]: ...


class Likelihoods(Protocol):
    """Settings of `measure`, of the same file."""

    seed: int
    train: int
    posterior: int
    trials: int

    @property
    def ais(self) -> AIS: ...


@torch.no_grad()
def measure(
    stack: Sequence[RBM], images: Mapping[str, Tensor], asked: Likelihoods
) -> dict[str, float]:
    """Mean log-likelihood (one RBM) or its lower bound (several) in nats per image, and what it
    rests on.

    `images` holds the pixels' probabilities of `train` and `test`, (N, V) in [0, 1]; they are
    binarised here, once, and bits stay as they are. AIS starts from the base rates of the training
    images.
    """
    draws = torch.Generator(stack[0].b.device).manual_seed(asked.seed)
    seen = _binarised(images["train"][: asked.train], draws)
    unseen = _binarised(images["test"], draws)
    top = stack[-1]
    states = _upwards(stack, seen, draws)
    base = partition_rbm.base_rates(states, asked.ais.base_counts)
    (z,) = _estimates(top, base, asked.ais, 1, draws)

    name = "log_likelihood" if len(stack) == 1 else "log_likelihood_bound"
    test, train = (
        log_p_star(stack, v, asked.posterior, draws).mean().item() for v in (unseen, seen)
    )
    values = {
        name: test - z.log_z,
        f"{name}_low": test - z.high,
        f"{name}_high": test - z.low,
        f"{name}_train": train - z.log_z,
        "log_z": z.log_z,
        "log_z_low": z.low,
        "log_z_high": z.high,
        "ais_effective": z.effective,
        "ais_chains": z.chains,
        "ais_temperatures": z.temperatures,
    }
    if top.c.numel() <= partition_rbm.MOST_HIDDEN:
        exact = partition_rbm.exact_log_z(top)
        values |= {"log_z_exact": exact, f"{name}_exact": test - exact}
        values |= against_exact(top, base, asked.ais, asked.trials, exact, draws)
    return values | from_above(top, base, states, asked.ais, z, draws)


@torch.no_grad()
def from_above(
    rbm: RBM, base: Tensor, states: Tensor, asked: AIS, below: ais.Estimate, draws: torch.Generator
) -> dict[str, float]:
    """log Z by AIS back from the RBM's own chains, and how far it lies above `below`.

    Chains start apart, half of them at training states (N, V) and half at the base rates: chains
    that started alike could agree without having mixed.
    """
    path = partition_rbm.FromBaseRates(rbm, base, asked.chains, draws)
    v = path.start()[:, : len(base)]
    data = states[: asked.chains // 2]
    v[: len(data)] = data
    x, free = path.settle(v, asked.burn_in)
    weights = ais.reverse_log_weights(path, asked.betas, x)
    above = ais.reversed_within(weights, path.log_z_0, len(asked.betas), ERRORS)
    return {
        "log_z_above": above.log_z,
        "log_z_above_high": above.high,
        "log_z_gap": above.log_z - below.log_z,
        "ais_effective_above": above.effective,
        "r_hat": r_hat.settled(free),
    }


def log_p_star(stack: Sequence[RBM], v: Tensor, samples: int, draws: torch.Generator) -> Tensor:
    """What of log p(v), or of its lower bound, does not depend on log Z_top, (N, V) -> (N,).

    Of one RBM it is - F(v), without sampling; of more, the mean over `samples` of q.
    """
    passes = samples if len(stack) > 1 else 1
    parts = [
        torch.stack([_one_pass(stack, part, draws) for _ in range(passes)]).mean(0)
        for part in v.split(BATCH)
    ]
    return torch.cat(parts)


def against_exact(
    rbm: RBM, base: Tensor, asked: AIS, trials: int, exact: float, draws: torch.Generator
) -> dict[str, float]:
    """How often AIS's own interval holds the exact log Z, and its error, over many trials."""
    found = _estimates(rbm, base, asked, trials, draws)
    errors = torch.tensor([z.log_z - exact for z in found], dtype=torch.float64)
    return {
        "ais_trials": trials,
        "ais_within": sum(z.low <= exact <= z.high for z in found) / trials,
        "ais_error": errors.mean().item(),
        "ais_error_worst": errors.abs().max().item(),
    }


def _estimates(
    rbm: RBM, base: Tensor, asked: AIS, trials: int, draws: torch.Generator
) -> list[ais.Estimate]:
    """log Z of independent trials, of which several move as one batch."""
    at_once, betas = max(1, BATCH // asked.chains), asked.betas
    found = []
    for first in range(0, trials, at_once):
        chains = asked.chains * min(at_once, trials - first)
        path = partition_rbm.FromBaseRates(rbm, base, chains, draws)
        weights = ais.log_weights(path, betas).split(asked.chains)
        found += [ais.estimate_within(w, path.log_z_0, len(betas), ERRORS) for w in weights]
    return found


def _one_pass(stack: Sequence[RBM], v: Tensor, draws: torch.Generator) -> Tensor:
    """One sample of log p*(v, h_1, ...) - log q(h_1, ... | v), the entropy of q exact, (N,)."""
    total = torch.zeros(len(v), dtype=torch.float64, device=v.device)
    for rbm in stack[:-1]:
        field = v @ rbm.W + rbm.c
        h = _binarised(field.sigmoid(), draws)
        total += (F.softplus(field) - field * field.sigmoid()).sum(1, dtype=torch.float64)
        downwards = h @ rbm.W.T + rbm.b
        total += (v * downwards - F.softplus(downwards)).sum(1, dtype=torch.float64)
        v = h
    return total - stack[-1](v).double()


def _upwards(stack: Sequence[RBM], v: Tensor, draws: torch.Generator) -> Tensor:
    """States of the top RBM's visible units, from a sampled pass up."""
    for rbm in stack[:-1]:
        v = _binarised(rbm.up(v), draws)
    return v


def _binarised(p: Tensor, draws: torch.Generator) -> Tensor:
    return (torch.rand(p.shape, generator=draws, device=p.device) < p).to(p.dtype)
