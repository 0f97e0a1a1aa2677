"""The machine: what it is, its products by precision, and a copy within its memory."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from ebmrepro.networks import device, precision
from ebmrepro.pipeline.offload.measures import cases
from ebmrepro.pipeline.offload.measures.cases import PRECISIONS
from ebmrepro.pipeline.offload.parts import Cell

SIZE, COPIED = 8192, 1 << 30  # of a product, rows and columns; bytes, beyond every cache
DRY_SIZE, DRY_COPIED = 512, 1 << 24  # on a CPU


def ceilings(deadline: float) -> Iterator[Cell]:
    yield from cases.each(
        {
            "machine": machine,
            **{f"matmul {name}, TFLOP/s": _rate(name) for name in PRECISIONS},
            "copy, GB/s read and written": copy,
        },
        deadline,
    )


def machine() -> dict[str, Any]:
    where = device.device()
    found: dict[str, Any] = {
        "device": where.type,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
    }
    if where.type == "cuda":
        about = torch.cuda.get_device_properties(where)
        found |= {"name": about.name, "memory_gib": round(about.total_memory / 2**30, 1)}
        found |= {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
        found |= {"capability": list(torch.cuda.get_device_capability(where))}
    return found


def matmul(name: str) -> float:
    """Operations a second of a large square product in a precision of a block."""
    precision.multiply(PRECISIONS[name])
    size, where = (SIZE if cases.is_gpu() else DRY_SIZE), device.device()
    dtype = torch.bfloat16 if name == "bf16" else torch.float32
    a, b = (torch.randn(size, size, device=where, dtype=dtype) for _ in range(2))
    out = torch.empty_like(a)
    took = cases.seconds(lambda: torch.mm(a, b, out=out))
    precision.multiply(None)
    return 2.0 * size**3 / took


def _rate(name: str) -> Callable[[], float]:
    return lambda: round(matmul(name) / 1e12, 3)


def copy() -> float:
    size = COPIED if cases.is_gpu() else DRY_COPIED
    source = torch.ones(size // 4, device=device.device())
    target = torch.empty_like(source)
    return round(2.0 * size / cases.seconds(lambda: target.copy_(source)) / 1e9, 1)
