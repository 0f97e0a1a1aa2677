"""Training scripts as people write them: zero_grad, backward, step, and `.item()` at each step.

The same mathematics as `methods/ebgan.py`, `began.py` and `magan.py`, without their loop: torch's
optimiser classes as they come, one pass per set of images, gradients of all parameters in each
backward pass, and losses read by the host at each step, as in PyTorch-GAN and wiseodd's scripts
(github.com/eriklindernoren/PyTorch-GAN, github.com/wiseodd/generative-models).
Images come as ready batches of floats, so that reading and shuffling cost these scripts nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from ebmrepro.config.optimisers import Adamax, Optim
from ebmrepro.methods.base.method import Method

ENERGIES: dict[str, Callable[[Tensor], Tensor]] = {
    "norm": lambda r: r.norm(dim=1),
    "sum_sq": lambda r: (r**2).sum(1),
    "mean_sq": lambda r: (r**2).mean(1),
    "mean_abs": lambda r: r.abs().mean(1),
}


class Script:
    """One of the scripts below, on copies of a method's networks."""

    def __init__(self, model: Method, optim: dict[str, Optim]):
        networks: Any = copy.deepcopy(dict(model.named_children()))
        for network in networks.values():  # as torch makes them: our loop orders weights otherwise
            network.to(memory_format=torch.contiguous_format)
        self.hp, self.of = model.hp, ENERGIES[model.hp.reduction]
        self.G, D = networks["G"], networks["D"]
        self.D = nn.Sequential(D.encoder, D.decoder)
        self.G_optim = _optimiser(self.G, optim["G"])
        self.D_optim = _optimiser(self.D, optim["D"])
        self.logged: list[tuple[float, float]] = []  # losses of D and of G

    def to(self, dtype: torch.dtype) -> Self:
        """Compute in another precision, as the batches then have to be."""
        self.G.to(dtype)
        self.D.to(dtype)
        return self

    def epoch(self, batches: Sequence[Tensor]) -> None:
        raise NotImplementedError

    def energy(self, x: Tensor) -> Tensor:
        return self.of((x - self.D(x)).flatten(1))


class EBGAN(Script):
    def epoch(self, batches: Sequence[Tensor]) -> None:
        for x in batches:
            self.step(x, self.hp.margin)

    def step(self, x: Tensor, m: float) -> tuple[float, float]:
        z = torch.randn(len(x), self.hp.z, device=x.device).to(x.dtype)
        x_g = self.G(z).detach()
        self.D_optim.zero_grad()
        real, fake = self.energy(x), self.energy(x_g)
        d_loss = real.mean() + torch.relu(m - fake).mean()
        d_loss.backward()
        self.D_optim.step()

        z = torch.randn(len(x), self.hp.z, device=x.device).to(x.dtype)
        self.G_optim.zero_grad()
        g_loss = self.energy(self.G(z)).mean()
        g_loss.backward()
        self.G_optim.step()
        self.logged.append((d_loss.item(), g_loss.item()))
        return real.mean().item(), g_loss.item()


class BEGAN(Script):
    k = 0.0
    M = 0.0

    def epoch(self, batches: Sequence[Tensor]) -> None:
        for x in batches:
            z_D = torch.rand(len(x), self.hp.z, device=x.device).to(x.dtype) * 2 - 1
            x_gD = self.G(z_D).detach()
            z_G = torch.rand(len(x), self.hp.z, device=x.device).to(x.dtype) * 2 - 1
            self.G_optim.zero_grad()
            g_loss = self.energy(self.G(z_G)).mean()
            g_loss.backward()
            self.G_optim.step()

            self.D_optim.zero_grad()
            real, fake = self.energy(x).mean(), self.energy(x_gD).mean()
            d_loss = real - self.k * fake
            d_loss.backward()
            self.D_optim.step()

            balance = self.hp.gamma * real.item() - g_loss.item()
            self.k = min(max(self.k + self.hp.lambda_k * balance, 0.0), 1.0)
            self.M = real.item() + abs(balance)
            self.logged.append((d_loss.item(), g_loss.item()))


class MAGAN(EBGAN):
    m: float | None = None
    before = float("inf")

    def epoch(self, batches: Sequence[Tensor]) -> None:
        n = len(batches)
        if self.m is None:  # the pass that measures m_0
            self.m = sum(self.energy(x).mean().item() for x in batches) / n
            return
        means = [self.step(x, self.m) for x in batches]
        real, fake = (sum(column) / n for column in zip(*means, strict=True))
        if real < self.m and real < fake and self.before <= fake:
            self.m = real
        self.before = fake


SCRIPTS: dict[str, type[Script]] = {"ebgan": EBGAN, "began": BEGAN, "magan": MAGAN}


def _optimiser(network: nn.Module, spec: Optim) -> torch.optim.Optimizer:
    assert not hasattr(spec, "momentum")
    kind = torch.optim.Adamax if isinstance(spec, Adamax) else torch.optim.Adam
    betas = (spec.beta1, spec.beta2)  # pyright: ignore[reportAttributeAccessIssue]
    return kind(network.parameters(), lr=spec.lr, betas=betas)
