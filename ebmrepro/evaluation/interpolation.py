"""Paths through a generator's z between real images, as in BEGAN's figure 4.

Berthelot, Schumm, Metz: BEGAN. 2017, arXiv:1703.10717. A generator has no encoder, so the z of a
real image x is searched for: z = argmin | x - G(z) |, by Adam. Such a path says whether G has
learnt a space of images or single ones: what lies between should be images as well. The figure
goes from a face to its mirror image.

G here is any function of z, (N, K) -> (N, C, H, W) in [-1, 1], in evaluation mode. Left open by
what could be read of the paper, and so arguments: the steps and the rate of the search, where it
starts, and whether z is held inside its prior.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ebmrepro.config.optimisers import Adam
from ebmrepro.training import optimisers

Generator = Callable[[Tensor], Tensor]


def find(
    G: Generator, x: Tensor, start: Tensor, steps: int, optim: Adam, within: float = math.inf
) -> Tensor:
    """The z with the least mean of |x - G(z)| that a search from `start` meets, (N, K).

    `within` is how far from 0 a number of z may be: 1 for a prior that is uniform on [-1, 1].
    """
    z = nn.Parameter(start.clone())
    optimiser = optimisers.make([z], optim)
    found, least = start.clone(), torch.full_like(start[:, 0], math.inf)
    for step in range(steps + 1):
        error = (x - G(z)).abs().flatten(1).mean(1)
        better = error.detach() < least
        found[better], least[better] = z.detach()[better], error.detach()[better]
        if step < steps:
            optimiser.clear()
            error.sum().backward(inputs=[z])  # a sum: no image's search depends on the others
            optimiser.step()
            z.data.clamp_(-within, within)
    return found


@torch.no_grad()
def path(G: Generator, x_a: Tensor, x_b: Tensor, z_a: Tensor, z_b: Tensor, count: int) -> Tensor:
    """Rows of images (N, count + 2, C, H, W): x_a, `count` images from G(z_a) to G(z_b), x_b."""
    return torch.cat([x_a[:, None], plain(G, z_a, z_b, count), x_b[:, None]], dim=1)


def between(
    G: Generator,
    x_a: Tensor,
    x_b: Tensor,
    start: Tensor,
    count: int,
    steps: int,
    optim: Adam,
    within: float = math.inf,
) -> Tensor:
    """Rows from images to others, whose z are searched for from `start`; see `path` and `find`."""
    ends = torch.cat([x_a, x_b])
    z_a, z_b = find(G, ends, torch.cat([start, start]), steps, optim, within).chunk(2)
    return path(G, x_a, x_b, z_a, z_b, count)


@torch.no_grad()
def plain(G: Generator, z_a: Tensor, z_b: Tensor, count: int) -> Tensor:
    """Rows of `count` images from G(z_a) to G(z_b), (N, count, C, H, W)."""
    shares = torch.linspace(0, 1, count, device=z_a.device)
    return torch.stack([G(torch.lerp(z_a, z_b, share)) for share in shares], dim=1)


def sheet(
    G: Generator,
    x: Tensor,
    z: Tensor,
    count: int,
    steps: int,
    optim: Adam,
    within: float = math.inf,
) -> Tensor:
    """Rows of 2N real images and 2N draws of z, (3N, count + 2, C, H, W).

    N from the first images to their mirror images, left and right changed, N from the first images
    to the others, and N between draws.
    """
    (x_a, x_b), (z_a, z_b) = x.chunk(2), z.chunk(2)
    mirrored = between(G, x_a, x_a.flip(-1), z_a, count, steps, optim, within)
    others = between(G, x_a, x_b, z_a, count, steps, optim, within)
    return torch.cat([mirrored, others, plain(G, z_a, z_b, count + 2)])
