"""Boundary equilibrium GAN (BEGAN).

Berthelot, Schumm, Metz: BEGAN: Boundary Equilibrium Generative Adversarial Networks. 2017,
arXiv:1703.10717.

    symbol     here            meaning
    L(v)       energy(v)       | v - D(v) |, the mean absolute error of the auto-encoder D
    gamma      hp.gamma        diversity ratio, E[L(G(z))] / E[L(x)] at equilibrium, in [0, 1]
    k_t        k (buffer)      how much of L(G(z)) D ascends; k_0 = 0, kept in [0, 1]
    lambda_k   hp.lambda_k     gain of the controller that holds the ratio at gamma
    M_global   term            L(x) + | gamma L(x) - L(G(z_G)) |, the convergence measure

z is uniform on [-1, 1]; z_D and z_G are separate draws. D and G move simultaneously: both losses
are taken at the parameters of step t, and G moves first because L_D does not depend on its
parameters.

Departures:
- Learning rates are constant; the paper halves them when M_global stalls.
- The networks are MLPs, or 4x4 convolutions of stride 2 with transposed ones for the way up; the
  paper has repeated 3x3 convolutions and nearest-neighbour upsampling.
- The `digits` suite is short: lambda_k is a hundred times the paper's 0.001, the batch is 64 (the
  paper: 16), and G learns four times as fast as D.
"""

import torch

from ebmrepro import nets, ranks
from ebmrepro.energies import AutoEncoder
from ebmrepro.method import Method, Turn
from ebmrepro.params import Count, Epochs, Fraction, Net, Positive, Reduction, Strict


class BEGAN(Method):
    players = ("G", "D")
    k: torch.Tensor

    class Hparams(Strict):
        epochs: Epochs
        z: Count  # dimension of z ~ U[-1, 1]
        code: Count  # dimension of the auto-encoder's bottleneck
        gamma: Fraction
        lambda_k: Positive
        reduction: Reduction  # lambda_k is stated for it
        bounded: bool  # the decoder ends in tanh
        G: Net
        encoder: Net
        decoder: Net

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        self.G = nets.generator(hp.G, shape, hp.z)
        self.D = AutoEncoder(
            nets.encoder(hp.encoder, shape, hp.code),
            nets.decoder(hp.decoder, shape, hp.code, hp.bounded),
            hp.reduction,
        )
        self.register_buffer("k", torch.zeros(()))

    def energy(self, x):
        return self.D(x)

    def code(self, x):
        return self.D.encoder(x)

    def reconstruct(self, x):
        return self.D.reconstruct(x)

    def sample(self, n):
        return self.G(torch.rand(n, self.hp.z, device=self.k.device) * 2 - 1)

    def step(self, x, epoch):
        n, gamma = len(x), self.hp.gamma
        with torch.no_grad():
            x_gD = self.sample(n)  # G(z_D)
        real, fake_D = (half.mean() for half in self.D.pair(x, x_gD))
        fake = self.D(self.sample(n)).mean()  # L(G(z_G))
        balance = ranks.mean((gamma * real - fake).detach())

        terms = {"energy/real": real, "energy/fake": fake}
        yield Turn("G", fake, {**terms, "began/M_global": real + balance.abs()})
        yield Turn("D", real - self.k * fake_D)  # L_D = L(x) - k_t L(G(z_D))
        # k_{t+1} = k_t + lambda_k (gamma L(x) - L(G(z_G)))
        self.k.copy_((self.k + self.hp.lambda_k * balance).clamp(0, 1))
