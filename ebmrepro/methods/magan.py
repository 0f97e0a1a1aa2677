"""Margin adaptation for GANs (MAGAN).

Wang, Cully, Chang, Demiris: MAGAN: Margin Adaptation for Generative Adversarial Networks. 2017,
arXiv:1704.03817, algorithm 1 as the authors released it.

    symbol     here                 meaning
    D(x)       energy(x)            || x - AE(x) ||^2, summed over the image: no root, no mean
    m_t        margin (buffer)      margin in epoch t; never rises
    E_data^t   means["energy/real"] mean energy of real images over epoch t
    E_G^t      means["energy/fake"] mean energy of fakes over epoch t, in G's turns

First D is trained on real images alone for `pretrain_epochs`; one further pass without any move
measures m_0 = E_data. Then, at the end of an epoch, m_{t+1} = E_data^t if and only if

    (1) E_G^{t-1} <= E_G^t     the generator no longer brings its energy down,
    (2) E_data^t < m_t         data already lie below the margin, and
    (3) E_data^t < E_G^t       below the fakes as well.

Departures:
- (1) is the lecture's <=, where the authors' code has <.
- Gradients are averaged over the batch, not summed; under Adamax this moves only epsilon.
- Images are in [-1, 1] in every suite, where the authors' MNIST has a sigmoid and [0, 1]: energies
  and margins are four times as large. An encoder of kind `unit_mlp` takes [0, 1] as theirs does;
  without it G on MNIST stands still at a grey image, which D rebuilds too well from the start.
- An epoch, and the measuring pass, leave out the last partial batch.
- Auto-encoders of the kind `conv` have a fully connected code; `conv_map` is the release's. G's
  first layer has a bias per pixel, where the release has one per channel.
- `margin_moves: false` is an ablation: m stays at m_0.
- The `digits` suite is short and small: one epoch of pretraining (the authors: two), larger rates
  than 5e-4, and batch normalisation in G, which the release has nowhere.
"""

import torch
from torch.nn.functional import relu

from ebmrepro.config.documents import Strict, rule
from ebmrepro.config.networks import CoderNet, EncoderNet, GeneratorNet
from ebmrepro.config.types import Count, Epochs, Natural, Reduction
from ebmrepro.methods.base.method import Method, Turn
from ebmrepro.networks import layers
from ebmrepro.networks.energies import AutoEncoder


class MAGAN(Method):
    players = ("G", "D")
    margin: torch.Tensor
    E_G_before: torch.Tensor
    updates: torch.Tensor

    class Hparams(Strict):
        epochs: Epochs  # after the pretraining and the measuring pass
        pretrain_epochs: Natural
        margin_moves: bool
        z: Count  # dimension of z ~ N(0, I)
        code: Count
        reduction: Reduction
        rectified: bool  # the code goes through a ReLU
        bounded: bool  # the decoder ends in tanh
        G: GeneratorNet
        encoder: EncoderNet
        decoder: CoderNet

        @rule
        def _margin_means_something(self):
            if not self.margin_moves and not self.pretrain_epochs:
                raise ValueError(
                    "margin_moves: found False with pretrain_epochs 0; the margin would stay at "
                    "the energy of an untrained D; pretrain_epochs of 1 or more is allowed"
                )
            return self

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        self.G = layers.generator(hp.G, shape, hp.z)
        self.D = AutoEncoder(
            layers.encoder(hp.encoder, shape, hp.code, hp.rectified),
            layers.decoder(hp.decoder, shape, hp.code, hp.bounded),
            hp.reduction,
        )
        self.register_buffer("margin", torch.zeros(()))
        self.register_buffer("E_G_before", torch.tensor(torch.inf))  # none: (1) cannot hold
        self.register_buffer("updates", torch.zeros(()))  # how often the margin moved

    @property
    def epochs(self):
        return self.hp.pretrain_epochs + 1 + self.hp.epochs

    def energy(self, x):
        return self.D(x)

    def code(self, x):
        return self.D.encoder(x)

    def reconstruct(self, x):
        return self.D.reconstruct(x)

    @property
    def hinge(self):
        return self.margin

    def prior(self, n):
        return torch.randn(n, self.hp.z, device=self.margin.device)

    def sample(self, n):
        return self.G(self.prior(n))

    def step(self, x, epoch):
        if epoch <= self.hp.pretrain_epochs:
            real = self.D(x).mean()
            pretrains = epoch < self.hp.pretrain_epochs  # the pass after it only looks
            yield Turn("D", real if pretrains else None, {"energy/real": real})
            return
        m, n = self.margin, len(x)
        with torch.no_grad():
            x_g = self.sample(n)
        real, fake = self.D.pair(x, x_g)
        loss = real.mean() + relu(m - fake).mean()  # L_D = D(x) + [m_t - D(G(z))]^+
        active = (fake < m).float().mean()
        yield Turn("D", loss, {"energy/real": real.mean(), "hinge/active": active})

        fake = self.D(self.sample(n)).mean()
        yield Turn("G", fake, {"energy/fake": fake})  # L_G = D(G(z))

    def after_epoch(self, epoch, means):
        if epoch < self.hp.pretrain_epochs:
            return
        E_data = means["energy/real"]
        if epoch == self.hp.pretrain_epochs:
            self.margin.copy_(E_data)  # m_0
            return
        E_G = means["energy/fake"]
        moves = (self.E_G_before <= E_G) & (E_data < self.margin) & (E_data < E_G)
        moves &= self.hp.margin_moves
        self.margin.copy_(torch.where(moves, E_data, self.margin))
        self.updates.add_(moves)
        self.E_G_before.copy_(E_G)
