"""Networks as params.yaml describes them, and whether they fit a suite's images."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from ebmrepro.config.documents import Strict, rule
from ebmrepro.config.types import UNSAID, Activation, Count, Few, Init, Layers, Natural


class Network(Strict):
    init: Init | None = UNSAID  # see `start` of networks/layers.py


class MLP(Network):
    """Fully connected layers, input to output; a decoder or generator names its own widths."""

    kind: Literal["mlp"]
    hidden: list[Count]
    activation: Activation
    batch_norm: bool


class UnitMLP(MLP):
    """An MLP that takes the pixels in [0, 1], so that black ones are no input, not -1."""

    kind: Literal["unit_mlp"]  # pyright: ignore[reportIncompatibleVariableOverride]


class Conv(Network):
    """4x4 convolutions of stride 2, from the image side; a generator runs them backwards."""

    kind: Literal["conv"]
    channels: Layers
    activation: Activation
    batch_norm: bool


class ConvMap(Conv):
    """The convolutions of `Conv` whose code is the last map of features itself, as it is after its
    activation; nothing in such an auto-encoder is fully connected.
    """

    kind: Literal["conv_map"]  # pyright: ignore[reportIncompatibleVariableOverride]


class Conv3x3(Network):
    """3x3 convolutions with ELUs, halved by stride and doubled by nearest neighbour."""

    kind: Literal["conv3x3"]
    n: Count  # channels of a decoder and generator; an encoder has n, 2n, 3n, ... by scale
    scales: Few  # sizes of maps: each is half the one before
    repeats: Few  # convolutions at each scale
    residual_steps: Natural  # of the training in which residuals vanish; 0: there are none
    skips: bool  # a decoder sees its first map again at every scale


class NoisePlanes(Network):
    """A generator whose z is planes of noise beside the features at every scale.

    4x4 transposed convolutions, of stride 2 after the first, which makes a map of 4x4, and a 3x3
    convolution to the image. Both lists from the noise to the image. It stands here and not in
    EBGAN-PT's file because it is a kind of generator like the others: any method may have it.
    """

    kind: Literal["noise_planes"]
    channels: Layers
    planes: Layers  # of noise that each of the layers takes, the first at 1x1
    activation: Activation
    batch_norm: bool

    @rule
    def _each_layer_has_its_planes(self):
        if len(self.planes) != len(self.channels):
            raise ValueError(
                f"planes: found {len(self.planes)} numbers; there are {len(self.channels)} layers "
                "in channels"
            )
        return self

    @property
    def side(self) -> int:
        """Pixels of the image."""
        return 2 ** (len(self.channels) + 1)

    @property
    def numbers(self) -> list[int]:
        """Numbers of z that each layer takes."""
        sides = [1, *(2 ** (i + 1) for i in range(1, len(self.planes)))]
        return [count * side**2 for count, side in zip(self.planes, sides, strict=True)]


KIND = Field(discriminator="kind")
Net = Annotated[MLP | Conv | Conv3x3, KIND]
GeneratorNet = Annotated[MLP | Conv | Conv3x3 | NoisePlanes, KIND]  # from z to an image
CoderNet = Annotated[MLP | Conv | Conv3x3 | ConvMap, KIND]  # half of an auto-encoder
EncoderNet = Annotated[MLP | UnitMLP | Conv | Conv3x3 | ConvMap, KIND]
AnyNet = MLP | Conv | Conv3x3 | NoisePlanes


def misfit(net: AnyNet, shape: tuple[int, int, int], width: int) -> str | None:
    """Why a network does not fit images of a shape, as `key: words`, or None.

    `width` is how many numbers stand at its other end: z, a code, or the one of a critic.
    """
    _, height, across = shape
    if isinstance(net, Conv3x3):
        most = 1 + max(i for i in range(32) if height % 2**i == 0 and across % 2**i == 0)
        if net.scales > most:
            return f"scales: found {net.scales}; images of {height}x{across} allow {most}"
    elif isinstance(net, Conv):
        layers, most = len(net.channels), int(math.log2(min(height, across)))
        if layers > most:
            return (
                f"channels: found {layers} layers of stride 2; images of {height}x{across} "
                f"allow {most}"
            )
        size = (net.channels[-1], height >> layers, across >> layers)
        if isinstance(net, ConvMap) and math.prod(size) != width:
            return (
                f"channels: found a last map of {size[0]}x{size[1]}x{size[2]}; it is the code, so "
                f"code is {math.prod(size)}, not {width}"
            )
    elif isinstance(net, NoisePlanes):
        if (height, across) != (net.side, net.side):
            return (
                f"channels: found {len(net.channels)} layers, which make {net.side}x{net.side}; "
                f"images are {height}x{across}"
            )
        if sum(net.numbers) != width:
            return (
                f"planes: found {sum(net.numbers)} numbers in them; they are z, so z is that and "
                f"not {width}"
            )
    return None
