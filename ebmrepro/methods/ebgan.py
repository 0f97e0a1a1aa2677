"""Energy-based generative adversarial network (EBGAN).

Zhao, Mathieu, LeCun: Energy-based Generative Adversarial Network. ICLR 2017, arXiv:1609.03126.

    symbol   here          meaning
    D(x)     energy(x)     reconstruction error of an auto-encoder, || Dec(Enc(x)) - x ||
    m        hp.margin     energy above which a fake no longer interests D
    [.]^+    relu          hinge, per sample, then averaged over the batch

Departures from the paper, and what it leaves open:
- D is printed as a plain norm, without a square or 1/n: `reduction: norm`. The others are there
  because public code uses them; a margin is stated for one of them.
- D and G move in turn, each with its own draw of z; the paper's text fixes neither.
- The code is the last feature map, as in the paper, where encoder and decoder are `conv_map`; with
  `conv` it is a vector behind a fully connected layer. Batch normalisation is where the
  `params.yaml` block says, and never on D's input layer and on an output.
- Weights start by torch's rule; the paper's deviations are not recoverable with certainty.
- `objective` adds two ablations of the lecture: `no_hinge` descends D(x) - D(G(z)), `real_only`
  trains the auto-encoder on real images alone. `hinge` is the paper's.
"""

from typing import Literal

import torch
from torch.nn.functional import relu

from ebmrepro.config.documents import Strict
from ebmrepro.config.networks import CoderNet, EncoderNet, GeneratorNet
from ebmrepro.config.types import Count, Epochs, Positive, Reduction
from ebmrepro.methods.base.method import Method, Turn
from ebmrepro.networks import layers
from ebmrepro.networks.energies import AutoEncoder


class EBGAN(Method):
    players = ("G", "D")

    class Hparams(Strict):
        epochs: Epochs
        z: Count  # dimension of z ~ N(0, I)
        code: Count  # dimension of Enc(x)
        margin: Positive  # m, stated for `reduction`
        reduction: Reduction
        objective: Literal["hinge", "no_hinge", "real_only"]
        rectified: bool  # the code goes through a ReLU
        bounded: bool  # the decoder ends in tanh
        G: GeneratorNet
        encoder: EncoderNet
        decoder: CoderNet

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        self.G = layers.generator(hp.G, shape, hp.z)
        self.D = AutoEncoder(
            layers.encoder(hp.encoder, shape, hp.code, hp.rectified),
            layers.decoder(hp.decoder, shape, hp.code, hp.bounded),
            hp.reduction,
        )

    def energy(self, x):
        return self.D(x)

    def code(self, x):
        return self.D.encoder(x)

    def reconstruct(self, x):
        return self.D.reconstruct(x)

    @property
    def hinge(self):
        return self.hp.margin if self.hp.objective == "hinge" else None

    def prior(self, n):
        return torch.randn(n, self.hp.z, device=next(self.parameters()).device)

    def sample(self, n):
        return self.G(self.prior(n))

    def step(self, x, epoch):
        m, n = self.hp.margin, len(x)
        with torch.no_grad():
            x_g = self.sample(n)
        real, fake = self.D.pair(x, x_g)
        match self.hp.objective:
            case "hinge":
                loss = real.mean() + relu(m - fake).mean()  # L_D = D(x) + [m - D(G(z))]^+
            case "no_hinge":
                loss = real.mean() - fake.mean()  # L_D = D(x) - D(G(z))
            case _:  # real_only
                loss = real.mean()  # L_D = D(x)
        terms = {"energy/real": real.mean(), "energy/fake": fake.mean()}
        if self.hinge is not None:
            terms["hinge/active"] = (fake < m).float().mean()
        yield Turn("D", loss, terms)

        fake = self.D(self.sample(n)).mean()
        yield Turn("G", fake)  # L_G = D(G(z))
