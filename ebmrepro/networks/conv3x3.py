"""BEGAN's networks: 3x3 convolutions with ELUs, `Conv3x3` of `config/networks.py`.

Berthelot, Schumm, Metz: BEGAN. 2017, arXiv:1703.10717, section 3.5. An encoder halves a map by the
stride of a convolution, which widens it by n channels as well; a decoder, and a generator, doubles
it by nearest neighbour and has n channels throughout. The code stands between two fully connected
layers without an activation. Batch normalisation, dropout and transposed convolutions: none.

Two refinements of section 3.5.1, each off where its parameter says so:

    in_{x+1} = carry in_x + (1 - carry) out_x    residuals of layers that change no size; carry
                                                 falls from 1 to 0 over `residual_steps` steps
    [x, h_0]                                     after each doubling, the decoder's first map,
                                                 doubled as often, beside the features

Left open by what could be read of the paper: whether the convolution that halves also widens, as
here, or is one more. All three networks at 128 pixels and n = 128 have 20.8 million parameters of
this reading; the paper prints 17.3 (recalled), which no reading that was tried has. A decoder's
last convolution has no activation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ebmrepro.config.networks import Conv3x3

Shape = tuple[int, int, int]


class Vanishing(nn.Module):
    """A layer that changes no size, with a residual that vanishes as the training goes on."""

    steps_done: Tensor

    def __init__(self, layer: nn.Module, steps: int):
        super().__init__()
        self.layer, self.steps = layer, steps
        self.register_buffer("steps_done", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        carry = (1 - self.steps_done / self.steps).clamp(min=0)
        return carry * x + (1 - carry) * self.layer(x)

    def age(self) -> None:
        """A step of the training is over."""
        self.steps_done.add_(1)


class Decoder(nn.Module):
    """Codes (N, code) -> images (N, C, H, W), which nothing bounds."""

    def __init__(self, spec: Conv3x3, shape: Shape, code: int):
        super().__init__()
        n, channels = spec.n, shape[0]
        height, width = smallest(spec, shape)
        self.skips = spec.skips
        self.first = nn.Sequential(
            nn.Linear(code, n * height * width), nn.Unflatten(1, (n, height, width))
        )
        after_doubling = 2 * n if spec.skips else n
        self.scales = nn.ModuleList(
            nn.Sequential(*_repeated(spec, after_doubling if scale else n, n))
            for scale in range(spec.scales)
        )
        self.last = nn.Conv2d(n, channels, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        x = h_0 = self.first(h)
        for i, scale in enumerate(self.scales):
            if i > 0:
                x = interpolate(x, scale_factor=2.0, mode="nearest")
                if self.skips:
                    again = interpolate(h_0, scale_factor=2.0**i, mode="nearest")
                    x = torch.cat([x, again], dim=1)
            x = scale(x)
        return self.last(x)


def encoder(spec: Conv3x3, shape: Shape, code: int) -> list[nn.Module]:
    """Images (N, C, H, W) -> codes (N, code)."""
    layers: list[nn.Module] = [nn.Conv2d(shape[0], spec.n, 3, padding=1), nn.ELU()]
    layers += _repeated(spec, spec.n, spec.n)
    for scale in range(1, spec.scales):
        layers += _repeated(spec, spec.n * scale, spec.n * (scale + 1), stride=2)
    height, width = smallest(spec, shape)
    return [*layers, nn.Flatten(), nn.Linear(spec.n * spec.scales * height * width, code)]


def smallest(spec: Conv3x3, shape: Shape) -> tuple[int, int]:
    """(H, W) of the map beside the code."""
    return shape[1] >> (spec.scales - 1), shape[2] >> (spec.scales - 1)


def _repeated(spec: Conv3x3, fan_in: int, width: int, stride: int = 1) -> list[nn.Module]:
    """The convolutions of one scale, of which the first may widen and halve."""
    layers: list[nn.Module] = []
    for _ in range(spec.repeats):
        layer = nn.Sequential(nn.Conv2d(fan_in, width, 3, stride, padding=1), nn.ELU())
        same_size = fan_in == width and stride == 1
        vanishes = same_size and spec.residual_steps > 0
        layers.append(Vanishing(layer, spec.residual_steps) if vanishes else layer)
        fan_in, stride = width, 1
    return layers
