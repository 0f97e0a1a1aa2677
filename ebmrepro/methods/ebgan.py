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
- Where D is convolutional, params.yaml has LeakyReLU in it and a tanh at its end (`bounded`); the
  paper's text names neither for D.
- Weights start by torch's rule where a network has no `init`; the paper's deviations are not
  recoverable with certainty.
- `objective` adds three ablations of the lecture: `no_hinge` descends D(x) - D(G(z)), `real_only`
  trains the auto-encoder on real images alone, and `noise` has images of uniform noise in place of
  G's. `hinge` is the paper's.
"""

from typing import Literal

import torch
from torch.nn.functional import relu

from ebmrepro.config.types import Positive
from ebmrepro.methods.base import Turn
from ebmrepro.methods.base.gan import AutoEncoderGAN, AutoEncoderHparams, frozen


class EBGAN(AutoEncoderGAN):
    players = ("G", "D")

    class Hparams(AutoEncoderHparams):
        margin: Positive  # m, stated for `reduction`
        objective: Literal["hinge", "no_hinge", "real_only", "noise"]
        rectified: bool  # the code goes through a ReLU

    @property
    def hinge(self):
        return self.hp.margin if self.hp.objective == "hinge" else None

    def step(self, x, epoch):
        m = self.hp.margin
        real, fake = self.energies(x)
        match self.hp.objective:
            case "hinge":
                loss = real.mean() + relu(m - fake).mean()  # L_D = D(x) + [m - D(G(z))]^+
            case "no_hinge":
                loss = real.mean() - fake.mean()  # L_D = D(x) - D(G(z))
            case "real_only":
                loss = real.mean()  # L_D = D(x)
            case _:  # noise
                u = self.energy(2 * torch.rand_like(x) - 1)
                loss = real.mean() + relu(m - u).mean()  # L_D = D(x) + [m - D(u)]^+
        terms = {"energy/real": real.mean(), "energy/fake": fake.mean()}
        if self.hinge is not None:
            terms["hinge/active"] = (fake < m).float().mean()
        yield Turn("D", loss, terms)

        with frozen(self.D):
            fake = self.D(self.sample(len(x))).mean()
        yield Turn("G", fake)  # L_G = D(G(z))
