"""Generative deep belief network with labels, fine-tuned by up-down (DBN up-down).

Hinton, Osindero, Teh: A fast learning algorithm for deep belief nets. Neural Computation 18, 2006.

    symbol     here          meaning
    v, h_l     wake, sleep   pixels, then the states of each layer: from data, from the model
    R_l, G_l   recognition,  weights upwards and downwards; equal (W_l', W_l) until up-down unties
               generative    them
    h_L, y, t  top           the top RBM joins the last layer and a softmax group of labels to t
    K          gibbs_steps   Gibbs steps in the top RBM; 3, 6, 10 in thirds of the up-down epochs
    F(h, y)    top(v)        free energy of the top RBM, log-sum over all states of t

1. Greedy: layers are trained in turn by CD-k, each on the hidden probabilities of the one below,
   the top RBM on [hidden probabilities ; label]. These weights stay as they are in `rbms`.
2. Up-down (contrastive wake-sleep), on copies of them. Wake: a sampled pass up; the generative
   weights learn to predict each layer from the one above. K Gibbs steps from there in the top RBM
   give its contrastive divergence. Sleep: a sampled pass down from the end of that chain; the
   recognition weights learn to predict each layer from the one below.

A label is inferred from the probabilities of a pass up and the exact F of each label: lowest wins
(the paper's way c). Beside it stand the exact F after a sampled pass (b), and label units that
a few Gibbs steps settle after the same pass (a).

Departures:
- Learning rates, momentum and weight cost are ours: the paper chose them on its validation images
  and prints none. One rate for all, as in its pseudocode.
- Statistics of t are probabilities where the pseudocode has sampled states: same mean, less noise.
- In up-down, the label of the negative phase is sampled, where the pseudocode keeps probabilities.
- Batches are drawn at random; the paper's hold ten images of each class.
- Images are drawn after `chain_steps` Gibbs steps, 200 in params.yaml, from random bits; the paper
  took 1,000 between two samples of one chain. `r_hat_samples` says whether they are enough.
- Its figures of digits are drawn with its counts of steps, but each sample is a chain's own.
- All training images from the start; the paper chose its epoch on 10,000 of them held out, and then
  went on with all. `studies/classifiers/selection.py` does so where params.yaml has `selected`.
"""

import copy
from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from ebmrepro.config.types import Count, Epochs
from ebmrepro.methods.base import Turn
from ebmrepro.methods.base.rbm_stack import (
    IN_OWN_FEATURES,
    RBMStackHparams,
    SampledByGibbs,
    sigmoid_layers,
    visible,
)
from ebmrepro.networks.energies import LabelledRBM
from ebmrepro.networks.layers import linear_layers
from ebmrepro.networks.random import bernoulli, one_of

PASSES = 20  # sampled passes up over which the paper averages log p(y | x)
SETTLING = 5  # Gibbs steps of the label units alone: the paper has "a few"


