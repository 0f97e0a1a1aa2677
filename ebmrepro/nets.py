"""Layers only: generators, encoders, decoders and critics, sized by an image shape.

A specification (`params.MLP` or `params.Conv`) lists widths from the image side for encoders and
critics, and from the code side for MLP generators and decoders. `Conv` lists are always given from
the image side, and generators and decoders run them backwards, as mirrored auto-encoders do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from ebmrepro.params import MLP, Conv, ParamsError, UnitMLP

Shape = tuple[int, int, int]
Spec = MLP | Conv


class Unit(nn.Module):
    """Pixels in [-1, 1] -> [0, 1]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + 1) / 2


def activation(name: str) -> nn.Module:
    match name:
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(0.2)
        case "elu":
            return nn.ELU()
    raise ValueError(f"activation: found {name!r}, allowed are relu, leaky_relu, elu")


def encoder(spec: Spec, shape: Shape, code: int, rectified: bool = False) -> nn.Sequential:
    """Images (N, C, H, W) -> codes (N, code); `rectified` puts them through a ReLU."""
    last = [nn.ReLU()] if rectified else []
    if isinstance(spec, MLP):
        layers = _dense([math.prod(shape), *spec.hidden, code], spec)
        first = [Unit()] if isinstance(spec, UnitMLP) else []
        return nn.Sequential(*first, nn.Flatten(), *layers, *last)
    sizes = _sizes(spec, shape)
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise([shape[0], *spec.channels])):
        layers.append(nn.Conv2d(fan_in, fan_out, 4, stride=2, padding=1))
        if spec.batch_norm and i > 0:  # DCGAN: not on the input layer
            layers.append(nn.BatchNorm2d(fan_out))
        layers.append(activation(spec.activation))
    height, width = sizes[-1]
    layers += [nn.Flatten(), nn.Linear(spec.channels[-1] * height * width, code)]
    return nn.Sequential(*layers, *last)


def decoder(spec: Spec, shape: Shape, code: int, bounded: bool) -> nn.Sequential:
    """Codes (N, code) -> images (N, C, H, W); `bounded` puts them through tanh, into [-1, 1]."""
    if isinstance(spec, MLP):
        widths = [code, *spec.hidden, math.prod(shape)]
        layers = [*_dense(widths, spec), nn.Unflatten(1, shape)]
    else:
        layers = _transposed(spec, shape, code)
    return nn.Sequential(*layers, *([nn.Tanh()] if bounded else []))


def generator(spec: Spec, shape: Shape, z: int) -> nn.Sequential:
    """Noise (N, z) -> images (N, C, H, W) in [-1, 1]."""
    return decoder(spec, shape, z, bounded=True)


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
            layers.append(activation(spec.activation))
    return layers


def _sizes(spec: Conv, shape: Shape) -> list[tuple[int, int]]:
    """(H, W) before the first convolution and after each: 4x4, stride 2, padding 1 halves, down."""
    sizes = [shape[1:]]
    for _ in spec.channels:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    if min(sizes[-1]) < 1:
        raise ParamsError(
            f"params.yaml: channels: found {len(spec.channels)} layers of stride 2, images of "
            f"{shape[1]}x{shape[2]} allow {int(math.log2(min(shape[1:])))}"
        )
    return sizes


def _transposed(spec: Conv, shape: Shape, code: int) -> list[nn.Module]:
    sizes = _sizes(spec, shape)[::-1]
    first = spec.channels[-1]
    height, width = sizes[0]
    layers: list[nn.Module] = [
        nn.Linear(code, first * height * width),
        nn.Unflatten(1, (first, height, width)),
    ]
    channels = [*spec.channels[::-1], shape[0]]
    for (fan_in, fan_out), (before, after) in zip(pairwise(channels), pairwise(sizes), strict=True):
        if spec.batch_norm:
            layers.append(nn.BatchNorm2d(fan_in))
        layers.append(activation(spec.activation))
        # An odd size was rounded down on the way in; the padding gives the lost row back.
        lost = (after[0] - 2 * before[0], after[1] - 2 * before[1])
        layers.append(nn.ConvTranspose2d(fan_in, fan_out, 4, 2, 1, output_padding=lost))
    return layers
