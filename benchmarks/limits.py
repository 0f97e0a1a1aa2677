"""What the machine can do at best: a large matrix product, and a copy in memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SIZE = 2048  # rows and columns of the product: its arithmetic outweighs everything else
COPIED = 1 << 28  # bytes, beyond every cache


def matmul(
    times: int,
    threads: int | None = None,
    size: int = SIZE,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> tuple[Callable[[], object], float]:
    """A block of `times` products, and its floating-point operations."""
    a = torch.randn(size, size, device=device, dtype=dtype)
    b = torch.randn(size, size, device=device, dtype=dtype)
    out = torch.empty_like(a)

    def run() -> None:
        with_threads(threads)
        for _ in range(times):
            torch.mm(a, b, out=out)

    return run, times * 2.0 * size**3


def copy(times: int, device: str = "cpu") -> tuple[Callable[[], object], float]:
    """A block of `times` copies, and the bytes that it reads and writes."""
    source = torch.ones(COPIED // 4, device=device)
    target = torch.empty_like(source)

    def run() -> None:
        with_threads(None)
        for _ in range(times):
            target.copy_(source)

    return run, times * 2.0 * COPIED


def with_threads(number: int | None) -> None:
    """Let torch use so many threads from now on; None: one a core."""
    wanted = number or cores()
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)


def cores() -> int:
    """Threads that torch would use by itself, before anybody asks for another number."""
    return _CORES


_CORES = torch.get_num_threads()


def products(run: Callable[[], object]) -> float:
    """Floating-point operations of the matrix products and convolutions that `run` makes."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def largest_difference(a: Tensor, b: Tensor) -> float:
    """Of two tensors, relative to the largest value of either."""
    scale = max(float(a.abs().max()), float(b.abs().max()), 1e-30)
    return float((a - b).abs().max()) / scale
