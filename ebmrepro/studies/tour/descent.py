"""Going downhill on an energy, image by image, whatever scale the energy has."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ebmrepro.networks import samplers
from ebmrepro.networks.samplers import Energy

SHORTEST = 2.0**-20  # of the first length: an image whose step is shorter rests


def descend(
    energy: Energy, x: Tensor, steps: int, length: float, free: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """x and its energies before the first step and after each, (N, C, H, W) and (N,).

    A step goes `length` (root mean square over pixels) against the gradient and back into [-1, 1];
    where that does not lower an image's energy, the image stays and its next step is half as long.
    So energies never rise, and a scale of the energy changes nothing. `free`, bool (C, H, W), are
    the pixels that may move.
    """
    moves = torch.ones_like(x[0]) if free is None else free.to(x.dtype)
    reach = torch.full((len(x), 1, 1, 1), length, dtype=x.dtype, device=x.device)
    E, slope = _slope(energy, x, moves)
    yield x, E
    for _ in range(steps):
        there = torch.where(moves > 0, (x - reach * slope).clamp(-1, 1), x)
        E_there, slope_there = _slope(energy, there, moves)
        lower = E_there < E
        keep = lower[:, None, None, None]
        x, E = torch.where(keep, there, x), torch.where(lower, E_there, E)
        slope = torch.where(keep, slope_there, slope)
        reach = torch.where(keep, reach, (reach / 2).clamp_min(length * SHORTEST))
        yield x, E


def _slope(energy: Energy, x: Tensor, moves: Tensor) -> tuple[Tensor, Tensor]:
    """Energies (N,), and gradients of root mean square 1 over the pixels that may move."""
    E, gradient = samplers.gradient(energy, x)
    gradient = gradient * moves
    size = (gradient.square().sum((1, 2, 3), keepdim=True) / moves.sum()).sqrt()
    return E, gradient / size.clamp_min(torch.finfo(x.dtype).tiny)
