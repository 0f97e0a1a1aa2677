"""The same steps here and on the CPU in float64, from the same weights, images and noise."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ebmrepro.config import params
from ebmrepro.pipeline.offload.measures import cases, proofs
from ebmrepro.pipeline.offload.measures.cases import EAGER, PRECISIONS, Case
from ebmrepro.pipeline.offload.parts import Cell

STEPS = 3
SMALL = 0.1  # terms below it are compared as if they were this large
WITHIN = {"float32": 1e-3, "tf32": 2e-2, "bf16": 1e-1}  # relative, of terms and losses
OF_WEIGHTS = {"float32": 2e-2, "tf32": 0.2, "bf16": 0.5}  # of the way they went; Adam takes signs


class Injected(TorchFunctionMode):
    """All that is drawn comes from one generator on the CPU, in float64, whatever the device.

    `dtype` is that of draws which name none.
    """

    def __init__(self, seed: int, dtype: torch.dtype):
        super().__init__()
        self.dtype = dtype
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.rand, torch.randn):
            size = args[0] if isinstance(args[0], Sequence) else args
            dtype = kwargs.get("dtype") or self.dtype
            return self._drawn(func, size).to(kwargs.get("device", "cpu"), dtype)
        if func in (torch.rand_like, torch.randn_like):
            draw = torch.rand if func is torch.rand_like else torch.randn
            return self._drawn(draw, args[0].shape).to(args[0])
        if func in (torch.bernoulli, torch.Tensor.bernoulli):
            p = args[0]
            return (self._drawn(torch.rand, p.shape).to(p) < p).to(p.dtype)
        if func in (torch.multinomial, torch.Tensor.multinomial):
            p = args[0]  # one draw a row is all that is asked for
            below = p.cumsum(1) <= self._drawn(torch.rand, (len(p), 1)).to(p) * p.sum(1, True)
            return below.sum(1, keepdim=True).clamp(max=p.shape[1] - 1)
        return func(*args, **kwargs)

    def _drawn(self, draw: Any, size: Sequence[int]) -> Tensor:
        return draw(tuple(size), generator=self.generator, dtype=torch.float64)


def parity(deadline: float) -> Iterator[Cell]:
    found = cases.smallest(params.load())
    work = {
        f"{name}: {case.label}": partial(compared, case, name)
        for name in PRECISIONS
        for case in found
        if name != "tf32" or cases.is_gpu()
    }
    yield from cases.each(work, deadline)


def compared(case: Case, name: str) -> dict[str, Any]:
    """Relative differences after some steps: the largest of a term or loss, and of all weights'
    way from where they began.
    """
    size = cases.batch(case)  # of the device that is looked at
    with patch.dict(os.environ, EAGER, EBMREPRO_DEVICE="cpu"):
        start, exact, exact_terms = _stepped(case, "float32", size, exact=True)
    with patch.dict(os.environ, EAGER):
        _, ours, terms = _stepped(case, name, size, exact=False)
    of_terms = max(
        abs(terms[key] - value) / max(abs(value), SMALL) for key, value in exact_terms.items()
    )
    off = sum(float((ours[key] - value).square().sum()) for key, value in exact.items())
    way = sum(float((value - start[key]).square().sum()) for key, value in exact.items())
    of_weights = (off / way) ** 0.5 if way else float("inf")
    well = of_terms <= WITHIN[name] and of_weights <= OF_WEIGHTS[name]
    return {"terms": of_terms, "weights": of_weights, "well": well}


def _stepped(
    case: Case, name: str, size: int, *, exact: bool
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, float]]:
    """Values before and after, on the CPU in float64, and the terms of the last step."""
    made = cases.training(case, PRECISIONS[name], size=size, exact=exact)
    start = {key: value.cpu() for key, value in proofs.values(made).items()}
    with Injected(seed=3, dtype=torch.float64 if exact else torch.float32):
        last = list(islice(made.steps(), STEPS))[-1]
    after = {key: value.cpu() for key, value in proofs.values(made).items()}
    return start, after, {key: float(value) for key, value in last.terms.items()}
