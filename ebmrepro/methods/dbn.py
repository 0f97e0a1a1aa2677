"""Deep belief network (DBN).

Hinton, Osindero, Teh: A fast learning algorithm for deep belief nets. Neural Computation 18, 2006.
Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks. Science 313, 2006,
with the constants of their released code.

    symbol   here            meaning
    v, h     v, h            visible and hidden units of one RBM; images are probabilities
    F(v)     rbm(v)          free energy, - b'v - sum_j log(1 + exp(c_j + W_j'v))
    CD-k     hp.cd_steps     v_k after k Gibbs steps from the data: h sampled, v its probability

Layers are trained in turn by contrastive divergence, each on the hidden probabilities of the layer
below. Then classifiers of the same shape are trained by backprop, side by side and for as long:
one starts from the RBMs' weights, its softmax layer alone for the first `warmup_epochs`; `scratch`
from random weights by Glorot's rule, and `small` from N(0, 0.01^2), small random weights such as
the paper writes against. Samples come from the top RBM by Gibbs sampling.

Departures:
- Backprop by the optimiser of the `optim` block, not by conjugate gradients or steepest descent.
- Glorot's rule is of 2010, and kinder to random weights. How small the paper's were is not in the
  sources that were read; 0.01 is ours.
- The warm-up takes at most half of the fine-tuning, so that a small budget fine-tunes at all.
- No labels in the top RBM and no up-down fine-tuning: this is the network of 2006 after its greedy
  phase. A chain starts from random bits, where the paper starts from a label.
"""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ebmrepro.config.documents import rule
from ebmrepro.config.types import Count, Epochs, Natural
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
from ebmrepro.networks import distributed, layers


class DBN(SampledByGibbs):
    players = ("rbms", "classifier", "scratch", "small")
    labelled = True
    flags = IN_OWN_FEATURES
    grad_norms: torch.Tensor
    grad_steps: torch.Tensor

    class Hparams(RBMStackHparams):  # `init_std` is that of the softmax layer as well; 0.1
        cd_steps: Count
        warmup_epochs: Natural  # of the pretrained classifier's fine-tuning, softmax layer only
        finetune_epochs: Epochs
        small_start: bool  # a third classifier learns, from small random weights
        chain_steps: Count  # Gibbs steps in the top RBM before a sample is taken

        @rule
        def _fine_tunes(self):
            if self.warmup_epochs >= self.finetune_epochs:
                raise ValueError(
                    f"warmup_epochs: found {self.warmup_epochs}; it is a part of the "
                    f"{self.finetune_epochs} finetune_epochs, so at most {self.finetune_epochs - 1}"
                )
            return self

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        self.rbms = nn.ModuleList(self.new_rbms(self.widths))
        self.classifier, self.scratch = self._network(), self._network()
        layers.start(self.scratch, "glorot")
        with torch.random.fork_rng([]):  # what the others draw does not depend on it
            network = self._network() if hp.small_start else nn.Identity()
            self.small = layers.start(network, "small")
        # Of the loss per layer, [pretrained, random], summed over the first epoch of fine-tuning.
        self.register_buffer("grad_norms", torch.zeros(2, len(self.widths)))
        self.register_buffer("grad_steps", torch.zeros(()))

    def _network(self):
        return nn.Sequential(
            *sigmoid_layers(self.widths), nn.Linear(self.hp.layers[-1], self.classes)
        )

    @property
    def epochs(self):
        return self.greedy_epochs + self.hp.finetune_epochs

    def complete(self, x, known):
        """By clamped Gibbs sampling in the first RBM, the layer of `energy`."""
        v = self.stack[0].fill_in(visible(x), known.flatten(), self.hp.chain_steps)
        return self.image(v)

    def features(self, x):
        """Last hidden layer of the fine-tuned classifier, (N, C, H, W) -> (N, K) in (0, 1)."""
        return self.classifier[:-1](visible(x))

    def classify(self, features):
        """p(y | x) from `features(x)`, (N, K) -> (N, classes)."""
        return self.classifier[-1](features).softmax(1)

    def phase(self, epoch):
        age = epoch - self.greedy_epochs
        return super().phase(epoch) if age < 0 else (age == 0, self._warms_up(age))

    def _warms_up(self, age):
        return age < min(self.hp.warmup_epochs, self.hp.finetune_epochs // 2)

    def step(self, x, epoch):
        v, y = visible(x.x), x.y
        if epoch < self.greedy_epochs:
            yield self.contrastive_divergence(v, epoch)
            return
        age = epoch - self.greedy_epochs
        if age == 0:
            self._watch_gradients(v, y)
        hidden = self.classifier[:-1](v)
        logits = self.classifier[-1](hidden.detach() if self._warms_up(age) else hidden)
        yield Turn("classifier", cross_entropy(logits, y), {"error/classifier": wrong(logits, y)})

        for start in ("scratch", "small") if self.hp.small_start else ("scratch",):
            logits = self.get_submodule(start)(v)
            yield Turn(start, cross_entropy(logits, y), {f"error/{start}": wrong(logits, y)})

    def _watch_gradients(self, v, y):
        """Add up the norms of the whole loss's gradient per layer, of both networks."""
        for which, network in enumerate((self.classifier, self.scratch)):
            weights = [layer.weight for layer in layers.linear_layers(network)]
            gradients = torch.autograd.grad(cross_entropy(network(v), y), weights)
            self.grad_norms[which] += torch.stack([distributed.mean(g).norm() for g in gradients])
        self.grad_steps += 1

    @torch.no_grad()
    def after_epoch(self, epoch, means):
        if epoch != self.greedy_epochs - 1:
            return
        self.unroll(self.classifier[:-1])
        head = layers.linear_layers(self.classifier)[-1]
        head.weight.normal_(0, self.hp.init_std)
        head.bias.zero_()

    @torch.no_grad()
    def diagnose(self, train, test):
        first = self.stack[0]

        def mean(function, split):
            return of_each(function, split).mean().item()

        def error(network):
            return mean(lambda x, y: missed(network(visible(x)), y), test)

        def bits(x, _):
            return first.pseudo_likelihood((visible(x) > 0.5).float())

        free = [mean(lambda x, _: first(visible(x)), split) for split in (train, test)]
        norms = (self.grad_norms / self.grad_steps).tolist()
        small = {"error_small": error(self.small)} if self.hp.small_start else {}
        return {
            "error_pretrained": error(self.classifier),
            "error_random": error(self.scratch),
            **small,
            "free_energy_train": free[0],
            "free_energy_test": free[1],
            "free_energy_gap": free[1] - free[0],
            "pseudo_likelihood_test": mean(bits, test),
            **{f"grad_norm_pretrained_{i}": n for i, n in enumerate(norms[0], start=1)},
            **{f"grad_norm_random_{i}": n for i, n in enumerate(norms[1], start=1)},
        }
