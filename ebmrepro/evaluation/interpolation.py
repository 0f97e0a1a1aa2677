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
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ebmrepro import data
from ebmrepro.config.optimisers import Adam
from ebmrepro.config.params import Params
from ebmrepro.methods.base.gan import GAN
from ebmrepro.networks import device, images
from ebmrepro.runs import models
from ebmrepro.system.errors import UserError

Generator = Callable[[Tensor], Tensor]


class Search(NamedTuple):
    steps: int
    optim: Adam
    within: float = math.inf  # of 0, for every number of z: 1 for a prior on [-1, 1]


def write(
    out: Path,
    trained: tuple[str, str, int],
    settings: Params,
    rows: int,
    count: int,
    steps: int,
    optim: Adam,
    draw: int,
) -> float:
    """Draw a `sheet` of a trained generator, (suite, system, seed), into a PNG file.

    Returns the mean of |x - G(z)| at the real ends.

    Raises:
        UserError: the split that is compared with has fewer than 2 `rows` of images.
    """
    suite, name, seed = trained
    model = models.restore(suite, name, seed, settings)
    assert isinstance(model, GAN), "the command asks for a generator"
    real, _ = data.read(Path("data") / suite, settings.suite(suite).evaluate.split)
    if len(real) < 2 * rows:
        raise UserError(f"rows: found {rows}; {len(real)} images allow {len(real) // 2}")
    x = images.from_uint8(real[: 2 * rows]).to(device.device())
    torch.manual_seed(draw)
    search = Search(steps, optim, model.z_within)
    drawn = sheet(model.G, x, model.prior(len(x)), count, search)
    images.save_png(out, images.grid(images.to_uint8(drawn.flatten(0, 1)), count + 2))
    ends = drawn[: 2 * rows]
    return (ends[:, [0, -1]] - ends[:, [1, -2]]).abs().mean().item()


def sheet(G: Generator, x: Tensor, z: Tensor, count: int, search: Search) -> Tensor:
    """Rows of 2N real images and 2N draws of z, (3N, count + 2, C, H, W).

    N from the first images to their mirror images, left and right changed, N from the first images
    to the others, and N between draws. A search starts from the draws.
    """
    (x_a, x_b), (z_a, z_b) = x.chunk(2), z.chunk(2)
    rows = []
    for other in (x_a.flip(-1), x_b):
        ends, start = torch.cat([x_a, other]), torch.cat([z_a, z_a])
        z_first, z_last = find(G, ends, start, search).chunk(2)
        rows.append(path(G, x_a, other, z_first, z_last, count))
    return torch.cat([*rows, plain(G, z_a, z_b, count + 2)])


def find(G: Generator, x: Tensor, start: Tensor, search: Search) -> Tensor:
    """The z with the least mean of |x - G(z)| that a search from `start` meets, (N, K)."""
    z = nn.Parameter(start.clone())
    adam = torch.optim.Adam([z], search.optim.lr, (search.optim.beta1, search.optim.beta2))
    found, least = start.clone(), torch.full_like(start[:, 0], math.inf)
    for step in range(search.steps + 1):
        error = (x - G(z)).abs().flatten(1).mean(1)
        better = error.detach() < least
        found[better], least[better] = z.detach()[better], error.detach()[better]
        if step < search.steps:
            adam.zero_grad()
            error.sum().backward(inputs=[z])  # a sum: no image's search depends on the others
            adam.step()
            z.data.clamp_(-search.within, search.within)
    return found


@torch.no_grad()
def path(G: Generator, x_a: Tensor, x_b: Tensor, z_a: Tensor, z_b: Tensor, count: int) -> Tensor:
    """Rows of images (N, count + 2, C, H, W): x_a, `count` images from G(z_a) to G(z_b), x_b."""
    return torch.cat([x_a[:, None], plain(G, z_a, z_b, count), x_b[:, None]], dim=1)


@torch.no_grad()
def plain(G: Generator, z_a: Tensor, z_b: Tensor, count: int) -> Tensor:
    """Rows of `count` images from G(z_a) to G(z_b), (N, count, C, H, W)."""
    shares = torch.linspace(0, 1, count, device=z_a.device)
    return torch.stack([G(torch.lerp(z_a, z_b, share)) for share in shares], dim=1)
