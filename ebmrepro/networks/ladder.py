"""The ladder network: an encoder to classes, and a decoder that sees every one of its layers.

Rasmus, Valpola, Honkala, Berglund, Raiko: Semi-Supervised Learning with Ladder Networks. NIPS 2015,
arXiv:1507.02672; constants are those of the authors' code (CuriousAI/ladder @ 1fca273, ladder.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from ebmrepro.networks import distributed

EPSILON = 1e-10  # of every normalisation


class Ladder(nn.Module):
    """Pixels in [0, 1] to classes and back, (N, V) -> (N, classes) and (N, V).

    In training, noise of deviation `noise` is added to the pixels and to every layer; in evaluation
    there is none. `weights` are those of the layers' denoising costs, `widths` their units; both
    from the pixels (layer 0) to the classes (layer L).
    """

    def __init__(self, widths: Sequence[int], noise: float, weights: Sequence[float]):
        super().__init__()
        self.noise = noise
        self.weights = [weight / width for weight, width in zip(weights, widths, strict=True)]
        self.up = nn.Sequential(*(_linear(*pair) for pair in pairwise(widths)))
        self.down = nn.Sequential(*(_linear(*pair[::-1]) for pair in pairwise(widths)))
        self.norms = nn.ModuleList(_norm(width) for width in widths[1:])
        self.norms_down = nn.ModuleList(_norm(width) for width in widths)
        self.beta = nn.ParameterList(torch.zeros(width) for width in widths[1:])
        self.gamma = nn.Parameter(torch.ones(widths[-1]))  # of the top alone: a ReLU needs none
        self.a = nn.ParameterList(_first_combination(width) for width in widths)

    def forward(self, v: Tensor) -> Tensor:
        """Denoising cost of the bottom layer of each image, (N, V) -> (N,)."""
        return self._cost(0, self.reconstruct(v), v)

    def reconstruct(self, v: Tensor) -> Tensor:
        """hat z_0, (N, V) -> (N, V); nothing bounds it."""
        return self.decode(*self.encode(v))[0]

    def classify(self, v: Tensor) -> Tensor:
        """Logits of the classes, (N, V) -> (N, classes)."""
        return self.encode(v)[1]

    def costs(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Denoising costs of each image: of the bottom layer, and the sum of those above it, (N,)
        twice. What is above is held against the same images without noise.
        """
        estimates = self.decode(*self.encode(v))
        bottom = self._cost(0, estimates[0], v)
        above = torch.zeros_like(bottom)
        if any(self.weights[1:]):
            for layer, (z, mean, sd) in enumerate(self.clean(v), start=1):
                above = above + self._cost(layer, (estimates[layer] - mean) / sd, z)
        return bottom, above

    def encode(self, v: Tensor) -> tuple[list[Tensor], Tensor]:
        """z_0 to z_L, (N, width) each, and the logits of the classes."""
        h = self._with_noise(v)
        states = [h]
        for W, norm, beta in zip(self.up, self.norms, self.beta, strict=True):
            z = self._with_noise(norm(W(h)))  # z_l = N(W_l h_{l-1}) + n_l
            states.append(z)
            h = relu(z + beta)  # h_l = relu(z_l + beta_l)
        return states, self.gamma * (states[-1] + self.beta[-1])

    def decode(self, states: Sequence[Tensor], logits: Tensor) -> list[Tensor]:
        """hat z_0 to hat z_L, from z_0 to z_L and the logits of the classes."""
        estimates, u = [], logits.softmax(1)
        for layer in reversed(range(len(states))):
            u = self.norms_down[layer](u)
            estimates.append(combine(states[layer], u, self.a[layer]))
            if layer:
                u = self.down[layer - 1](estimates[-1])  # u_{l-1} = N(V_l hat z_l)
        return estimates[::-1]

    def clean(self, v: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Of images without noise, of each layer above the pixels: z, (N, width), and the mean and
        deviation over the batch that it was normalised by, (width,).
        """
        found, h = [], v
        for W, beta in zip(self.up, self.beta, strict=True):
            field = W(h)
            mean = distributed.joint_mean(field.mean(0))
            sd = (distributed.joint_mean((field - mean).square().mean(0)) + EPSILON).sqrt()
            found.append(((field - mean) / sd, mean, sd))
            h = relu(found[-1][0] + beta)
        return found

    def _cost(self, layer: int, estimate: Tensor, z: Tensor) -> Tensor:
        return self.weights[layer] * (estimate - z).square().sum(1)

    def _with_noise(self, z: Tensor) -> Tensor:
        return z + self.noise * torch.randn_like(z) if self.training else z


def combine(z: Tensor, u: Tensor, a: Tensor) -> Tensor:
    """hat z = (z - mu(u)) v(u) + mu(u), unit by unit, (N, width) twice and (10, width).

    z is the layer, with its noise, u what comes from above: a Gaussian unit's best guess of what it
    was without noise.
    """
    a1, a2, a3, a4, a5, a6, a7, a8, a9, a10 = a
    mu = a1 * (a2 * u + a3).sigmoid() + a4 * u + a5
    v = a6 * (a7 * u + a8).sigmoid() + a9 * u + a10
    return (z - mu) * v + mu


def _first_combination(width: int) -> Tensor:
    """a_2 = a_7 = 1, all others 0: every estimate is 0."""
    a = torch.zeros(10, width)
    a[[1, 6]] = 1
    return a


def _linear(fan_in: int, fan_out: int) -> nn.Linear:
    """Without a bias, which the normalisation after it would take away."""
    layer = nn.Linear(fan_in, fan_out, bias=False)
    nn.init.normal_(layer.weight, 0, fan_in**-0.5)
    return layer


def _norm(width: int) -> nn.BatchNorm1d:
    return nn.BatchNorm1d(width, eps=EPSILON, affine=False)
