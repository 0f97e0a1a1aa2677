"""Deep auto-encoders: a stack of RBMs, unrolled into an encoder and a decoder and fine-tuned,
beside the same network from random weights.

What differs between them is what a pixel is to the lowest RBM and to the outputs.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ebmrepro.config.types import Count, Epochs
from ebmrepro.data.check import pca_error
from ebmrepro.methods.base.method import Turn
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


class DeepAutoEncoderHparams(RBMStackHparams):
    cd_steps: Count
    finetune_epochs: Epochs
    small_start: bool  # a third network learns, from small random weights


class DeepAutoEncoder(RBMStack):
    code_moments: torch.Tensor
    code_mean: torch.Tensor
    code_factor: torch.Tensor

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        widths, code = self.widths, hp.layers[-1]
        self.add_lower_rbms(widths[:-1])
        self.top = LinearRBM(widths[-2], code, hp.init_std)
        self.pretrained, self.scratch = self._auto_encoder(), self._auto_encoder()
        self.unroll(self.pretrained.encoder, self.pretrained.decoder)
        layers.start(self.scratch, "glorot")
        with torch.random.fork_rng([]):  # what the others draw does not depend on it
            network = self._auto_encoder() if hp.small_start else nn.Identity()
            self.small = layers.start(network, "small")
        # Sum over an epoch of (z, 1)(z, 1)', and the Gaussian that follows from it.
        self.register_buffer("code_moments", torch.zeros(code + 1, code + 1, dtype=torch.float64))
        self.register_buffer("code_mean", torch.zeros(code))
        self.register_buffer("code_factor", torch.eye(code))

    def add_lower_rbms(self, widths: Sequence[int]) -> None:
        self.rbms = nn.ModuleList(self.new_rbms(widths))

    def decoder(self, widths: Sequence[int]) -> nn.Sequential:
        """Layers from the code to the outputs, one for each pixel."""
        return nn.Sequential(*sigmoid_layers(widths))

    def units(self, x: Tensor) -> Tensor:
        """Images as states of the lowest RBM's visible units, (N, C, H, W) -> (N, V)."""
        return visible(x)

    @property
    def unit(self) -> Tensor | float:
        """Squared error of pixels in [0, 1] for one of visible units."""
        return 1.0

    @abstractmethod
    def loss(self, network: Any, z: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """What fine-tuning of an `AutoEncoder` descends, mean over images, and v as its decoder
        rebuilds it from codes z, (N, V).
        """

    def _auto_encoder(self) -> AutoEncoder:
        up = sigmoid_layers(self.widths)[:-1]  # the code is linear
        return AutoEncoder(nn.Sequential(*up), self.decoder(self.widths[::-1]), "sum_sq")

    @property
    def stack(self):
        return [*super().stack, self.top]

    @property
    def epochs(self):
        return self.greedy_epochs + self.hp.finetune_epochs

    def energy(self, x):
        """Squared error of the reconstruction, summed over pixels in [0, 1]."""
        return self.pretrained(self.units(x)) * self.unit

    def code(self, x):
        return self.pretrained.encoder(self.units(x))

    def reconstruct(self, x):
        return self.image(self.pretrained.reconstruct(self.units(x)))

    def reconstructions(self, x):
        """What both networks make of images, (N, C, H, W) -> the same shape each, by start."""
        networks = {"pretrained": self.pretrained, "random": self.scratch}
        return {
            start: self.image(net.reconstruct(self.units(x))) for start, net in networks.items()
        }

    @torch.no_grad()
    def sample(self, n):
        noise = torch.randn(n, len(self.code_mean), device=self.code_mean.device)
        return self.image(self.pretrained.decoder(self.code_mean + noise @ self.code_factor.T))

    def step(self, x, epoch):
        v = self.units(x)
        if epoch < self.greedy_epochs:
            yield self.contrastive_divergence(v, epoch)
            return
        z = self.pretrained.encoder(v)
        with torch.no_grad():
            one = torch.ones(len(z), 1, dtype=torch.float64, device=z.device)
            joined = torch.cat([z.double(), one], dim=1)
            moments = distributed.total(joined.T @ joined)
        yield self._fine_tuning("pretrained", self.pretrained, z, v)
        small = {} if isinstance(self.small, nn.Identity) else {"small": self.small}
        for start, network in ({"scratch": self.scratch} | small).items():
            yield self._fine_tuning(start, network, network.encoder(v), v)
        self.code_moments += moments

    def _fine_tuning(self, player: str, network: AutoEncoder, z: Tensor, v: Tensor) -> Turn:
        loss, v_hat = self.loss(network, z, v)
        squared = (v - v_hat).square().sum(1).mean() * self.unit
        return Turn(player, loss, {f"sum_sq/{player}": squared})

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
            return (of_each(lambda x, _: network(self.units(x)), test).mean() * self.unit).item()

        small = {"reconstruction_sum_sq_small": error(self.small)} if self.hp.small_start else {}
        return {
            "reconstruction_sum_sq": error(self.pretrained),
            "reconstruction_sum_sq_random": error(self.scratch),
            **small,
            "mean_image_sum_sq": pca_error(seen, shown, 0),
            "pca_sum_sq": pca_error(seen, shown, components),
        }