class DBNUpDown(SampledByGibbs):
    players = ("rbms", "generative", "top", "recognition")
    labelled = True
    flags: ClassVar = {
        **IN_OWN_FEATURES,
        "classes_covered": "labels are clamped in turn: classes are asked for, not found",
    }

    class Hparams(RBMStackHparams):  # `layers` are those under the top RBM
        top: Count  # hidden units of the top RBM
        cd_steps: Count  # in the greedy phase
        updown_epochs: Epochs
        gibbs_steps: Annotated[list[Count], Field(min_length=1)]  # K, in equal parts of up-down
        chain_steps: Count  # Gibbs steps in the top RBM before a sample is taken

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        top = LabelledRBM(hp.layers[-1], classes, hp.top, hp.init_std)
        self.rbms = nn.ModuleList([*self.new_rbms(self.widths), top])
        self.recognition = nn.Sequential(*sigmoid_layers(self.widths))
        self.generative = nn.Sequential(*sigmoid_layers(self.widths[::-1]))
        self.top = copy.deepcopy(top)
        self._untie()

    @property
    def epochs(self):
        return self.greedy_epochs + self.hp.updown_epochs

    def joint_free_energy(self, x):
        """F(h_L, y) of each label y, exact, with h_L the probabilities of a pass up.

        Images (N, C, H, W) -> (N, classes), in nats; p(y | x) is the softmax of its negative.
        """
        return self.top.free_energies(self.recognition(visible(x)))

    def energy(self, x):
        """- log sum_y exp(- F(h_L, y)): the top RBM's free energy, labels summed out.

        An energy of the features h_L that a deterministic pass up gives x; it is not log p(x).
        """
        return -(-self.joint_free_energy(x)).logsumexp(1)

    def sample(self, n):
        """`n` images, the labels 0, 1, 2, ... in turn: a grid of `classes` columns has one each."""
        return self.sample_class(torch.arange(n, device=self.top.b.device) % self.classes)

    @torch.no_grad()
    def imagine(self, y, at):
        """A chain starts from a pass up from random pixels, half of them on; its label is clamped.

        Each image is one pass down, from the top RBM's state as it is then.
        """
        pixels = torch.full((len(y), self.widths[0]), 0.5, device=y.device)
        h, shown = self._up(bernoulli(pixels))[-1], []
        for steps in range(at[-1] + 1):
            if steps:
                p = self.top.gibbs(self.top.join(h, y), 1, sample_visible=True)
                h = bernoulli(self.top.part(p)[0])
            if steps in at:
                shown.append(self.image(self._down(h)[-1]))
        return torch.stack(shown, 1)

    @torch.no_grad()
    def sample_class(self, y):
        """An image of each label, (N,) int64 -> (N, C, H, W): the label clamped, then down."""
        h = bernoulli(self.top.recall(y, self.hp.chain_steps))
        return self.image(self._down(h)[-1])

    def chains(self, n):
        y = torch.arange(self.classes, device=self.top.b.device).repeat_interleave(n)
        free = self.trace(self.top, len(y), lambda v: self.top.join(self.top.part(v)[0], y))
        return free.unflatten(0, (self.classes, n))

    def step(self, x, epoch):
        v, y = visible(x.x), x.y
        if epoch < self.greedy_epochs:
            yield self.contrastive_divergence(v, epoch, y)
            return
        # All states first: the three sets of weights move at once, as in the paper.
        with torch.no_grad():
            wake = self._up(v)
            v_0 = self.top.join(wake[-1], y)
            field = self.top.field(v_0)
            p_K = self.top.gibbs(v_0, self._K(epoch), sample_visible=True, field=field)
            v_K = self.top.draw(p_K)
            sleep = self._down(self.top.part(v_K)[0])
            error = (self.top.free_energies(wake[-1]).argmin(1) != y).float().mean()
        yield Turn("generative", _surprise(self.generative, wake[::-1]))
        yield Turn("top", self.top.contrast(v_0, v_K, field), {"error/label": error})
        yield Turn("recognition", _surprise(self.recognition, sleep[::-1]))

    def phase(self, epoch):
        return super().phase(epoch) if epoch < self.greedy_epochs else ("K", self._K(epoch))

    def _K(self, epoch):
        parts = self.hp.gibbs_steps
        return parts[(epoch - self.greedy_epochs) * len(parts) // self.hp.updown_epochs]

    def _up(self, v):
        """Sampled states from the pixels up, [v, h_1, ..., h_L]."""
        return _sampled(linear_layers(self.recognition), v)

    def _down(self, h):
        """Sampled states from h_L down, [h_L, ..., h_1, v]; the pixels stay probabilities."""
        *hidden, pixels = linear_layers(self.generative)
        states = _sampled(hidden, h)
        return [*states, pixels(states[-1]).sigmoid()]

    @torch.no_grad()
    def _untie(self):
        """Start recognition, generative weights and the top RBM from the greedy ones."""
        self.unroll(self.recognition, self.generative)
        self.top.load_state_dict(self.stack[-1].state_dict())

    def after_epoch(self, epoch, means):
        if epoch < self.greedy_epochs:
            self._untie()

    @torch.no_grad()
    def infer(self, x):
        """By the paper's ways c (`updown`), b (`updown_sampled`) and a (`updown_gibbs`); by b with
        log p averaged over PASSES passes; and by c with the weights of the greedy phase.
        """
        *lower, top = self.stack  # as the greedy phase left them
        assert isinstance(top, LabelledRBM)
        h = v = visible(x)
        for rbm in lower:
            h = rbm.up(h)
        states = [self._up(v)[-1] for _ in range(PASSES)]
        passes = [(-self.top.free_energies(each)).log_softmax(1) for each in states]
        return {
            "updown": (-self.joint_free_energy(x)).log_softmax(1),
            "updown_sampled": passes[0],
            "updown_averaged": torch.stack(passes).mean(0),
            "updown_gibbs": self._settled(states[0]),
            "greedy": (-top.free_energies(h)).log_softmax(1),
        }

    def _settled(self, h):
        """log p(y | t) after SETTLING Gibbs steps with h_L held, labels from 1 / classes each."""
        p = torch.full((len(h), self.classes), 1 / self.classes, device=h.device)
        y = p
        for _ in range(SETTLING):
            t = self.top.draw_hidden(self.top.field(torch.cat([h, y], 1)))
            _, p = self.top.part(self.top.down(t))
            y = one_hot(one_of(p), self.classes).to(h.dtype)
        return p.clamp_min(torch.finfo(p.dtype).tiny).log()


def _sampled(layers, s):
    """`s` and the states of each sigmoid layer after it, each sampled given the one before."""
    states = [s]
    for layer in layers:
        states.append(bernoulli(layer(states[-1]).sigmoid()))
    return states


def _surprise(network, states):
    """- log p(states | the states before them) in nats per image, summed over layers and units.

    A sigmoid unit's derivative of it by its input is p - s, so that descent moves its weights by
    the delta rule r s_before (s - p), averaged over the batch, and no gradient passes the states.
    """
    costs = [
        binary_cross_entropy_with_logits(layer(before), s, reduction="sum")
        for layer, (before, s) in zip(linear_layers(network), pairwise(states), strict=True)
    ]
    return torch.stack(costs).sum() / len(states[0])
