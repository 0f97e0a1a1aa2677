"""Boundary equilibrium GAN (BEGAN).

Berthelot, Schumm, Metz: BEGAN: Boundary Equilibrium Generative Adversarial Networks. 2017,
arXiv:1703.10717.

    symbol     here            meaning
    L(v)       energy(v)       | v - D(v) |, the mean absolute error of the auto-encoder D
    gamma      hp.gamma        diversity ratio, E[L(G(z))] / E[L(x)] at equilibrium, in [0, 1]
    k_t        k (buffer)      how much of L(G(z)) D ascends; k_0 = 0, kept in [0, 1]
    lambda_k   hp.lambda_k     gain of the controller that holds the ratio at gamma
    M_global   term            L(x) + | gamma L(x) - L(G(z_G)) |, the convergence measure
    held       term            1 where k_{t+1} is held at 0 or 1; its mean is a share of the steps

z is uniform on [-1, 1]; z_D and z_G are separate draws. D and G move simultaneously: both losses
are taken at the parameters of step t, and G moves first because L_D does not depend on its
parameters. Learning rates fall, in the paper to half, when M_global stalls: `stall` says how many
epochs without a new least mean of M_global that takes, and where the falling ends.

Departures:
- When M_global counts as stalled is ours: the paper gives no number, and it has no floor. Where
  `stall` is null, learning rates are constant.
- The paper's networks are of the kind `conv3x3`; suites of small images have MLPs. G ends in tanh,
  which the paper does not name.
- The suites `digits`, `mnist` and `fashion_mnist` are small: lambda_k is a hundred times the
  paper's 0.001, the batch is 64 (the paper: 16), and G learns at 0.002, four times as fast as D at
  0.0005 (the paper: 0.0001, both).
- Of our reading of its layers the three networks at 128 pixels have 20.8 million parameters, where
  the paper prints 17.3 (recalled); see `networks/conv3x3.py`.
"""

from typing import Annotated

import torch
from pydantic import Field

from ebmrepro.config.documents import Strict
from ebmrepro.config.types import Count, Fraction, Positive, PositiveFraction
from ebmrepro.methods.base import Turn
from ebmrepro.methods.base.gan import AutoEncoderGAN, AutoEncoderHparams, frozen
from ebmrepro.networks import distributed


class Stall(Strict):
    """What to do when the convergence measure, one mean an epoch, has stopped falling."""

    epochs: Count  # without a new least value that count as a stall; not scaled by any budget
    factor: Annotated[float, Field(gt=0, lt=1)]  # by which learning rates fall at a stall
    floor: PositiveFraction  # of the first learning rates, below which they do not fall


class BEGAN(AutoEncoderGAN):
    players = ("G", "D")
    z_within = 1.0
    k: torch.Tensor
    least: torch.Tensor
    stalled: torch.Tensor
    rate: torch.Tensor

    class Hparams(AutoEncoderHparams):
        gamma: Fraction
        lambda_k: Positive  # stated for `reduction`
        stall: Stall | None

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        self.register_buffer("k", torch.zeros(()))
        if hp.stall:
            self.register_buffer("least", torch.tensor(torch.inf))  # M_global of an epoch so far
            self.register_buffer("stalled", torch.zeros(()))  # epochs since then, or since a fall
            self.register_buffer("rate", torch.ones(()))  # of the first learning rates

    def prior(self, n):
        return torch.rand(n, self.hp.z, device=self.k.device) * 2 - 1

    def step(self, x, epoch):
        real, fake_D = (energy.mean() for energy in self.energies(x))  # L(x), L(G(z_D))
        with frozen(self.D):
            fake = self.D(self.sample(len(x))).mean()  # L(G(z_G))
        balance = distributed.mean((self.hp.gamma * real - fake).detach())

        terms = {"energy/real": real, "energy/fake": fake}
        yield Turn("G", fake, {**terms, "began/M_global": real + balance.abs()})
        k = self.k + self.hp.lambda_k * balance  # k_{t+1} = k_t + lambda_k (gamma L(x) - L(G(z_G)))
        held = (k != k.clamp(0, 1)).float()
        yield Turn("D", real - self.k * fake_D, {"began/held": held})  # L_D = L(x) - k_t L(G(z_D))
        self.k.copy_(k.clamp(0, 1))

    def after_epoch(self, epoch, means):
        stall = self.hp.stall
        if stall is None:
            return
        M = means["began/M_global"]
        stalled = torch.where(self.least > M, 0, self.stalled + 1)
        falls = stalled >= stall.epochs
        lower = (self.rate * stall.factor).clamp(min=stall.floor)
        self.least.copy_(torch.minimum(M, self.least))
        self.stalled.copy_(torch.where(falls, 0, stalled))
        self.rate.copy_(torch.where(falls, lower, self.rate))

    @property
    def rate_factor(self):
        return self.rate if self.hp.stall else 1.0
