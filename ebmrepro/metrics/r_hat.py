"""Split-R-hat: whether chains of one sampler agree with one another, and each with itself.

Gelman, Carlin, Stern, Dunson, Vehtari, Rubin (2013), Bayesian Data Analysis, third edition, 11.4;
without the ranks of Vehtari et al. (2021). Chains are cut in two, so that one that still drifts
disagrees with itself. Near 1 is needed, and is not enough: chains that all stay away from the same
mode agree.
"""

import math

import torch
from torch import Tensor

from ebmrepro.metrics.catalogue import Measure
from ebmrepro.metrics.measurement import Measurement

LIMIT = 1.1  # above which chains have not mixed, as the book has it

MEASURES = {
    "r_hat_samples": Measure(
        "Split-R-hat of the sampler's chains",
        "Of the free energy over the second half of chains like those that draw the generated "
        "images, as many Gibbs steps long, with random bits of their own; where labels are "
        "clamped, the largest over labels. Above 1.1 the images are not yet draws from the model.",
        better="lower",
    ),
    "r_hat": Measure(
        "Split-R-hat of the chains of reverse AIS",
        "Of the free energy over the second half of the Gibbs chains at whose ends reverse AIS "
        "starts, half of them from training images and half from the base rates. Above 1.1 the "
        "high end of log Z cannot be trusted.",
        better="lower",
    ),
}


def split_r_hat(draws: Tensor) -> float:
    """Of a scalar along chains, (chains, steps); at least four steps, an odd one in the middle is
    left out. Infinite where no half of a chain moves and they differ.

    With n steps in a half, W the mean variance within halves and B / n the variance of their
    means: sqrt((n - 1) / n + B / (n W)).

    Raises:
        ValueError: there are fewer than four steps.
    """
    n = draws.shape[1] // 2
    if n < 2:
        raise ValueError(f"steps of a chain: found {draws.shape[1]}; at least 4 are needed")
    halves = torch.cat([draws[:, :n], draws[:, -n:]]).double()
    within, between = halves.var(1).mean().item(), halves.mean(1).var().item()
    if within == 0:
        return 1.0 if between == 0 else math.inf
    return math.sqrt((n - 1) / n + between / within)


def of_chains(free: Tensor) -> Measurement:
    """Of free energies along the chains that draw images, (groups, chains, steps)."""
    groups, chains, steps = free.shape
    if steps < 8:  # then there are no two halves of a half
        why = f"chains of {steps} steps are too short to tell; 8 are needed"
        return Measurement({"r_hat_samples": None}, {"r_hat_samples": why})
    worst = max(settled(group) for group in free)
    of = f"{groups} labels, {chains} chains each" if groups > 1 else f"{chains} chains"
    apart = f"chains of {steps} steps have not mixed: the images are not yet the model's"
    return Measurement(
        {"r_hat_samples": worst},
        flags={"r_hat_samples": apart if worst > LIMIT else None},
        protocol={"r_hat_samples": f"{of}, of {steps} steps, seed 0"},
    )


def settled(free: Tensor) -> float:
    """Split-R-hat over the second half of chains, (chains, steps)."""
    return split_r_hat(free[:, free.shape[1] // 2 :])
