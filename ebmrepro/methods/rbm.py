"""Restricted Boltzmann machine (RBM) and a stack of them (DBN), as distributions of binary images.

Salakhutdinov, Murray: On the quantitative analysis of deep belief networks. ICML 2008.

    symbol     here             meaning
    v, h       v, h             binary visible and hidden units; a grey level is p(pixel = 1)
    F(v)       rbm(v)           free energy, - b'v - sum_j log(1 + exp(c_j + W_j'v)), in nats
    Z          (metrics)        sum over all v of exp(-F(v)); log p(v) = - F(v) - log Z
    CD-k       hp.cd_steps      v_k after k Gibbs steps from the data, all units sampled
    eps        optim.rbms.lr    learning rate; falling, in epoch t of T of a layer, eps (1 - t / T)
    q(h | v)   (metrics)        the stack's posterior: each layer sampled given the one below

Layers are trained in turn by contrastive divergence as `base/rbm_stack.py` has it, each on samples
of the layer below. One layer is an RBM; two are the paper's DBN: the top RBM is the prior of the
first layer's hidden units, and only p(v | h) of the first layer is kept.

Binarisation: each pixel is 1 with probability its grey level / 255, `each_step` anew or `once`,
from `likelihood.seed`, as are the images whose likelihood is measured. `energy` takes grey levels
for states, as the DBN's does.

Visible biases start at the `log_odds` of each unit in the first batch, or at `zero`. From 0, a few
hidden units that are always on learn to hold the dark pixels down, and the state without them keeps
more of the probability than all images together: where CD never looks, and AIS does not either.

Departures:
- Their recipe is `rbm__paper`: data binarised once, a constant rate of 0.05, biases from 0, base
  rates with 5 counts more for every 100 cases. It was read in an edited copy of their code, whose
  CD-k with k rising by the epoch is left out, and which states no number of epochs: 50 is ours.
- In the other blocks pixels are drawn anew, biases start at log odds, base rates are Laplace's, and
  the rate falls linearly, by epochs; the loss is multiplied by what is left of it, which is the
  same for descent with momentum and means nothing to Adam. The weight cost is not multiplied.
- The layers of the stack are trained from random weights; the second does not start as the first
  one upside down, where alone the bound could not fall.
- Samples are drawn by Gibbs sampling from random bits; the paper shows none of them.
"""

import itertools
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from ebmrepro.config.documents import Strict, rule
from ebmrepro.config.types import Count, Positive, PositiveFraction, Seed, Several
from ebmrepro.methods.base import Turn
from ebmrepro.methods.base.rbm_stack import RBMStackHparams, SampledByGibbs, of_each, visible
from ebmrepro.metrics import likelihood, partition_rbm
from ebmrepro.networks.random import bernoulli, fixed_bits


class Rung(Strict):
    """Inverse temperatures from the rung below (from 0) to `up_to`, `step` apart."""

    up_to: PositiveFraction
    step: PositiveFraction


class AIS(Strict):
    """Annealed importance sampling from an RBM without weights, and back to it."""

    chains: Several
    base_counts: Positive | None  # of smoothing for every 100 images; null: Laplace's rule
    burn_in: Annotated[int, Field(ge=8, le=10**9)]  # Gibbs steps of the chains that go back
    temperatures: Annotated[list[Rung], Field(min_length=1)]

    @rule
    def _rungs_reach_one(self):
        tops = [0.0, *(rung.up_to for rung in self.temperatures)]
        if tops[-1] != 1:
            raise ValueError(f"temperatures: found {tops[-1]} at the end; the last up_to is 1")
        for (low, high), rung in zip(itertools.pairwise(tops), self.temperatures, strict=True):
            if low >= high:
                raise ValueError(f"temperatures: found up_to {high} after {low}; each is higher")
            steps = (high - low) / rung.step
            if round(steps) < 1 or abs(steps - round(steps)) > 1e-6:
                raise ValueError(
                    f"temperatures: found step {rung.step} from {low} to {high}; a whole number "
                    "of steps should fit"
                )
        return self

    @property
    def betas(self) -> list[float]:
        """All inverse temperatures, 0 and 1 among them, rising."""
        found = [0.0]
        for rung in self.temperatures:
            low, steps = found[-1], round((rung.up_to - found[-1]) / rung.step)
            found += [low + (rung.up_to - low) * i / steps for i in range(1, steps)] + [rung.up_to]
        return found


class Likelihoods(Strict):
    """How the likelihood of a trained RBM, or the lower bound of a stack, is measured."""

    seed: Seed  # of the binarisation of the images and of all chains
    train: Count  # training images measured beside the test images, at most
    posterior: Count  # samples of q(h | v) per image, for a stack's bound
    ais: AIS
    trials: Count  # of the same AIS beside the exact Z, where at most 20 hidden units allow it


class RestrictedBoltzmann(SampledByGibbs):
    players = ("rbms",)

    class Hparams(RBMStackHparams):
        cd_steps: Annotated[list[Count], Field(min_length=1)]  # k of each layer
        binarised: Literal["each_step", "once"]
        rate: Literal["falling", "constant"]
        visible_bias: Literal["log_odds", "zero"]  # at the start
        chain_steps: Count  # Gibbs steps in the top RBM before a sample is taken
        likelihood: Likelihoods

        @rule
        def _a_k_for_each_layer(self):
            if len(self.cd_steps) != len(self.layers):
                raise ValueError(
                    f"cd_steps: found {len(self.cd_steps)} numbers; there are "
                    f"{len(self.layers)} layers, each with its own"
                )
            return self

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        self.rbms = nn.ModuleList(self.new_rbms(self.widths))

    def phase(self, epoch):
        layer, t = divmod(epoch, self.hp.rbm_epochs)
        return layer, t if self.hp.rate == "falling" else t == 0

    def step(self, x, epoch):
        layer, t = divmod(epoch, self.hp.rbm_epochs)
        rbm, k = self.stack[layer], self.hp.cd_steps[layer]
        with torch.no_grad():
            v = bernoulli(self.bits(visible(x)))
            for below in self.stack[:layer]:
                v = bernoulli(below.up(v))
            if self.hp.visible_bias == "log_odds" and t == 0:
                # In its first step, before which all are 0; no step leaves them so.
                rbm.b.copy_(torch.where(rbm.b.any(), rbm.b, partition_rbm.base_rates(v)))
            field = rbm.field(v)
            p_k = rbm.gibbs(v, k, sample_visible=True, field=field)
            v_k = bernoulli(p_k)
        contrast = rbm.contrast(v, v_k, field)  # F(v_0) - F(v_k)
        terms = {
            f"contrast/rbm{layer + 1}": contrast,
            f"reconstruction/rbm{layer + 1}": (v - p_k).square().mean(),
        }
        left = 1 - t / self.hp.rbm_epochs if self.hp.rate == "falling" else 1
        yield Turn(f"rbms.{layer}", contrast * left, terms)

    def bits(self, p):
        """Probabilities of pixels, (N, V), of which those of images binarised once are 0 or 1."""
        return fixed_bits(p, self.hp.likelihood.seed) if self.hp.binarised == "once" else p

    def diagnose(self, train, test):
        images = {
            "train": self.bits(_first(self.hp.likelihood.train, train)),
            "test": of_each(lambda x, _: self.bits(visible(x)), test),
        }
        return likelihood.measure(self.stack, images, self.hp.likelihood)


def _first(n, split):
    """Of the first n images of a split, (n, V); no batch after them is read."""
    found, count = [], 0
    for x, _ in split:
        found.append(visible(x))
        count += len(x)
        if count >= n:
            break
    return torch.cat(found)[:n]
