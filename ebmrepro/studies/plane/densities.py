"""Densities on the plane to learn: each can be drawn from, and its log density can be computed.

`ring`, `pinwheel` and `checkerboard` have a closed form. `moons` is a half circle blurred by a
Gaussian: an integral over the arc, taken here by the midpoint rule with so many nodes that more
change log p by less than 0.01 nats wherever it is above -15. All lie within the square
[-3, 3]^2 but for Gaussian tails.

Departure: the usual pinwheel twists a blade by its first coordinate. Here it is twisted by the
distance from the centre, which moves every circle in itself and so keeps areas: the density of a
twisted point is that of the point before, in closed form.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ebmrepro.config import plane

ARC = 200  # nodes of the integral over a half circle


class Density(ABC):
    """A probability density of the plane."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n independent points, (n, 2) float32."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, (..., 2) -> (...); -inf where p is 0."""


def _normal(x: Tensor, sd: float) -> Tensor:
    """log density of an isotropic Gaussian around 0, over the last axis of two."""
    return -x.square().sum(-1) / (2 * sd**2) - math.log(2 * math.pi * sd**2)


def _rotated(x: Tensor, angle: Tensor) -> Tensor:
    """Each point turned about the origin by its angle, (..., 2), (...) -> (..., 2)."""
    c, s = angle.cos(), angle.sin()
    return torch.stack([c * x[..., 0] - s * x[..., 1], s * x[..., 0] + c * x[..., 1]], -1)


def _circle(angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], -1)


class Ring(Density):
    """Equal Gaussians on a circle: valleys with barriers between them."""

    def __init__(self, spec: plane.Ring):
        self.sd = spec.sd
        self.centres = spec.radius * _circle(2 * math.pi * torch.arange(spec.modes) / spec.modes)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        which = torch.randint(len(self.centres), (n,), generator=generator)
        return self.centres[which] + self.sd * torch.randn(n, 2, generator=generator)

    def log_prob(self, x: Tensor) -> Tensor:
        each = _normal(x[..., None, :] - self.centres, self.sd)
        return each.logsumexp(-1) - math.log(len(self.centres))


class Moons(Density):
    """Two half circles that reach into each other, blurred."""

    def __init__(self, spec: plane.Moons):
        self.radius, self.sd = spec.radius, spec.sd
        self.shift = torch.tensor([spec.radius / 2, spec.radius / 4])

    def _arc(self, angle: Tensor) -> Tensor:
        """Points of both moons at angles in [0, pi]; the second is the first turned about 0."""
        upper = self.radius * _circle(angle) - self.shift
        return torch.stack([upper, -upper])

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        angle = math.pi * torch.rand(n, generator=generator)
        side = torch.rand(n, generator=generator) < 0.5
        points = torch.where(side[:, None], *self._arc(angle))
        return points + self.sd * torch.randn(n, 2, generator=generator)

    def log_prob(self, x: Tensor) -> Tensor:
        nodes = self._arc(math.pi * (torch.arange(ARC) + 0.5) / ARC).flatten(0, 1)
        return _normal(x[..., None, :] - nodes, self.sd).logsumexp(-1) - math.log(len(nodes))


class Pinwheel(Density):
    """Blades of a windmill: Gaussians, long outwards and narrow across, twisted."""

    def __init__(self, spec: plane.Pinwheel):
        self.at, self.sd = spec.at, torch.tensor([spec.along, spec.across])
        self.twist = spec.twist
        self.angles = 2 * math.pi * torch.arange(spec.blades) / spec.blades

    def _turned(self, x: Tensor, sign: int) -> Tensor:
        """Every point turned by `twist` radians per unit of its distance from the centre."""
        return _rotated(x, sign * self.twist * x.norm(dim=-1))

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        blade = self.sd * torch.randn(n, 2, generator=generator)
        blade[:, 0] += self.at
        which = torch.randint(len(self.angles), (n,), generator=generator)
        return self._turned(_rotated(blade, self.angles[which]), +1)

    def log_prob(self, x: Tensor) -> Tensor:
        flat = self._turned(x, -1)[..., None, :]
        blade = _rotated(flat, -self.angles.expand(*x.shape[:-1], -1))
        centred = (blade - torch.tensor([self.at, 0.0])) / self.sd
        each = _normal(centred, 1.0) - self.sd.log().sum()
        return each.logsumexp(-1) - math.log(len(self.angles))


class Checkerboard(Density):
    """Uniform over the black squares of a board of 4 x 4: edges that no smooth energy has."""

    def __init__(self, spec: plane.Checkerboard):
        self.half = spec.half
        self.side = spec.half / 2

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        which = torch.randint(8, (n,), generator=generator)
        row = which // 2
        column = 2 * (which % 2) + row % 2
        corner = torch.stack([column, row], -1) * self.side - self.half
        return corner + self.side * torch.rand(n, 2, generator=generator)

    def log_prob(self, x: Tensor) -> Tensor:
        square = ((x + self.half) / self.side).floor()
        inside = ((square >= 0) & (square < 4)).all(-1) & (square.sum(-1) % 2 == 0)
        return torch.where(inside, -math.log(8 * self.side**2), -math.inf)


def make(spec: plane.Densities) -> dict[str, Density]:
    """The densities by name, in the order of params.yaml."""
    return {
        "ring": Ring(spec.ring),
        "moons": Moons(spec.moons),
        "pinwheel": Pinwheel(spec.pinwheel),
        "checkerboard": Checkerboard(spec.checkerboard),
    }
