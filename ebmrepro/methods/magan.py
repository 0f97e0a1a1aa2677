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
- Gradients are averaged over the batch, not summed; under Adamax this moves only epsilon. That
  corrects the first moment's bias, where the release's does not (beta2 0.999, eps 1e-8 as here).
- Weights start by torch's rule. The release's, He's before a ReLU and Glorot's elsewhere, are those
  of `magan__he`: of MNIST's D the first layer starts at an sd of 0.050 and not 0.021, of its G the
  images at 0.04 and not 0.25.
- Images are in [-1, 1] in every suite, where the authors' MNIST has a sigmoid and [0, 1]: energies
  and margins are four times as large. An encoder of kind `unit_mlp` takes [0, 1] as theirs does;
  without it G on MNIST stands still at a grey image, which D rebuilds too well from the start, and
  with the release's initial weights it does so too (seed 0, by hand).
- An epoch, and the measuring pass, leave out the last partial batch.
- Auto-encoders of the kind `conv` have a fully connected code; `conv_map` is the release's. G's
  first layer has a bias per pixel, where the release has one per channel.
- `margin_moves: false` is an ablation: m stays at m_0.
- The `digits` suite is short and small: one epoch of pretraining (the authors: two), larger rates
  than 5e-4, and batch normalisation in G, which the release has nowhere.
"""

import numpy as np
import torch
from torch.nn.functional import relu

from ebmrepro.config.documents import rule
from ebmrepro.config.types import Natural
from ebmrepro.methods.base import Turn
from ebmrepro.methods.base.gan import AutoEncoderGAN, AutoEncoderHparams, frozen


def conditions(E_G_before, E_G, E_data, m):
    """(1), (2) and (3), of one epoch or of many at once: tensors or arrays of any one shape."""
    return E_G_before <= E_G, E_data < m, E_data < E_G


class MAGAN(AutoEncoderGAN):
    players = ("G", "D")
    margin: torch.Tensor
    E_G_before: torch.Tensor
    updates: torch.Tensor

    class Hparams(AutoEncoderHparams):  # `epochs`: after the pretraining and the measuring pass
        pretrain_epochs: Natural
        margin_moves: bool
        rectified: bool  # the code goes through a ReLU

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
        self.register_buffer("margin", torch.zeros(()))
        self.register_buffer("E_G_before", torch.tensor(torch.inf))  # none: (1) cannot hold
        self.register_buffer("updates", torch.zeros(()))  # how often the margin moved

    @property
    def epochs(self):
        return self.hp.pretrain_epochs + 1 + self.hp.epochs

    @property
    def hinge(self):
        return self.margin

    def step(self, x, epoch):
        if epoch <= self.hp.pretrain_epochs:
            real = self.D(x).mean()
            pretrains = epoch < self.hp.pretrain_epochs  # the pass after it only looks
            yield Turn("D", real if pretrains else None, {"energy/real": real})
            return
        m = self.margin
        real, fake = self.energies(x)
        loss = real.mean() + relu(m - fake).mean()  # L_D = D(x) + [m_t - D(G(z))]^+
        active = (fake < m).float().mean()
        yield Turn("D", loss, {"energy/real": real.mean(), "hinge/active": active})

        with frozen(self.D):
            fake = self.D(self.sample(len(x))).mean()
        yield Turn("G", fake, {"energy/fake": fake})  # L_G = D(G(z))

    def phase(self, epoch):
        return min(epoch - self.hp.pretrain_epochs, 1) if epoch >= self.hp.pretrain_epochs else -1

    def after_epoch(self, epoch, means):
        if epoch < self.hp.pretrain_epochs:
            return
        E_data = means["energy/real"]
        if epoch == self.hp.pretrain_epochs:
            self.margin.copy_(E_data)  # m_0
            return
        E_G = means["energy/fake"]
        stalls, below_m, below_fakes = conditions(self.E_G_before, E_G, E_data, self.margin)
        moves = stalls & below_m & below_fakes & self.hp.margin_moves
        self.margin.copy_(torch.where(moves, E_data, self.margin))
        self.updates.add_(moves)
        self.E_G_before.copy_(E_G)

    def recount(self, curves):
        """How often each condition failed; an epoch that could have moved m counts as a chance."""
        E_data, E_G, m = (curves[key] for key in ("energy/real", "energy/fake", "magan/margin"))
        chance = np.isfinite(E_G[1:]) & np.isfinite(E_G[:-1])
        held = conditions(E_G[:-1], E_G[1:], E_data[1:], m[:-1])  # m as it stood before its move
        stopped = [int((chance & ~each).sum()) for each in held]
        names = ("stopped_by_generator", "stopped_by_margin", "stopped_by_fakes")
        return {"chances": int(chance.sum()), **dict(zip(names, stopped, strict=True))}
