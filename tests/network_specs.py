"""Networks as params.yaml describes them, and what is counted of them."""

from typing import Any

from pydantic import TypeAdapter
from torch import Tensor, nn

from ebmrepro.config.networks import CoderNet, GeneratorNet
from ebmrepro.networks import layers
from ebmrepro.networks.energies import AutoEncoder


def spec(kind: str, **values: Any) -> Any:
    """A network as params.yaml describes it."""
    values = {"kind": kind, **values}
    return TypeAdapter(GeneratorNet if kind == "noise_planes" else CoderNet).validate_python(values)


def conv(channels: list[int], kind: str = "conv", activation: str = "relu", norm: bool = True):
    return spec(kind, channels=channels, activation=activation, batch_norm=norm)


def began(n: int, scales: int, skips: bool = False, residual_steps: int = 0):
    more = {"repeats": 2, "residual_steps": residual_steps, "skips": skips}
    return spec("conv3x3", n=n, scales=scales, **more)


def planes(channels: list[int], noise: list[int]):
    more = {"activation": "relu", "batch_norm": True}
    return spec("noise_planes", channels=channels, planes=noise, **more)


def auto_encoder(net: Any, shape: tuple[int, int, int], code: int) -> AutoEncoder:
    halves = layers.encoder(net, shape, code), layers.decoder(net, shape, code, bounded=True)
    return AutoEncoder(*halves, "norm")


def maps(network: nn.Module, x: Tensor, kind: type[nn.Module]) -> list[tuple[int, ...]]:
    """Shapes of what the layers of a kind give, without the batch, first layer first."""
    found: list[tuple[int, ...]] = []
    for part in network.modules():
        if isinstance(part, kind):
            part.register_forward_hook(lambda _, __, out: found.append(tuple(out.shape[1:])))
    network(x)
    return found


def layer(fan_in: int, fan_out: int, kernel: int = 4) -> int:
    """Parameters of a convolution, transposed or not, with its biases."""
    return kernel**2 * fan_in * fan_out + fan_out
