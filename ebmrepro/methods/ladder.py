"""Ladder network, by its bottom layer's denoising cost.

Rasmus, Valpola, Honkala, Berglund, Raiko: Semi-Supervised Learning with Ladder Networks. NIPS 2015,
arXiv:1507.02672, and the authors' code (CuriousAI/ladder). Here as the baseline of table 2 of Zhao,
Mathieu, LeCun: Energy-based Generative Adversarial Network. ICLR 2017, arXiv:1609.03126.

    symbol     here          meaning
    z_l        encode        layer l, normalised over the batch; z_0 is the pixels in [0, 1]
    n_l        hp.noise      deviation of the Gaussian noise in z_l on the corrupted path
    u_l        decode        what layer l is told from above, normalised over the batch
    ẑ_l        combine       z_l without its noise, as guessed from the noisy z_l and u_l
    μ, v       a             functions of u_l in ẑ_l, of ten numbers a unit ("vanilla")
    C_c        cost/labels   cross-entropy of the labelled images, by the corrupted path
    C_d^l      costs         || (ẑ_l - m_l) / s_l - z_l ||^2 over the units of layer l; m_l, s_l
                             mean and deviation on the clean path, at the bottom 0 and 1
    lambda_l   hp.denoising  weight of C_d^l, here over the units: 1000 is 1000/784 for the pixels

A step has a batch without labels, for C_d, and one with labels, for C_c; each is normalised by its
own statistics. A test image is classified by the clean path.

Departures:
- Zhao, Mathieu and LeCun's settings stand in an appendix that was not read. Adam's beta1 of 0.5,
  batches of 100, lambda_0 of 1000/784, a rate of 2e-4 and 120,000 steps are recalled, not verified.
  That the bottom layer alone has a cost is in the paper's text ("bottom-layer-cost"); the authors'
  code of the ladder network weighs it by 5000 for 100 labels and by 2000 for 1,000.
- The rate falls to 0 in a line over the last third, as in the authors' code (from 0.67 on); whether
  it did in the recalled setting is not known. Noise of 0.3, N(0, 1 / fan-in) weights, the start of
  the a's and the epsilon of 1e-10 are that code's.
- Test images are normalised by the statistics of 10,000 training images without noise, as every
  energy here is; the authors' by those of the labelled ones.
- A seed draws the labelled images, as many of each class, and all else. The paper has 15 seeds.
- Nobody draws images from a ladder network. Here `sample` runs chains from uniform noise: hat x - x
  is about n_0^2 times the slope of log p (Alain and Bengio, 2014), so that half of it and noise of
  deviation n_0 is a step of Langevin's; hat x is held to [0, 1], and the noise falls to 0.
"""

import torch

from ebmrepro.config.types import Count
from ebmrepro.methods.base import Turn
from ebmrepro.methods.base.ladder_network import LadderHparams, LadderNetwork


class LadderAlone(LadderNetwork):
    players = ("D",)
    labelled = True
    smallest_batch = 2  # one image has no deviation

    class Hparams(LadderHparams):
        chain_steps: Count  # before an image is taken

    @torch.no_grad()
    def sample(self, n):
        v = torch.rand(n, torch.Size(self.shape).numel(), device=self.rate.device)
        for t in range(1, self.hp.chain_steps + 1):
            noise = self.hp.noise * (1 - t / self.hp.chain_steps) * torch.randn_like(v)
            v = (v + self.D.reconstruct(v).clamp(0, 1)) / 2 + noise
        return self.image(v.clamp(0, 1))

    def step(self, x, epoch):
        yield Turn("D", *self.cost(x))  # C = C_c + sum_l lambda_l C_d^l
