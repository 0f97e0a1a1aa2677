"""Layers only: generators, encoders, decoders and critics, sized by an image shape.

What a specification (`MLP` of `config/networks.py` and the kinds beside it) means, by kind:

    mlp           widths from the image side for encoders and critics, and from the code side for
                  generators and decoders
    unit_mlp      an encoder that takes the pixels in [0, 1]
    conv          channels of 4x4 convolutions of stride 2, always from the image side; generators
                  and decoders run them backwards, as mirrored auto-encoders do. DCGAN's networks
    conv_map      the same, with the last map as the code: EBGAN's and MAGAN's auto-encoders
    noise_planes  a generator of 4x4 transposed convolutions that takes noise at every scale:
                  EBGAN-PT's at 128 and 256 pixels
    conv3x3       see `conv3x3.py`: BEGAN's networks
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn

from ebmrepro.config.documents import ParamsError
from ebmrepro.config.networks import MLP, Conv, Conv3x3, ConvMap, NoisePlanes, UnitMLP, misfit
from ebmrepro.config.types import Activation, Init
from ebmrepro.networks import conv3x3
from ebmrepro.networks.conv3x3 import Shape

SMALL = 0.01  # deviation of the random weights that papers of 2006 start from

Network = TypeVar("Network", bound=nn.Module)
Spec = MLP | Conv | Conv3x3
Coder = Spec | ConvMap


ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "elu": nn.ELU,
}


class Unit(nn.Module):
    """Pixels in [-1, 1] -> [0, 1]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + 1) / 2


def encoder(spec: Coder, shape: Shape, code: int, rectified: bool = False) -> nn.Sequential:
    """Images (N, C, H, W) -> codes (N, code); `rectified` puts them through a ReLU."""
    _check(spec, shape, code)
    match spec:
        case MLP():
            first = [Unit()] if isinstance(spec, UnitMLP) else []
            widths = [math.prod(shape), *spec.hidden, code]
            layers = [*first, nn.Flatten(), *_dense(widths, spec)]
        case Conv3x3():
            layers = conv3x3.encoder(spec, shape, code)
        case ConvMap():
            layers = [*_convolutions(spec, shape), nn.Flatten()]
        case Conv():
            numbers = math.prod(_last_map(spec, shape))
            layers = [*_convolutions(spec, shape), nn.Flatten(), nn.Linear(numbers, code)]
    return start(nn.Sequential(*layers, *([nn.ReLU()] if rectified else [])), spec.init)


def decoder(spec: Coder, shape: Shape, code: int, bounded: bool) -> nn.Sequential:
    """Codes (N, code) -> images (N, C, H, W); `bounded` puts them through tanh, into [-1, 1]."""
    _check(spec, shape, code)
    match spec:
        case MLP():
            widths = [code, *spec.hidden, math.prod(shape)]
            layers = [*_dense(widths, spec), nn.Unflatten(1, shape)]
        case Conv3x3():
            layers = [conv3x3.Decoder(spec, shape, code)]
        case ConvMap():
            layers = [nn.Unflatten(1, _last_map(spec, shape)), *_transposed(spec, shape)]
        case Conv():
            first = _last_map(spec, shape)
            layers = [nn.Linear(code, math.prod(first)), nn.Unflatten(1, first)]
            layers += [*_normed(spec, first[0]), *_transposed(spec, shape)]
    return start(nn.Sequential(*layers, *([nn.Tanh()] if bounded else [])), spec.init)


def generator(spec: Spec | NoisePlanes, shape: Shape, z: int) -> nn.Sequential:
    """Noise (N, z) -> images (N, C, H, W) in [-1, 1]."""
    if isinstance(spec, NoisePlanes):
        _check(spec, shape, z)
        return start(nn.Sequential(NoiseAtEveryScale(spec, shape[0]), nn.Tanh()), spec.init)
    return decoder(spec, shape, z, bounded=True)


