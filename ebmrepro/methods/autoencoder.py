"""Deep auto-encoder (AE).

Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks. Science 313, 2006,
with the constants of their released code.

    symbol    here         meaning
    F(v)      rbm(v)       free energy; of the top RBM, whose hidden units are linear, see LinearRBM
    z         code(x)      code of an image: the top RBM's hidden means, the encoder's linear output
    x_hat     reconstruct  decoder's logistic outputs, in [0, 1]

1. Greedy: RBMs are trained in turn by CD-k as `base/rbm_stack.py` has it, each on the hidden
   probabilities of the one below. The last has linear hidden units with Gaussian noise of variance
   1, and a hundredth of the others' rate.
2. Unrolled: the weights become an encoder, their transposes a decoder. Encoder and decoder are then
   fine-tuned by backprop, untied, on the cross-entropy - sum_i x_i log x_hat_i + (1 - x_i) log(1 -
   x_hat_i). Beside them and for as long, the same network learns from random weights: `scratch`
   from Glorot's rule, `small` from N(0, 0.01^2).

The energy of an image is the paper's figure, sum_i (x_i - x_hat_i)^2 over pixels in [0, 1].

Departures:
- Backprop by the optimiser of the `optim` block on batches of `batch_size`, not by three line
  searches of conjugate gradients on each batch of 1,000.
- Glorot's rule is of 2010, and keeps signals and gradients nearer their size than the small random
  weights that the paper writes of. How small these were is not in the sources that were read; 0.01
  is ours.
- The paper draws no images. Here `sample` decodes codes from a Gaussian that has the mean and
  covariance of the training images' codes, taken as they passed in the last epoch of fine-tuning.
"""

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ebmrepro.config.types import Count, Epochs
from ebmrepro.data.check import pca_error
from ebmrepro.methods.base import Turn
from ebmrepro.methods.base.rbm_stack import (
    RBMStack,
    RBMStackHparams,
    of_each,
    sigmoid_layers,
    visible,
)
from ebmrepro.networks import distributed, layers
from ebmrepro.networks.energies import AutoEncoder, LinearRBM
from ebmrepro.networks.images import to_uint8


class DeepAutoEncoder(RBMStack):
    players = ("rbms", "top", "pretrained", "scratch", "small")
    code_moments: torch.Tensor
    code_mean: torch.Tensor
    code_factor: torch.Tensor

    class Hparams(RBMStackHparams):  # the last of `layers` is the code; `init_std` is 0.1
        cd_steps: Count
        finetune_epochs: Epochs
        small_start: bool  # a third network learns, from small random weights

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        widths, code = self.widths, hp.layers[-1]
        self.rbms = nn.ModuleList(self.new_rbms(widths[:-1]))
        self.top = LinearRBM(widths[-2], code, hp.init_std)
        self.pretrained, self.scratch = _auto_encoder(widths), _auto_encoder(widths)
        self.unroll(self.pretrained.encoder, self.pretrained.decoder)
        layers.start(self.scratch, "glorot")
        with torch.random.fork_rng([]):  # what the others draw does not depend on it
            network = _auto_encoder(widths) if hp.small_start else nn.Identity()
            self.small = layers.start(network, "small")
        # Sum over an epoch of (z, 1)(z, 1)', and the Gaussian that follows from it.
        self.register_buffer("code_moments", torch.zeros(code + 1, code + 1, dtype=torch.float64))
        self.register_buffer("code_mean", torch.zeros(code))
        self.register_buffer("code_factor", torch.eye(code))

    @property
    def stack(self):
        return [*super().stack, self.top]

    @property
    def epochs(self):
        return self.greedy_epochs + self.hp.finetune_epochs

    def energy(self, x):
        """Squared error of the reconstruction, summed over pixels in [0, 1]."""
        return self.pretrained(visible(x))

    def code(self, x):
        return self.pretrained.encoder(visible(x))

    def reconstruct(self, x):
        return self.image(self.pretrained.reconstruct(visible(x)))

    def reconstructions(self, x):
        """What both networks make of images, (N, C, H, W) -> the same shape each, by start."""
        networks = {"pretrained": self.pretrained, "random": self.scratch}
        return {start: self.image(net.reconstruct(visible(x))) for start, net in networks.items()}

    @torch.no_grad()
    def sample(self, n):
        noise = torch.randn(n, len(self.code_mean), device=self.code_mean.device)
        return self.image(self.pretrained.decoder(self.code_mean + noise @ self.code_factor.T))

    def step(self, x, epoch):
        v = visible(x)
        if epoch < self.greedy_epochs:
            yield self.contrastive_divergence(v, epoch)
            return
        z = self.pretrained.encoder(v)
        with torch.no_grad():
            one = torch.ones(len(z), 1, dtype=torch.float64, device=z.device)
            joined = torch.cat([z.double(), one], dim=1)
            moments = distributed.total(joined.T @ joined)
        yield Turn("pretrained", *_cross_entropy(self.pretrained, z, v, "pretrained"))
        small = {} if isinstance(self.small, nn.Identity) else {"small": self.small}
        for start, network in ({"scratch": self.scratch} | small).items():
            yield Turn(start, *_cross_entropy(network, network.encoder(v), v, start))
        self.code_moments += moments

    def player(self, layer):
        return "top" if layer == len(self.rbms) else super().player(layer)

    @torch.no_grad()
    def after_epoch(self, epoch, means):
        if epoch == self.greedy_epochs - 1:
            self.unroll(self.pretrained.encoder, self.pretrained.decoder)
        if epoch >= self.greedy_epochs:
            moments = self.code_moments / self.code_moments[-1, -1]
            mean = moments[:-1, -1]
            variances, axes = torch.linalg.eigh(moments[:-1, :-1] - mean.outer(mean))
            self.code_mean.copy_(mean)
            self.code_factor.copy_(axes * variances.clamp(min=0).sqrt())  # A A' = covariance
            self.code_moments.zero_()

    @torch.no_grad()
    def diagnose(self, train, test):
        seen, shown = ([to_uint8(x) for x, _ in split] for split in (train, test))
        shown = np.concatenate(shown)
        components = min(self.hp.layers[-1], shown[0].size)

        def error(network):
            return of_each(lambda x, _: network(visible(x)), test).mean().item()

        small = {"reconstruction_sum_sq_small": error(self.small)} if self.hp.small_start else {}
        return {
            "reconstruction_sum_sq": error(self.pretrained),
            "reconstruction_sum_sq_random": error(self.scratch),
            **small,
            "mean_image_sum_sq": pca_error(seen, shown, 0),
            "pca_sum_sq": pca_error(seen, shown, components),
        }


def _auto_encoder(widths):
    """Encoder with a linear code and decoder with logistic outputs, on (N, V) in [0, 1]."""
    up, down = sigmoid_layers(widths), sigmoid_layers(widths[::-1])
    return AutoEncoder(nn.Sequential(*up[:-1]), nn.Sequential(*down), "sum_sq")


def _cross_entropy(network, z, v, name):
    """Cross-entropy of a reconstruction from its code, nats per image; and its squared error."""
    logits = network.decoder[:-1](z)
    loss = binary_cross_entropy_with_logits(logits, v, reduction="sum") / len(v)
    squared = (v - logits.detach().sigmoid()).square().sum(1).mean()
    return loss, {f"sum_sq/{name}": squared}
