"""Greedy layer-wise training: what a layer is taught before the whole network is.

Bengio, Lamblin, Popovici, Larochelle: Greedy layer-wise training of deep networks. NIPS 19, 2007.

    symbol   here             meaning
    v        v                input of a layer: pixels in [0, 1], or units of the layer below
    F(v)     rbm(v)           an RBM's free energy, - b'v - sum_j log(1 + exp(c_j + W_j'v))
    p(v)     sigmoid(own(v))  an auto-associator's reconstruction, sigm(b + W sigm(c + W'v))
    R(v)     loss             its cross-entropy, - sum_i v_i log p_i(v) + (1 - v_i) log(1 - p_i(v))

One network, four times, on the same batches, for as long and by the same rules. Three are trained
layer by layer first, each layer on the hidden units that its own kind has left below:

    rbms             contrastive divergence, as the DBN has it
    autoassociators  R(v), with the parameters of an RBM: one W for both ways
    supervised       as the hidden layer of a network for the labels, whose output layer is dropped

Then all four learn the labels by backprop, under one softmax layer where they were pretrained;
`scratch` starts from random weights by Glorot's rule. Energy and samples are those of the RBMs.

Departures:
- The paper was not read, and is recalled. In its authors' later code (PLearn, 2007) the way back
  has weights of its own or the transposed ones, by choice; here it has the transposed ones.
- Sizes and numbers of epochs were chosen on held-out images there, for each kind. Here all have the
  same, the epochs of 2006; the optimisers, and rates chosen so, are those of the `optim` block.
- Glorot's rule is of 2010, and kinder to random weights.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from ebmrepro.config.types import Count, Epochs
from ebmrepro.methods.base import Turn
from ebmrepro.methods.base.rbm_stack import (
    IN_OWN_FEATURES,
    RBMStackHparams,
    SampledByGibbs,
    missed,
    of_each,
    sigmoid_layers,
    visible,
    wrong,
)
from ebmrepro.networks import layers
from ebmrepro.networks.energies import RBM
from ebmrepro.networks.products import affine

STARTS = ("rbms", "autoassociators", "supervised", "scratch")  # of the four classifiers


class AutoAssociator(RBM):
    """The parameters of an RBM as an auto-encoder of one hidden layer."""

    def forward(self, v):
        """Logits of the reconstruction, b + W sigm(c + W'v), (N, V) -> (N, V)."""
        return affine(self.up(v), self.factor.T, self.b, self.rounded)


class GreedyLayers(SampledByGibbs):
    players = ("rbms", "autoassociators", "supervised", "classifiers")
    labelled = True
    flags = IN_OWN_FEATURES
    autoassociators: Any  # as the others an nn.ModuleList, which does not know what it holds
    supervised: Any
    classifiers: Any

    class Hparams(RBMStackHparams):  # `rbm_epochs` of a layer of any kind; all start at `init_std`
        cd_steps: Count
        finetune_epochs: Epochs
        chain_steps: Count  # Gibbs steps in the top RBM before a sample is taken

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        pairs = [*pairwise(self.widths)]
        self.rbms = nn.ModuleList(self.new_rbms(self.widths))
        self.autoassociators = nn.ModuleList(AutoAssociator(*pair, hp.init_std) for pair in pairs)
        self.supervised = nn.ModuleList(self._network(pair) for pair in pairs)
        layers.initialise(self.supervised, hp.init_std)
        self.classifiers = nn.ModuleList(self._network(self.widths) for _ in STARTS)
        layers.start(self.classifiers[-1], "glorot")

    def _network(self, widths):
        return nn.Sequential(*sigmoid_layers(widths), nn.Linear(widths[-1], self.classes))

    @property
    def epochs(self):
        return self.greedy_epochs + self.hp.finetune_epochs

    def step(self, x, epoch):
        v, y = visible(x.x), x.y
        if epoch < self.greedy_epochs:
            layer = epoch // self.hp.rbm_epochs
            yield self.contrastive_divergence(v, epoch)
            yield self._association(v, layer)
            yield self._supervision(v, y, layer)
            return
        for i, start in enumerate(STARTS):
            logits = self.classifiers[i](v)
            terms = {f"error/{start}": wrong(logits, y)}
            yield Turn(f"classifiers.{i}", cross_entropy(logits, y), terms)

    def _association(self, v, layer):
        *below, own = self.autoassociators[: layer + 1]
        with torch.no_grad():
            for trained in below:
                v = trained.up(v)
        logits = own(v)
        loss = binary_cross_entropy_with_logits(logits, v, reduction="sum") / len(v)  # R(v)
        error = (v - logits.detach().sigmoid()).square().mean()
        name = f"reconstruction/autoassociator{layer + 1}"
        return Turn(f"autoassociators.{layer}", loss, {name: error})

    def _supervision(self, v, y, layer):
        *below, own = self.supervised[: layer + 1]
        with torch.no_grad():
            for trained in below:
                v = trained[:-1](v)
        logits = own(v)
        terms = {f"error/supervised{layer + 1}": wrong(logits, y)}
        return Turn(f"supervised.{layer}", cross_entropy(logits, y), terms)

    @torch.no_grad()
    def after_epoch(self, epoch, means):
        if epoch != self.greedy_epochs - 1:
            return
        learnt = (
            [(rbm.W.T, rbm.c) for rbm in self.stack],
            [(own.W.T, own.c) for own in self.autoassociators],
            [(own[0].weight, own[0].bias) for own in self.supervised],
        )
        last = self.classifiers[-1][-1]
        head = (self.hp.init_std * torch.randn_like(last.weight), torch.zeros_like(last.bias))
        for hidden, network in zip(learnt, self.classifiers, strict=False):
            own = layers.linear_layers(network)
            for layer, (weight, bias) in zip(own, [*hidden, head], strict=True):
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)

    @torch.no_grad()
    def diagnose(self, train, test):
        def error(network):
            return of_each(lambda x, y: missed(network(visible(x)), y), test).mean().item()

        names = ("pretrained", "autoassociators", "supervised", "random")
        found = zip(names, map(error, self.classifiers), strict=True)
        return {f"error_{name}": share for name, share in found}
