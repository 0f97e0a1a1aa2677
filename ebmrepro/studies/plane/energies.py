"""Networks of the plane, M of one shape side by side, so that all of them train at once.

Every density is learnt from every seed. A stack holds a network for each such pair: its weights
have a leading axis of M, and one batched product serves all. Members share nothing: each draws from
a generator of its own (`samplers.Draws`), and the gradient of a sum over members is each one's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice, pairwise

import torch
from torch import Tensor, nn

from ebmrepro.config.plane import Domain
from ebmrepro.networks.samplers import Draws


class Stack(nn.Module):
    """M fully connected networks with tanh, (M, N, in) -> (M, N, out).

    Weights are normal with standard deviation 1 / sqrt(inputs), biases 0; in the first layer the
    weights are `spread` times larger and the biases uniform, which puts the tanhs' steps all over
    the square.
    """

    def __init__(self, widths: Sequence[int], spread: float, draws: Draws):
        super().__init__()
        self.members = len(draws.generators)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for i, (wide, out) in enumerate(pairwise(widths)):
            scale = (spread if i == 0 else 1.0) / math.sqrt(wide)
            shift = 2 * spread * (2 * draws.uniform(1, out) - 1)
            self.weights.append(nn.Parameter(scale * draws.normal(wide, out)))
            self.biases.append(nn.Parameter(shift if i == 0 else torch.zeros_like(shift)))

    def forward(self, x: Tensor) -> Tensor:
        return self.upto(x, len(self.weights))

    def upto(self, x: Tensor, layers: int) -> Tensor:
        """What the first so many layers make of x, before any tanh of the last of them."""
        pairs = zip(self.weights, self.biases, strict=True)
        for i, (weight, bias) in enumerate(islice(pairs, layers)):
            x = torch.baddbmm(bias, torch.tanh(x) if i else x, weight)
        return x

    def numbers(self, member: int) -> Tensor:
        """All of one member's, (K,): layer by layer, its weights (in, out), then its biases."""
        pairs = zip(self.weights, self.biases, strict=True)
        return torch.cat([part[member].flatten() for pair in pairs for part in pair])


class PlaneEnergy(nn.Module):
    """M energies of the plane: (M, N, 2) -> (M, N), or (N, 2) -> (M, N) at the same points for all.

    Where `domain` has its walls an energy rises steeply, so that exp(-E) can be integrated; inside
    them it is the network's own.
    """

    def __init__(self, net: Stack, domain: Domain):
        super().__init__()
        self.net, self.domain = net, domain

    def inside(self, x: Tensor) -> Tensor:
        """The network's energy, (M, N, 2) -> (M, N)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        x = x if x.ndim == 3 else x.expand(self.net.members, -1, -1)
        beyond = (x.abs() - self.domain.wall).clamp_min(0)
        return self.inside(x) + self.domain.stiffness / 2 * beyond.square().sum(-1)


class Plain(PlaneEnergy):
    """The energy is the network's only output: any number of nats."""

    def inside(self, x: Tensor) -> Tensor:
        return self.net(x).squeeze(-1)


class Reconstruction(PlaneEnergy):
    """The energy is the distance of a point from its reconstruction, as in EBGAN."""

    def inside(self, x: Tensor) -> Tensor:
        return torch.linalg.vector_norm(x - self.net(x), dim=-1)
