"""How a device computes a method's networks: in which precision, in which order of their numbers in
memory, and compiled or not. A method's file knows nothing of it.

Networks are the outermost sequences of layers, which `layers.py` makes. All that a method computes
around them, energies, losses, distances of codes, its state, is float32 as it is written, and so
are weights, gradients and what optimisers remember. In RBMs, and in the networks that they are
unrolled into, products alone are in bfloat16: states and statistics, and all that lies between two
products, are float32.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call

from ebmrepro.config.types import Precision
from ebmrepro.networks import distributed
from ebmrepro.networks.energies import RBM
from ebmrepro.networks.layers import linear_layers
from ebmrepro.networks.products import product
from ebmrepro.system.errors import UserError

KINDS_OF_CALL = 64  # of one network that are compiled: with and without gradient, by batch size


def compiler() -> str | None:
    """The backend of torch.compile that EBMREPRO_COMPILE asks for, if it does.

    Raises:
        UserError: there are several ranks, with which this was never tried.
    """
    if os.environ.get("EBMREPRO_COMPILE") != "on":
        return None
    if distributed.count() > 1:
        raise UserError(
            f"EBMREPRO_COMPILE: found 'on' with {distributed.count()} ranks; allowed is off"
        )
    return "inductor"


def networks(module: nn.Module) -> list[nn.Sequential]:
    """The outermost sequences of layers of a module."""
    if isinstance(module, nn.Sequential):
        return [module]
    return [network for child in module.children() for network in networks(child)]


def multiply(precision: Precision | None) -> None:
    """Let a GPU round the factors of float32 products to TF32, or not: a setting of the process.

    torch itself does so in convolutions unless it is told not to.
    """
    rounds = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = rounds
    torch.backends.cudnn.allow_tf32 = rounds
    torch.backends.cudnn.deterministic = True  # else two runs of a seed differ in their last bits


def prepare(module: nn.Module, precision: Precision | None, compiler: str | None = None) -> None:
    """Have a module's networks computed as asked, on the device where they are.

    `compiler` is a backend of torch.compile, or None.
    """
    multiply(precision)
    for network in networks(module):
        channels_last(network)
        if precision == "bf16":
            _round(network) if _unrolled(network) else _lower(network)
        if compiler:
            _compile(network, compiler)
    if precision == "bf16":
        _round_rbms(module)


def channels_last(network: nn.Module) -> None:
    """Order the weights of convolutions as fast kernels want them, of CPUs too; images follow."""
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _lower(network: nn.Sequential) -> None:
    """Compute in bfloat16 where that is known to be harmless (autocast), and answer in float32.

    Autocast would round the weights of each layer by itself, and the gradient of each on its way
    back. Its cache would save a copy where a turn calls a network twice, as few do, and would hand
    one that was made without gradient, for x_g, to G(z), which needs a gradient.
    """
    inner = nn.Sequential(OrderedDict(network.named_children()))  # the same layers
    weights = {
        f"{at}.{key}": weight
        for at, part in inner.named_modules()
        if isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
        for key, weight in part.named_parameters()
    }

    def forward(x: Tensor) -> Tensor:
        rounded = dict(zip(weights, _AllAtOnce.apply(*weights.values()), strict=True))
        with torch.autocast(x.device.type, torch.bfloat16, cache_enabled=False):
            return functional_call(inner, rounded, (x,), tie_weights=False).float()

    network.forward = forward  # pyright: ignore[reportAttributeAccessIssue]


class _AllAtOnce(torch.autograd.Function):
    """Weights in bfloat16, and their gradients in float32: on a GPU one kernel each way."""

    @staticmethod
    def forward(ctx: Any, *weights: Any) -> Any:
        return _copies(weights, torch.bfloat16)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *by: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _copies(by, torch.float32)


def _copies(tensors: Sequence[Tensor], dtype: torch.dtype) -> tuple[Tensor, ...]:
    copies = [torch.empty_like(tensor, dtype=dtype) for tensor in tensors]
    torch._foreach_copy_(copies, list(tensors))  # pyright: ignore[reportPrivateImportUsage]
    return tuple(copies)


def _unrolled(network: nn.Sequential) -> bool:
    """Whether it is what RBMs are unrolled into, which their methods take layer by layer."""
    return all(isinstance(part, nn.Linear | nn.Sigmoid) for part in network)


def _round(network: nn.Sequential) -> None:
    """Multiply in bfloat16 and keep all that lies between two products in float32."""
    for layer in linear_layers(network):

        def forward(x: Tensor, layer: nn.Linear = layer) -> Tensor:
            y = product(x, layer.weight.T, rounded=True)
            return y if layer.bias is None else y + layer.bias

        layer.forward = forward  # pyright: ignore[reportAttributeAccessIssue]


def _round_rbms(method: nn.Module) -> None:
    """Multiply in bfloat16 in a method's RBMs, whose weights are rounded once for all products up
    to a turn: they move after it.
    """
    rbms = [part for part in method.modules() if isinstance(part, RBM)]
    for rbm in rbms:
        rbm.rounded = True
    if not rbms:
        return
    exact: Any = method.step

    def step(*given: Any) -> Iterator[Any]:
        turns = exact(*given)
        while True:
            for rbm in rbms:
                rbm.kept = []
            turn = next(turns, None)
            for rbm in rbms:
                rbm.kept = None
            if turn is None:
                return
            yield turn

    method.step = step  # pyright: ignore[reportArgumentType]


def _compile(network: nn.Sequential, compiler: str) -> None:
    import torch._dynamo  # not before it is asked for: it takes seconds

    torch._dynamo.config.recompile_limit = KINDS_OF_CALL  # above it torch would stop compiling
    network.compile(backend=compiler, dynamic=False)
