"""Random numbers of a training: bits from probabilities, and how several ranks share a draw.

All ranks hold the same state of the random generator. Within `WholeBatch` a call that would draw
for this rank's rows draws for the whole batch instead, so that the ranks go on agreeing, no two of
them see the same numbers, and each keeps its rows of what a single process would have drawn. Bits
that torch draws from probabilities itself are not a single process's, only as likely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ebmrepro.networks import distributed


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """For the time of this context draws there, and on the CPU, are a seed's and leave no trace."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def bernoulli(p: Tensor) -> Tensor:
    """Bits that are 1 with probability p, each by itself, of p's shape and type.

    A uniform number is below p or not: on a CPU a quarter of the time of torch's own draw.
    """
    return torch.rand_like(p).lt_(p)


def bits(field: Tensor, draws: torch.Generator) -> Tensor:
    """Bits that are 1 with probability sigmoid(field), by a generator, of the field's shape."""
    uniform = torch.rand(field.shape, generator=draws, device=field.device)
    return (uniform < field.sigmoid()).to(field.dtype)


def one_of(p: Tensor) -> Tensor:
    """The number of a state, drawn with the probabilities of a row, (N, K) -> int64 (N,).

    As torch's multinomial, but the host does not wait to see whether a row is a distribution.
    """
    u = torch.rand(len(p), 1, dtype=p.dtype, device=p.device)
    below = p.cumsum(1) <= u * p.sum(1, keepdim=True)
    return below.sum(1).clamp(max=p.shape[1] - 1)


def fixed_bits(p: Tensor, seed: int) -> Tensor:
    """Bits that are 1 with probability p, multiples of 1/255, the same whenever a row comes again.

    They follow from the row as a whole and the seed, (N, V) -> (N, V) of p's type: a data set that
    is binarised once, with nothing to be stored and no matter in which order its images come.
    """
    columns = _mixed(torch.arange(p.shape[1], device=p.device) + (seed << 32))
    rows = (((p * 255).round().long() + 1) * columns).sum(1, keepdim=True)
    uniform = (_mixed(rows + columns) >> 11 & (1 << 53) - 1).double() / (1 << 53)
    return (uniform < p).to(p.dtype)


def _mixed(z: Tensor) -> Tensor:
    """64 bits that look random, from int64: SplitMix64 (Steele, Lea, Flood, 2014), wrapping."""
    z = z * -7046029254386353131 + 7  # the golden ratio's, 0x9e3779b97f4a7c15 as a signed number
    z = (z ^ (z >> 30 & (1 << 34) - 1)) * -4658895280553007687  # 0xbf58476d1ce4e5b9
    z = (z ^ (z >> 27 & (1 << 37) - 1)) * -7723592293110705685  # 0x94d049bb133111eb
    return z ^ (z >> 31 & (1 << 33) - 1)


class WholeBatch(TorchFunctionMode):
    """Numbers whose first dimension is the rank's rows, from a draw for all of them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.rand, torch.randn):
            size = args[0] if isinstance(args[0], Sequence) else args
            return _own(func, size, **kwargs)
        if func in (torch.rand_like, torch.randn_like):
            (like,) = args
            draw = torch.rand if func is torch.rand_like else torch.randn
            return _own(draw, like.shape, dtype=like.dtype, device=like.device, **kwargs)
        if func in (torch.bernoulli, torch.Tensor.bernoulli):
            (p,) = args
            return (_own(torch.rand, p.shape, dtype=p.dtype, device=p.device) < p).to(p.dtype)
        return func(*args, **kwargs)


def _own(draw: Callable[..., Tensor], size: Sequence[int], **kwargs: Any) -> Tensor:
    rows = size[0] * distributed.count()
    return draw((rows, *size[1:]), **kwargs)[distributed.rows(rows)]
