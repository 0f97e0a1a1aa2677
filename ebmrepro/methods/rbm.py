"""Restricted Boltzmann machine (RBM) and a stack of them (DBN), as distributions of binary images.

Salakhutdinov, Murray: On the quantitative analysis of deep belief networks. ICML 2008.

    symbol     here             meaning
    v, h       v, h             binary visible and hidden units; a grey level is p(pixel = 1)
    F(v)       rbm(v)           free energy, - b'v - sum_j log(1 + exp(c_j + W_j'v)), in nats
    Z          (metrics)        sum over all v of exp(-F(v)); log p(v) = - F(v) - log Z
    CD-k       hp.cd_steps      v_k after k Gibbs steps from the data, all units sampled
    eps        optim.rbms.lr    learning rate; in epoch t of T of a layer it is eps (1 - t / T)
    q(h | v)   (metrics)        the stack's posterior: each layer sampled given the one below

Contrastive divergence is the descent of mean F(v_0) - mean F(v_k), v_k held fixed: dW = eps
(<v h>_data - <v h>_k) with h a probability in both statistics. Layers are trained in turn, each on
samples of the layer below. One layer is an RBM; two are the paper's DBN: the top RBM is the prior
of the first layer's hidden units, and only p(v | h) of the first layer is kept.

Binarisation: each pixel is 1 with probability its grey level / 255, drawn anew in every step of
training, and once, from `likelihood.seed`, for the images whose likelihood is measured. `energy`
takes grey levels for states, as the DBN's does.

Visible biases start at the log odds of each unit in the first batch. From 0, a few hidden units
that are always on learn to hold the dark pixels down, and the state without them keeps more of the
probability than all images together: where CD never looks, and AIS does not either.

Departures:
- The paper's rates and epochs are not in the sources that were read; those of params.yaml are ours.
- The rate falls linearly, by epochs; the loss is multiplied by what is left of it, which is the
  same for descent with momentum and means nothing to Adam. The weight cost is not multiplied.
- The layers of the stack are trained from random weights; the second does not start as the first
  one upside down, where alone the bound could not fall.
- Samples are drawn by Gibbs sampling from random bits; the paper shows none of them.
"""

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from ebmrepro.config.documents import Strict, rule
from ebmrepro.config.likelihood import Likelihoods
from ebmrepro.config.types import Count, Epochs, Layers, Positive
from ebmrepro.methods.base.method import Method, Turn
from ebmrepro.metrics import likelihood
from ebmrepro.networks import distributed
from ebmrepro.networks.energies import RBM
from ebmrepro.networks.random import bernoulli


class RestrictedBoltzmann(Method):
    players = ("rbms",)

    class Hparams(Strict):
        layers: Layers  # hidden units, bottom to top
        init_std: Positive  # of W
        cd_steps: Annotated[list[Count], Field(min_length=1)]  # k of each layer
        rbm_epochs: Epochs  # per layer
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
        widths = [torch.Size(shape).numel(), *hp.layers]
        self.rbms = nn.ModuleList(RBM(*pair, hp.init_std) for pair in pairwise(widths))

    @property
    def stack(self) -> list[RBM]:
        return [rbm for rbm in self.rbms if isinstance(rbm, RBM)]

    @property
    def epochs(self):
        return len(self.rbms) * self.hp.rbm_epochs

    def energy(self, x):
        """Free energy of the first RBM, the one layer whose p(v) is known up to a constant."""
        return self.stack[0](_probabilities(x))

    @torch.no_grad()
    def sample(self, n):
        top = self.stack[-1]
        v = bernoulli(torch.full((n, top.b.numel()), 0.5, device=top.b.device))
        v = top.gibbs(v, self.hp.chain_steps, sample_visible=True)
        for rbm in self.stack[-2::-1]:
            v = rbm.down(bernoulli(v))
        return (v * 2 - 1).unflatten(1, self.shape)

    def step(self, x, epoch):
        layer, t = divmod(epoch, self.hp.rbm_epochs)
        rbm, k = self.stack[layer], self.hp.cd_steps[layer]
        with torch.no_grad():
            v = bernoulli(_probabilities(x))
            for below in self.stack[:layer]:
                v = bernoulli(below.up(v))
            if t == 0 and not rbm.b.any():  # its first step: no step leaves all of them at 0
                rbm.b.copy_(_log_odds(v))
            field = rbm.field(v)
            p_k = rbm.gibbs(v, k, sample_visible=True, field=field)
            v_k = bernoulli(p_k)
        contrast = rbm.contrast(v, v_k, field)  # F(v_0) - F(v_k)
        terms = {
            f"contrast/rbm{layer + 1}": contrast,
            f"reconstruction/rbm{layer + 1}": (v - p_k).square().mean(),
        }
        yield Turn(f"rbms.{layer}", contrast * (1 - t / self.hp.rbm_epochs), terms)

    def diagnose(self, train, test):
        images = {"train": _probabilities(train.x), "test": _probabilities(test.x)}
        return likelihood.measure(self.stack, images, self.hp.likelihood)


def _log_odds(v):
    """Biases with which units without weights are on as often as in v, by Laplace's rule, (V,)."""
    return torch.logit((distributed.total(v.sum(0)) + 1) / (len(v) * distributed.count() + 2))


def _probabilities(x):
    """Images in [-1, 1] as p(v = 1), (N, C, H, W) -> (N, V) in [0, 1]."""
    return (x.flatten(1) + 1) / 2
