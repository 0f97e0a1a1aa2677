"""Generative adversarial networks: a generator G(z), and those whose D is an auto-encoder."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor, nn

from ebmrepro.config.documents import Strict
from ebmrepro.config.networks import CoderNet, EncoderNet, GeneratorNet
from ebmrepro.config.types import Count, Epochs, Reduction
from ebmrepro.methods.base.method import Method
from ebmrepro.networks import layers
from ebmrepro.networks.energies import AutoEncoder


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """What is computed in this context depends on the weights of a module as on constants: in G's
    turn those of D. A compiler has its backward pass compute the gradient of all that is none.
    """
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


class GANHparams(Strict):
    epochs: Epochs
    z: Count  # dimension of z
    G: GeneratorNet


class AutoEncoderHparams(GANHparams):
    code: Count  # dimension of Enc(x)
    reduction: Reduction  # for which margins and gains are stated
    bounded: bool  # the decoder ends in tanh
    encoder: EncoderNet
    decoder: CoderNet


class GAN(Method):
    """x_g = G(z) with z ~ N(0, I)."""

    z_within: ClassVar[float] = math.inf  # how far from 0 the prior lets a number of z be

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        self.G = layers.generator(hp.G, shape, hp.z)

    def prior(self, n: int) -> Tensor:
        """z of `n` images, (n, K)."""
        return torch.randn(n, self.hp.z, device=next(self.parameters()).device)

    def sample(self, n):
        return self.G(self.prior(n))


class AutoEncoderGAN(GAN):
    """D(x) is the reconstruction error of an auto-encoder."""

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        rectified = getattr(hp, "rectified", False)  # a paper may put the code through a ReLU
        self.D = AutoEncoder(
            layers.encoder(hp.encoder, shape, hp.code, rectified),
            layers.decoder(hp.decoder, shape, hp.code, hp.bounded),
            hp.reduction,
        )

    def energy(self, x):
        return self.D(x)

    def code(self, x: Tensor) -> Tensor:
        return self.D.encoder(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.D.reconstruct(x)

    def energies(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """D(x) and D(G(z)) of as many fakes, without a gradient in G, (N, ...) -> (N,) twice."""
        with torch.no_grad():
            x_g = self.sample(len(x))
        return self.D.pair(x, x_g)
