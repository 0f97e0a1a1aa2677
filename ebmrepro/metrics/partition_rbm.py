"""The partition function of an RBM: exact where few hidden units allow, by AIS where they do not.

Salakhutdinov and Murray (2008), On the quantitative analysis of deep belief networks, ICML.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ebmrepro.networks import distributed
from ebmrepro.networks.energies import RBM
from ebmrepro.networks.random import bits

MOST_HIDDEN = 20  # units whose 2^20 states are enumerated
CHUNK = 1 << 9  # states at once: their visible units stay in the cache


def base_rates(v: Tensor, counts: float | None = None) -> Tensor:
    """Visible biases of the RBM without weights that fits binary images best, (N, V) -> (V,).

    The log odds of each unit, by Laplace's rule: no unit is off for certain. With `counts`, as the
    paper's authors smooth them: each unit is on in so many cases more for every 100 that there are.
    They have 5. A unit that is always on would be so for certain; it is so but once in a million.
    """
    on, cases = distributed.total(v.sum(0)), len(v) * distributed.count()
    if counts is None:
        return torch.logit((on + 1) / (cases + 2))
    more = counts * cases / 100
    return torch.logit((on + more) / (cases + more), eps=1e-6)


@torch.no_grad()
def exact_log_z(rbm: RBM) -> float:
    """log Z in nats, from all states of the hidden units, visible units summed out, in float64.

    Z = sum_h exp(c'h) prod_i (1 + exp(b_i + W_i h)); with Gaussian visible units the sum over v is
    an integral, so that of (2 pi)^(V / 2) sum_h exp(c'h + b'Wh + |Wh|^2 / 2).

    Raises:
        ValueError: there are more than MOST_HIDDEN hidden units.
    """
    hidden = rbm.c.numel()
    if hidden > MOST_HIDDEN:
        raise ValueError(f"hidden units: found {hidden}; at most {MOST_HIDDEN} can be enumerated")
    W, b, c = (part.double() for part in (rbm.W, rbm.b, rbm.c))
    bits = 1 << torch.arange(hidden, device=W.device)
    parts = []
    for states in torch.arange(1 << hidden, device=W.device).split(CHUNK):
        h = (states[:, None] & bits).ne(0).double()
        parts.append((h @ c + rbm.log_sum_visible(h @ W.T + b, b)).logsumexp(0))
    return torch.stack(parts).logsumexp(0).item()


@dataclass(frozen=True)
class FromBaseRates:
    """An `ais.Path` to exp(-F(v)) of an RBM, from an RBM with biases `base` and no weights.

    log f_beta(v) = (1 - beta) a'v + beta b'v + sum_j log(1 + exp(beta (c_j + W_j'v)))

    A move is one step of Gibbs sampling. A state is [v ; W'v + c ; a'v ; b'v], so that each
    temperature takes the products once for both of its log f and for its move.

    With Gaussian visible units a'v and b'v are - |v - a|^2 / 2 and - |v - b|^2 / 2: the path starts
    in N(a, 1), and each of its temperatures has visible units of variance 1, given the hidden ones.
    """

    rbm: RBM
    base: Tensor  # a, (V,)
    chains: int
    draws: torch.Generator  # on the RBM's device

    @property
    def log_z_0(self) -> float:
        """H log 2 + sum_i log(1 + exp(a_i)), or + V log(2 pi) / 2."""
        a = self.base.double()
        visible = self.rbm.log_sum_visible(a[None], a).item()
        return self.rbm.c.numel() * math.log(2) + visible

    @torch.no_grad()
    def start(self) -> Tensor:
        start = self.base.expand(self.chains, -1)
        return self._state(self.rbm.draw_visible(start, self.draws))

    @torch.no_grad()
    def log_f(self, x: Tensor, beta: float) -> Tensor:
        """(N, V + H + 2) -> (N,) float64: increments over a path are tiny beside log f itself."""
        _, field, linear = self._parts(x)
        weighted = linear.double() @ linear.new_tensor([1 - beta, beta], dtype=torch.float64)
        return weighted + F.softplus(field.double() * beta).sum(-1)

    @torch.no_grad()
    def move(self, x: Tensor, beta: float) -> Tensor:
        _, field, _ = self._parts(x)
        bias = (1 - beta) * self.base + beta * self.rbm.b
        h = bits(field * beta, self.draws)
        towards = torch.addmm(bias, h, self.rbm.W.T, alpha=beta)
        return self._state(self.rbm.draw_visible(towards, self.draws))

    @torch.no_grad()
    def settle(self, v: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Gibbs sampling in the RBM itself from v, (N, V): its last states, (N, V + H + 2), and F
        after each step, (N, steps).
        """
        x, free = self._state(v), []
        for _ in range(steps):
            x = self.move(x, 1.0)
            free.append(-self.log_f(x, 1.0))
        return x, torch.stack(free, dim=1)

    def _state(self, v: Tensor) -> Tensor:
        linear = torch.stack([self.rbm.alone(v, bias) for bias in (self.base, self.rbm.b)], dim=1)
        return torch.cat([v, v @ self.rbm.W + self.rbm.c, linear], dim=1)

    def _parts(self, x: Tensor) -> tuple[Tensor, ...]:
        return x.split([self.rbm.b.numel(), self.rbm.c.numel(), 2], dim=-1)