class NoiseAtEveryScale(nn.Module):
    """Noise (N, z) -> images (N, C, H, W), which nothing bounds.

    z is cut into planes, which stand beside the features of the layer that takes them.
    """

    def __init__(self, spec: NoisePlanes, channels: int):
        super().__init__()
        self.planes, self.numbers = spec.planes, spec.numbers
        taken = [
            count + before
            for count, before in zip(spec.planes, [0, *spec.channels[:-1]], strict=True)
        ]
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(fan_in, fan_out, 4, 2 if i else 1, 1 if i else 0),
                *_normed(spec, fan_out),
            )
            for i, (fan_in, fan_out) in enumerate(zip(taken, spec.channels, strict=True))
        )
        self.last = nn.Conv2d(spec.channels[-1], channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = z.new_empty(len(z), 0, 1, 1)
        pieces = z.split(self.numbers, dim=1)
        for layer, count, piece in zip(self.layers, self.planes, pieces, strict=True):
            x = layer(torch.cat([x, piece.reshape(-1, count, *x.shape[2:])], dim=1))
        return self.last(x)


def critic(spec: Spec, shape: Shape) -> nn.Sequential:
    """Images (N, C, H, W) -> one number each, (N,)."""
    return nn.Sequential(*encoder(spec, shape, 1), nn.Flatten(0))


@torch.no_grad()
def initialise(module: nn.Module, std: float) -> None:
    """Weights N(0, std), biases 0; scales of batch normalisation N(1, std), as DCGAN has it."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            part.weight.normal_(0, std)
            if part.bias is not None:
                part.bias.zero_()
        elif isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.weight.normal_(1, std)
            part.bias.zero_()


def start(network: Network, rule: Init | None) -> Network:
    """Initial weights of a network by a rule, biases 0; None leaves torch's own.

    small      N(0, 0.01^2)
    glorot     N(0, 2 / (fan_in + fan_out)), Glorot and Bengio (2010)
    he_normal  as MAGAN's release has it, by PrettyTensor: N(0, 2 / n) before a ReLU, He et al.
               (2015), and before anything else, a leaky ReLU too, Glorot's rule, uniform

    n is the fan-in, but for a transposed convolution, as there, k k channels_out. A fully connected
    layer whose numbers become a map stands for one from 1x1, and is counted as one.
    """
    plain = (nn.Flatten, nn.BatchNorm1d, nn.BatchNorm2d)  # no matter where they stand
    parts = [p for p in network.modules() if not [*p.children()] and not isinstance(p, plain)]
    for i, part in enumerate(parts):
        if not rule or not isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            continue
        after = parts[i + 1 : i + 3]
        map_follows = [*map(type, after[:1])] == [nn.Unflatten]
        rectified = isinstance(after[map_follows] if len(after) > map_follows else None, nn.ReLU)
        n = part.weight.shape[0] if map_follows else part.weight[0].numel()
        if part.bias is not None:
            nn.init.zeros_(part.bias)
        if rule == "small":
            nn.init.normal_(part.weight, 0, SMALL)
        elif rule == "glorot":
            nn.init.xavier_normal_(part.weight)
        elif rectified:
            nn.init.normal_(part.weight, 0, math.sqrt(2 / n))
        else:
            nn.init.xavier_uniform_(part.weight)
    return network


def linear_layers(module: nn.Module) -> list[nn.Linear]:
    """The fully connected layers of a network, input first."""
    return [part for part in module.modules() if isinstance(part, nn.Linear)]


def count(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _dense(widths: Sequence[int], spec: MLP) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
        layers.append(nn.Linear(fan_in, fan_out))
        if i < len(widths) - 2:  # none on the output
            if spec.batch_norm:
                layers.append(nn.BatchNorm1d(fan_out))
            layers.append(ACTIVATIONS[spec.activation]())
    return layers


def _check(spec: Coder | NoisePlanes, shape: Shape, width: int) -> None:
    if why := misfit(spec, shape, width):
        raise ParamsError(f"params.yaml: {why}")


def _normed(spec: Conv | ConvMap | NoisePlanes, channels: int) -> list[nn.Module]:
    norm = [nn.BatchNorm2d(channels)] if spec.batch_norm else []
    return [*norm, ACTIVATIONS[spec.activation]()]


def _last_map(spec: Conv | ConvMap, shape: Shape) -> Shape:
    """Each convolution, 4x4 of stride 2 with padding 1, halves a side and rounds down."""
    times = len(spec.channels)
    return spec.channels[-1], shape[1] >> times, shape[2] >> times


def _convolutions(spec: Conv | ConvMap, shape: Shape) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise([shape[0], *spec.channels])):
        layers.append(nn.Conv2d(fan_in, fan_out, 4, stride=2, padding=1))
        if i > 0:  # DCGAN: no batch normalisation on the input layer
            layers += _normed(spec, fan_out)
        else:
            layers.append(ACTIVATIONS[spec.activation]())
    return layers


def _transposed(spec: Conv | ConvMap, shape: Shape) -> list[nn.Module]:
    """From the last map back to the image, whose layer has no activation."""
    layers: list[nn.Module] = []
    channels = [*spec.channels[::-1], shape[0]]
    for i, (fan_in, fan_out) in enumerate(pairwise(channels)):
        left = len(spec.channels) - 1 - i  # layers after this one
        # An odd size was rounded down on the way in; the padding gives the lost row back.
        lost = (shape[1] >> left) % 2, (shape[2] >> left) % 2
        layers.append(nn.ConvTranspose2d(fan_in, fan_out, 4, 2, 1, output_padding=lost))
        if left:
            layers += _normed(spec, fan_out)
    return layers
