"""Networks that are energies: the auto-encoder, whose energy is its reconstruction error, and the
restricted Boltzmann machine, whose energy marginalises over its hidden units exactly: with binary
units, with a label, with linear hidden units and with Gaussian visible ones.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ebmrepro.config.types import Reduction
from ebmrepro.networks.products import affine, product
from ebmrepro.networks.random import bernoulli, bits, one_of


def reconstruction_error(x: Tensor, x_hat: Tensor, reduction: Reduction) -> Tensor:
    """Distance of each image from its reconstruction, (N, ...) x (N, ...) -> (N,).

    A margin is stated for one reduction: EBGAN's 10/20/80 fit `norm`, the L2 norm over the whole
    image; MAGAN's authors take `sum_sq`; BEGAN takes `mean_abs`.
    """
    difference = (x - x_hat).flatten(1)
    match reduction:
        case "norm":
            return torch.linalg.vector_norm(difference, dim=1)
        case "sum_sq":
            return difference.square().sum(1)
        case "mean_sq":
            return difference.square().mean(1)
        case "mean_abs":
            return difference.abs().mean(1)


class AutoEncoder(nn.Module):
    """D(x) = || x - Dec(Enc(x)) ||, in one of the reductions above."""

    reduction: Reduction

    def __init__(self, encoder: nn.Module, decoder: nn.Module, reduction: Reduction):
        super().__init__()
        self.encoder, self.decoder, self.reduction = encoder, decoder, reduction
        norms = nn.BatchNorm1d | nn.BatchNorm2d
        self.normed = any(isinstance(part, norms) for part in self.modules())

    def forward(self, x: Tensor) -> Tensor:
        """Energy of each image, (N, C, H, W) -> (N,)."""
        return reconstruction_error(x, self.reconstruct(x), self.reduction)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))

    def pair(self, x: Tensor, x_g: Tensor) -> tuple[Tensor, Tensor]:
        """Energies of real and generated images, in one pass where that changes nothing.

        Batch normalisation would share its statistics between the two; then there are two passes.
        """
        if self.normed:
            return self(x), self(x_g)
        real, fake = self(torch.cat([x, x_g])).split([len(x), len(x_g)])
        return real, fake

    def with_code(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Energy (N,) and code (N, K) from one pass."""
        code = self.encoder(x)
        return reconstruction_error(x, self.decoder(code), self.reduction), code.flatten(1)


