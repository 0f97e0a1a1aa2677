"""EBGAN whose discriminator is a ladder network (EBGAN-LN).

Zhao, Mathieu, LeCun: Energy-based Generative Adversarial Network. ICLR 2017, arXiv:1609.03126,
section 4.2 and table 2.

    symbol   here            meaning
    D(x)     energy(x)       lambda_0 / V || x - hat x ||^2, the denoising cost of the bottom layer
                             of a ladder network; `ladder.py` has its symbols
    C_c      cost/labels     cross-entropy of the labelled images
    m        margin, buffer  energy above which a fake no longer interests D; falls to 0
    [.]^+    relu            hinge, per sample, then averaged over the batch

While m falls, D and G play: L_D = C_c + D(x) + [m - D(G(z))]^+ and L_G = D(G(z)). At m = 0 the loss
is the ladder network's, as the paper's text says; then G rests, and D goes on alone.

Departures:
- The settings stand in an appendix that was not read. Recalled, not verified: m falls from 16 to 0
  in 60,000 steps at rates of 5e-4 (D) and 2.5e-4 (G), then D goes on alone for 120,000. That it
  does so at the ladder network's rate, 2e-4 (`alone_rate` times its own), is ours to conclude.
- So D takes 180,000 steps where the ladder network alone takes 120,000: a part of what the table
  compares may be that.
- m is stated for D(x) with its lambda_0, as it stands in the loss of a ladder network; which unit
  the paper's has is not known. It falls in a line, once an epoch.
- The generator is named by no source that was read: ours, as is its z. Images are 28 x 28,
  unpadded, as in the paper.
- G is trained against D with its noise; fakes are a batch of their own, with their own statistics.
- The departures of `ladder.py` hold here too, but for its chains: G draws.
"""

import torch
from torch.nn.functional import relu

from ebmrepro.config.networks import GeneratorNet
from ebmrepro.config.types import Count, Epochs, Positive
from ebmrepro.methods.base import Turn
from ebmrepro.methods.base.gan import GAN, frozen
from ebmrepro.methods.base.ladder_network import LadderHparams, LadderNetwork


class EBGANLN(LadderNetwork, GAN):
    players = ("G", "D")
    labelled = True
    smallest_batch = 2  # one image has no deviation
    margin: torch.Tensor

    class Hparams(LadderHparams):  # `epochs` are those of D alone, after the game
        game_epochs: Epochs  # in which the margin falls to 0
        margin: Positive  # m at the start
        alone_rate: Positive  # of D after the game, as a share of its optimiser's
        z: Count  # dimension of z
        G: GeneratorNet

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        self.register_buffer("margin", torch.tensor(hp.margin))

    @property
    def epochs(self):
        return self.hp.game_epochs + self.hp.epochs

    @property
    def hinge(self):
        return self.margin

    def phase(self, epoch):
        """Whether G plays."""
        return epoch < self.hp.game_epochs

    def step(self, x, epoch):
        cost, terms = self.cost(x)
        if not self.phase(epoch):
            yield Turn("D", cost, terms)  # L_D = C_c + D(x)
            return
        m = self.margin
        with torch.no_grad():
            x_g = self.sample(len(x.x))
        fake = self.energy(x_g)
        terms |= {"energy/fake": fake.mean(), "hinge/active": (fake < m).float().mean()}
        yield Turn("D", cost + relu(m - fake).mean(), terms)  # L_D = C_c + D(x) + [m - D(G(z))]^+

        with frozen(self.D):
            fake = self.energy(self.sample(len(x.x))).mean()
        yield Turn("G", fake)  # L_G = D(G(z))

    def after_epoch(self, epoch, means):
        super().after_epoch(epoch, means)
        left = self.hp.game_epochs - 1 - epoch  # epochs of the game
        self.margin.fill_(self.hp.margin * max(left, 0) / self.hp.game_epochs)
        if left <= 0:
            self.rate.mul_(self.hp.alone_rate)
