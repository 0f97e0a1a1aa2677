"""Optimisers as params.yaml describes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ebmrepro.config.documents import Strict
from ebmrepro.config.types import Decay, FirstEpochs, NonNegative, Positive


class Adam(Strict):
    """Kingma and Ba (2015)."""

    name: Literal["adam"]
    lr: Positive
    beta1: Decay
    beta2: Decay


class Adamax(Strict):
    """Kingma and Ba (2015), section 7.1."""

    name: Literal["adamax"]
    lr: Positive
    beta1: Decay
    beta2: Decay


class Momentum(Strict):
    """`initial` in the first `epochs` epochs in which the player moves, `final` afterwards."""

    initial: Decay
    final: Decay
    epochs: FirstEpochs


class SGD(Strict):
    """Gradient descent; weights (not biases) decay, inside the learning-rate bracket."""

    name: Literal["sgd"]
    lr: Positive
    momentum: Momentum
    weight_decay: NonNegative


Optim = Annotated[Adam | Adamax | SGD, Field(discriminator="name")]