class RBM(nn.Module):
    """Binary-binary RBM, E(v, h) = - v'Wh - b'v - c'h; v may be real in [0, 1] (probabilities)."""

    # See `precision.py`: whether products are rounded, and W for them where it is to be kept.
    rounded = False
    kept: list[Tensor] | None = None

    def __init__(self, visible: int, hidden: int, std: float):
        super().__init__()
        self.W = nn.Parameter(torch.randn(visible, hidden) * std)
        self.b = nn.Parameter(torch.zeros(visible))
        self.c = nn.Parameter(torch.zeros(hidden))

    @property
    def factor(self) -> Tensor:
        """W as a factor: where it is to be kept, the same copy in bfloat16 each time."""
        if self.kept is None or torch.is_grad_enabled():
            return self.W
        if not self.kept:
            self.kept.append(self.W.bfloat16())
        return self.kept[0]

    def forward(self, v: Tensor) -> Tensor:
        """Free energy F(v) = - b'v - sum_j log(1 + exp(c_j + W_j'v)), (N, V) -> (N,)."""
        return self.free_energy(v, self.field(v))

    def field(self, v: Tensor) -> Tensor:
        """Input of the hidden units, v W + c, (N, V) -> (N, H)."""
        return affine(v, self.factor, self.c, self.rounded)

    def free_energy(self, v: Tensor, field: Tensor) -> Tensor:
        """F(v) where the field of v is known already, (N, V) and (N, H) -> (N,)."""
        return -self.alone(v, self.b) - F.softplus(field).sum(1)

    def alone(self, v: Tensor, b: Tensor) -> Tensor:
        """b'v: minus the part of E that visible units with biases b have alone, (N, V) -> (N,)."""
        return v @ b

    def log_sum_visible(self, field: Tensor, b: Tensor) -> Tensor:
        """log sum_v exp(- E(v, h) - c'h) with biases b, of the visible units' input, W h + b,
        (N, V) -> (N,).
        """
        return F.softplus(field).sum(1)

    def expected(self, field: Tensor) -> Tensor:
        """E[h | v] from the field of v, (N, H) -> (N, H)."""
        return field.sigmoid()

    def draw_hidden(self, field: Tensor) -> Tensor:
        """Hidden units sampled, given the field of v, (N, H) -> (N, H)."""
        return bernoulli(self.expected(field))

    def up(self, v: Tensor) -> Tensor:
        """E[h | v], which for a binary unit is p(h = 1 | v), (N, V) -> (N, H)."""
        return self.expected(self.field(v))

    def down(self, h: Tensor) -> Tensor:
        """p(v = 1 | h), (N, H) -> (N, V)."""
        return affine(h, self.factor.T, self.b, self.rounded).sigmoid()

    def draw(self, p: Tensor) -> Tensor:
        """Visible units sampled from their probabilities, (N, V) -> (N, V) of 0 and 1."""
        return bernoulli(p)

    def draw_visible(self, field: Tensor, draws: torch.Generator) -> Tensor:
        """Visible units sampled, given their input, by a generator, (N, V) -> (N, V)."""
        return bits(field, draws)

    @torch.no_grad()
    def gibbs(
        self, v: Tensor, steps: int, *, sample_visible: bool, field: Tensor | None = None
    ) -> Tensor:
        """`steps` times v -> h -> v with h sampled; returns the probabilities of the last v.

        In contrastive divergence v stays a probability (`sample_visible=False`), as in Hinton and
        Salakhutdinov's code; a chain that is to reach the model's distribution samples it. `field`
        is that of the first v, if it is known already.
        """
        for i in range(steps):
            field = self.field(v) if field is None else field
            probability = self.down(self.draw_hidden(field))
            last = i == steps - 1
            v = self.draw(probability) if sample_visible and not last else probability
            field = None
        return v

    def contrast(self, v: Tensor, v_k: Tensor, field: Tensor) -> Tensor:
        """mean F(v) - mean F(v_k), whose descent is contrastive divergence, (N, V) twice -> ().

        Only W, b and c get a gradient: v, its `field` and v_k are held fixed.
        """
        return _Contrast.apply(self, self.W, self.b, self.c, v, field, v_k)

    @torch.no_grad()
    def fill_in(self, v: Tensor, known: Tensor, steps: int) -> Tensor:
        """Visible units outside the mask `known`, bool (V,), given those inside, (N, V) -> (N, V).

        Gibbs sampling with the known units clamped, from random bits; returns the mean of p(v | h)
        over the second half of the chain, which estimates the mean of v given the known units.
        """
        state = torch.where(known, v, bernoulli(torch.full_like(v, 0.5)))
        total, burnt_in = torch.zeros_like(v), steps // 2
        for i in range(steps):
            probability = self.down(bernoulli(self.up(state)))
            if i >= burnt_in:
                total += probability
            state = torch.where(known, v, self.draw(probability))
        return torch.where(known, v, total / (steps - burnt_in))

    @torch.no_grad()
    def pseudo_likelihood(self, v: Tensor) -> Tensor:
        """log-pseudo-likelihood sum_i log p(v_i | v_-i) of binary v, exact, (N, V) -> (N,), in
        nats.

        log p(v_i | v_-i) = log sigmoid(F(v with bit i flipped) - F(v)). Flipping bit i adds
        d W_i to the hidden units' input, with d = 1 - 2 v_i: no product is needed for it.
        """
        field = self.field(v)
        free = self.free_energy(v, field)
        total = torch.zeros_like(free)
        for i in range(v.shape[1]):
            d = 1 - 2 * v[:, i]
            flipped = self.free_energy(v, torch.addcmul(field, d[:, None], self.W[i]))
            total += F.logsigmoid(flipped - d * self.b[i] - free)
        return total


class _Contrast(torch.autograd.Function):
    """mean F(v) - mean F(v_k), with the statistics - <v h> + <v h>_k as its derivative by W.

    Both are one product, of stacked batches: what W's gradient costs is less its arithmetic than
    the passes over it.
    """

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Any:
        rbm, _, _, _, v, field, v_k = given
        field_k = rbm.field(v_k)
        ctx.rbm = rbm
        ctx.save_for_backward(v, field, v_k, field_k)
        return rbm.free_energy(v, field).mean() - rbm.free_energy(v_k, field_k).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *by: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        v, field, v_k, field_k = ctx.saved_tensors
        of, of_k = by[0] / len(v), by[0] / len(v_k)
        states = torch.cat([v, v_k])
        hidden = torch.cat([ctx.rbm.expected(field) * -of, ctx.rbm.expected(field_k) * of_k])
        of_b = of_k * v_k.sum(0) - of * v.sum(0)
        of_W = product(states.T, hidden, ctx.rbm.rounded)
        return None, of_W, of_b, hidden.sum(0), None, None, None


