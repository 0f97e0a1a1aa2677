"""What the machine can do at best: a large matrix product, and a copy in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.page import Bar, number, paragraphs, spread, table
from benchmarks.timing import Comparison, Spread, interleaved

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


def difference(a: Tensor, b: Tensor) -> float:
    """Of two tensors, root mean square, relative to the second."""
    return float((a - b).norm() / b.norm().clamp(min=1e-30))


def measure(quick: bool) -> dict[str, Any]:
    times, size = (1, 256) if quick else (4, SIZE)
    found = {
        "float32 product, all threads": matmul(times, None, size),
        "float32 product, one thread": matmul(times, 1, size),
        "bfloat16 product, all threads": matmul(times, None, size, dtype=torch.bfloat16),
        "copy in memory": copy(1),
    }
    run = {name: block for name, (block, _) in found.items()}
    timed = interleaved(run, 1 if quick else 7)
    amounts = {name: amount for name, (_, amount) in found.items()}
    return {"comparison": Comparison("limits", "blocks", 1, timed, amounts).tree(), "size": size}


def page(numbers: dict[str, Any]) -> str:
    one = Comparison.read(numbers["comparison"])
    rows = []
    for side, amount in one.products.items():
        rate = one.rate(side)
        giga = Spread(*(amount * v / 1e9 for v in (rate.median, rate.low, rate.high)))
        rows.append([side, spread(giga), "GB/s" if "copy" in side else "GFLOP/s"])
    slow = one.products["float32 product, all threads"] / one.products["copy in memory"]
    rates = {side: one.rate(side).median for side in one.products}
    balance = slow * rates["float32 product, all threads"] / rates["copy in memory"]
    return paragraphs(
        f"Products of {numbers['size']} x {numbers['size']} matrices, and copies of "
        f"{COPIED >> 20} MiB (read and written bytes are both counted). Every share of a limit "
        "below is taken of a product timed between the blocks of its own comparison.",
        table(["limit", "rate", ""], rows),
        f"{number(balance)} float32 operations fit into the time of moving one byte; what computes "
        "fewer for each byte is bound by memory.",
    )


def bars(numbers: dict[str, Any]) -> list[Bar]:
    del numbers  # limits are nobody's rival
    return []
