"""Stacks of restricted Boltzmann machines, trained in turn by contrastive divergence.

The descent of mean F(v_0) - mean F(v_k), v_k held fixed, is contrastive divergence with
probabilities in both statistics: dW = eps (<v h>_data - <v h>_recon). v_k is where k Gibbs steps
from the data lead, h sampled, v its probability.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from ebmrepro.config.documents import Strict
from ebmrepro.config.types import Epochs, Layers, Positive
from ebmrepro.methods.base.method import Labelled, Method, Turn
from ebmrepro.networks import layers
from ebmrepro.networks.energies import RBM, LabelledRBM
from ebmrepro.networks.random import bernoulli, seeded

# Flag of the methods that are DBNs.
IN_OWN_FEATURES = {
    "fd_dbn": "a DBN, measured in the features of a DBN: not on a par with the others"
}


class RBMStackHparams(Strict):
    layers: Layers  # hidden units, bottom to top
    init_std: Positive  # of W
    rbm_epochs: Epochs  # per layer


class RBMStack(Method):
    rbms: nn.ModuleList

    @property
    def widths(self) -> list[int]:
        """Units of the pixels and of each layer of `hp.layers`."""
        return [torch.Size(self.shape).numel(), *self.hp.layers]

    @property
    def stack(self) -> list[RBM]:
        return [rbm for rbm in self.rbms if isinstance(rbm, RBM)]

    @property
    def layer_epochs(self) -> list[int]:
        """Epochs of each RBM, bottom to top."""
        return [self.hp.rbm_epochs] * len(self.stack)

    @property
    def greedy_epochs(self) -> int:
        return sum(self.layer_epochs)

    def layer(self, epoch: int) -> int:
        """The RBM whose epoch of the greedy phase it is."""
        return bisect_right(list(accumulate(self.layer_epochs)), epoch)

    @property
    def epochs(self):
        return self.greedy_epochs

    def new_rbms(self, widths: Sequence[int]) -> list[RBM]:
        return [RBM(*pair, self.hp.init_std) for pair in pairwise(widths)]

    def energy(self, x):
        """Free energy of the first RBM, the one layer whose p(v) is known up to a constant."""
        return self.stack[0](visible(x))

    def image(self, v: Tensor) -> Tensor:
        """Probabilities of visible units as images, (N, V) in [0, 1] -> (N, C, H, W)."""
        return (v * 2 - 1).unflatten(1, self.shape)

    def phase(self, epoch: int) -> object:
        """The layer whose epoch it is; None once all are trained."""
        return self.layer(epoch) if epoch < self.greedy_epochs else None

    def player(self, layer: int) -> str:
        return f"rbms.{layer}"

    def contrastive_divergence(self, v: Tensor, epoch: int, y: Tensor | None = None) -> Turn:
        """The turn of the layer whose epoch it is, on the hidden probabilities of those below."""
        layer = self.layer(epoch)
        rbm = self.stack[layer]
        with torch.no_grad():
            for below in self.stack[:layer]:
                v = below.up(v)
            if isinstance(rbm, LabelledRBM) and y is not None:
                v = rbm.join(v, y)
            field = rbm.field(v)
            v_k = rbm.gibbs(v, self.hp.cd_steps, sample_visible=False, field=field)
        contrast = rbm.contrast(v, v_k, field)  # F(v_0) - F(v_k)
        error = (v - v_k).square().mean()
        return Turn(self.player(layer), contrast, {f"reconstruction/rbm{layer + 1}": error})

    @torch.no_grad()
    def unroll(self, upwards: nn.Module, downwards: nn.Module | None = None) -> None:
        """Start the linear layers of a network upwards, and of one downwards, from the RBMs'."""
        for rbm, layer in zip(self.stack, layers.linear_layers(upwards), strict=False):
            layer.weight.copy_(rbm.W.T)
            layer.bias.copy_(rbm.c)
        if downwards is not None:
            last_first = layers.linear_layers(downwards)[::-1]
            for rbm, layer in zip(self.stack, last_first, strict=False):
                layer.weight.copy_(rbm.W)
                layer.bias.copy_(rbm.b)


class SampledByGibbs(RBMStack):
    """Images come from chains in the top RBM, `hp.chain_steps` long, which start at random bits."""

    @torch.no_grad()
    def sample(self, n):
        """Gibbs sampling in the top RBM from random bits, then down."""
        top = self.stack[-1]
        v = top.gibbs(_random_bits(top, n), self.hp.chain_steps, sample_visible=True)
        for rbm in self.stack[-2::-1]:
            v = rbm.down(bernoulli(v))
        return self.image(v)

    def chains(self, n):
        return self.trace(self.stack[-1], n, lambda v: v)[None]

    @torch.no_grad()
    def trace(self, top: RBM, n: int, clamp: Callable[[Tensor], Tensor]) -> Tensor:
        """F after each step of `n` chains from random bits, (n, steps); `clamp` changes each v."""
        with seeded(0, top.b.device):
            v, free = clamp(_random_bits(top, n)), []
            for _ in range(self.hp.chain_steps):
                v = clamp(top.draw(top.down(top.draw_hidden(top.field(v)))))
                free.append(top(v))
        return torch.stack(free, dim=1)


def _random_bits(rbm: RBM, n: int) -> Tensor:
    return bernoulli(torch.full((n, rbm.b.numel()), 0.5, device=rbm.b.device))


def visible(x: Tensor) -> Tensor:
    """Images in [-1, 1] as probabilities of visible units, (N, C, H, W) -> (N, V) in [0, 1]."""
    return (x.flatten(1) + 1) / 2


def sigmoid_layers(widths: Sequence[int]) -> list[nn.Module]:
    return [part for pair in pairwise(widths) for part in (nn.Linear(*pair), nn.Sigmoid())]


def missed(scores: Tensor, y: Tensor) -> Tensor:
    """1 for an image whose highest score is not its label's, else 0, (N, classes), (N,) -> (N,)."""
    return (scores.argmax(1) != y).float()


def wrong(scores: Tensor, y: Tensor) -> Tensor:
    """Share of images whose highest score is not their label's, (N, classes), (N,) -> ()."""
    return missed(scores, y).mean()


def of_each(function: Callable[[Tensor, Tensor], Tensor], split: Iterable[Labelled]) -> Tensor:
    """What a function of images and labels gives for every image of a split, batch by batch."""
    return torch.cat([function(x, y) for x, y in split])