class LinearRBM(RBM):
    """RBM of binary visible and linear hidden units, h_j ~ N(c_j + W_j'v, 1):

    E(v, h) = - v'Wh - b'v + sum_j (h_j - c_j)^2 / 2.
    """

    def free_energy(self, v: Tensor, field: Tensor) -> Tensor:
        """F(v) = - b'v - sum_j ((c_j + W_j'v)^2 - c_j^2 + log 2 pi) / 2, (N, V) -> (N,)."""
        hidden = field.square() - self.c.square() + math.log(2 * math.pi)
        return -self.alone(v, self.b) - hidden.sum(1) / 2

    def expected(self, field: Tensor) -> Tensor:
        return field

    def draw_hidden(self, field: Tensor) -> Tensor:
        return field + torch.randn_like(field)


class GaussianRBM(RBM):
    """RBM of Gaussian visible units of variance 1, v_i ~ N(b_i + W_i h, 1), and binary hidden ones:

    E(v, h) = sum_i (v_i - b_i)^2 / 2 - v'Wh - c'h, of v that are real numbers.

    Hinton and Salakhutdinov (2006) take it for pixels that are standardised. E[h | v] is an RBM's;
    so are the statistics of its contrast: dF/db = b - v, and of a difference only - v is left.
    """

    def alone(self, v: Tensor, b: Tensor) -> Tensor:
        """- sum_i (v_i - b_i)^2 / 2, (N, V) -> (N,)."""
        return -(v - b).square().sum(1) / 2

    def log_sum_visible(self, field: Tensor, b: Tensor) -> Tensor:
        """log of the integral over v: V log(2 pi) / 2 + sum_i ((W_i h + b_i)^2 - b_i^2) / 2."""
        return (field.square() - b.square() + math.log(2 * math.pi)).sum(1) / 2

    def down(self, h: Tensor) -> Tensor:
        """E[v | h] = W h + b, (N, H) -> (N, V)."""
        return affine(h, self.factor.T, self.b, self.rounded)

    def draw(self, p: Tensor) -> Tensor:
        """Visible units sampled from their means, (N, V) -> (N, V)."""
        return p + torch.randn_like(p)

    def draw_visible(self, field: Tensor, draws: torch.Generator) -> Tensor:
        noise = torch.randn(field.shape, generator=draws, device=field.device)
        return field + noise.to(field.dtype)


class LabelledRBM(RBM):
    """RBM of features and a label: the last `classes` visible units are one softmax group, of which
    exactly one is on.
    """

    def __init__(self, features: int, classes: int, hidden: int, std: float):
        super().__init__(features + classes, hidden, std)
        self.classes = classes

    def join(self, features: Tensor, y: Tensor) -> Tensor:
        """Visible units of features and labels, (N, K) and (N,) int64 -> (N, K + classes)."""
        return torch.cat([features, F.one_hot(y, self.classes).to(features.dtype)], dim=1)

    def part(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Visible units as features (N, K) and label group (N, classes)."""
        return v[:, : -self.classes], v[:, -self.classes :]

    def down(self, h: Tensor) -> Tensor:
        """p(feature = 1 | h) beside p(label | h), the latter a softmax, (N, H) -> (N, V)."""
        features, labels = self.part(affine(h, self.factor.T, self.b, self.rounded))
        return torch.cat([features.sigmoid(), labels.softmax(1)], dim=1)

    def draw(self, p: Tensor) -> Tensor:
        """Features sampled one by one, the label group as one draw: its states are one-hot."""
        features, labels = self.part(p)
        return self.join(bernoulli(features), one_of(labels))

    def free_energies(self, features: Tensor) -> Tensor:
        """F(features, y) with each label y in turn, exact, (N, K) -> (N, classes)."""
        n = self.classes
        field = product(features, self.factor[:-n], self.rounded) + self.c
        hidden = torch.stack([F.softplus(field + row).sum(1) for row in self.W[-n:]], dim=1)
        return -(features @ self.b[:-n])[:, None] - self.b[-n:] - hidden

    @torch.no_grad()
    def recall(self, y: Tensor, steps: int) -> Tensor:
        """Features after `steps` of Gibbs sampling from random bits, the labels clamped to `y`.

        Returns the probabilities of the last step, (N,) int64 -> (N, K).
        """
        p = torch.full((len(y), self.b.numel() - self.classes), 0.5, device=self.b.device)
        for _ in range(steps):
            h = bernoulli(self.up(self.join(bernoulli(p), y)))
            p, _ = self.part(self.down(h))
        return p
