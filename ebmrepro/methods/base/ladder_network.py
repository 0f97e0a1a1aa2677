"""Ladder networks that learn from the labels of a few images: alone, and as a discriminator."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from ebmrepro.config.documents import Strict, rule
from ebmrepro.config.types import Count, Epochs, Fraction, Layers, NonNegative
from ebmrepro.methods.base.method import Method, PartlyLabelled
from ebmrepro.methods.base.rbm_stack import missed, of_each, visible, wrong
from ebmrepro.networks.ladder import Ladder


class LadderHparams(Strict):
    epochs: Epochs  # of the ladder network alone
    constant: Fraction  # of them at the full rate, which then falls to 0 in a line
    labels: Count  # images with a label, as many of each class
    layers: Layers  # hidden units, from the pixels to the classes
    noise: NonNegative  # its deviation, in the pixels in [0, 1] and in every layer
    denoising: Annotated[list[NonNegative], Field(min_length=3)]  # weights, pixels to classes

    @rule
    def _each_layer_has_its_weight(self):
        if len(self.denoising) != len(self.layers) + 2:
            raise ValueError(
                f"denoising: found {len(self.denoising)} numbers; there are {len(self.layers)} "
                "layers, and the pixels and the classes"
            )
        return self


class LadderNetwork(Method):
    """D is a ladder network; the energy is the denoising cost of its bottom layer."""

    rate: Tensor

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        widths = [torch.Size(shape).numel(), *hp.layers, classes]
        self.D = Ladder(widths, hp.noise, hp.denoising)
        self.register_buffer("rate", torch.ones(()))

    @property
    def labels(self):
        return self.hp.labels

    @property
    def rate_factor(self):
        return self.rate

    def energy(self, x):
        """lambda_0 / V ||x - hat x||^2 of pixels in [0, 1]; without noise, but in training."""
        return self.D(visible(x))

    def code(self, x: Tensor) -> Tensor:
        """The logits of the classes."""
        return self.D.classify(visible(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.image(self.D.reconstruct(visible(x)))

    def image(self, v: Tensor) -> Tensor:
        """Pixels in [0, 1] as images, (N, V) -> (N, C, H, W)."""
        return (v * 2 - 1).unflatten(1, self.shape)

    def cost(self, batch: PartlyLabelled) -> tuple[Tensor, dict[str, Tensor]]:
        """C of a batch, a scalar, and the terms that it is made of."""
        few, y = batch.few
        logits = self.D.classify(visible(few))
        of_labels = cross_entropy(logits, y)  # C_c = - log p(y | x with noise)
        real, above = (each.mean() for each in self.D.costs(visible(batch.x)))
        terms = {"energy/real": real, "cost/labels": of_labels, "error/few": wrong(logits, y)}
        return of_labels + real + above, terms  # C = C_c + sum_l lambda_l C_d^l

    def after_epoch(self, epoch, means):
        falls, left = (1 - self.hp.constant) * self.hp.epochs, self.epochs - 1 - epoch
        self.rate.fill_(min(1.0, left / falls) if falls else 1.0)

    @torch.no_grad()
    def diagnose(self, train, test):
        def mistakes(x, y):
            return missed(self.D.classify(visible(x)), y)

        return {"error_few_labels": of_each(mistakes, test).mean().item()}
