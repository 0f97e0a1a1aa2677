"""Deep convolutional GAN (DCGAN): the baseline.

Radford, Metz, Chintala: Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks. ICLR 2016, arXiv:1511.06434.

    symbol   here         meaning
    D(x)     sigmoid(-E)  probability that x is real
    E(x)     energy(x)    minus the critic's logit: low where D sees data

Departures:
- Where a suite's images are too small for convolutions both networks are MLPs, and D has no batch
  normalisation there.
- Convolutions are 4x4, as in the authors' Torch code; the paper's figure has 5x5.
- z ~ N(0, I), as in that code; the paper's text has a uniform z.
- G's turn draws fakes of its own; that code hands G the fakes that D has just seen.
- Layers before batch normalisation keep their biases, which change nothing, and G's first layer,
  which is fully connected, has a bias per pixel.
"""

import torch
from torch.nn.functional import softplus

from ebmrepro.config.documents import rule
from ebmrepro.config.networks import Net
from ebmrepro.config.types import Positive
from ebmrepro.methods.base import Turn
from ebmrepro.methods.base.gan import GAN, GANHparams, frozen
from ebmrepro.networks import layers


class DCGAN(GAN):
    players = ("G", "D")

    class Hparams(GANHparams):
        init_std: Positive  # 0.02 in the paper
        D: Net

        @rule
        def _one_start(self):
            for key in ("G", "D"):
                if init := getattr(self, key).init:
                    raise ValueError(f"{key}.init: found {init!r}; init_std says it here")
            return self

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        self.D = layers.critic(hp.D, shape)
        layers.initialise(self, hp.init_std)

    def energy(self, x):
        return -self.D(x)

    def step(self, x, epoch):
        with torch.no_grad():
            x_g = self.sample(len(x))
        real, fake = self.energy(x), self.energy(x_g)
        loss = softplus(real).mean() + softplus(-fake).mean()  # - log D(x) - log(1 - D(G(z)))
        yield Turn("D", loss, {"energy/real": real.mean(), "energy/fake": fake.mean()})

        with frozen(self.D):
            fake = self.energy(self.sample(len(x)))
        yield Turn("G", softplus(fake).mean())  # - log D(G(z))
