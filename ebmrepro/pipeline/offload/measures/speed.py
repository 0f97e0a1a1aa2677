"""How long a step of every method takes, by size, precision and way, and what memory it needs."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from functools import partial
from typing import Any
from unittest.mock import patch

import torch

from ebmrepro.config import params
from ebmrepro.methods.base.rbm_stack import RBMStack
from ebmrepro.networks import device, precision
from ebmrepro.pipeline.offload.measures import cases, ceilings
from ebmrepro.pipeline.offload.measures.cases import EAGER, PRECISIONS, Case
from ebmrepro.pipeline.offload.parts import Cell
from ebmrepro.system import memory
from ebmrepro.training.loop import Training

LARGE = 128  # pixels a side, from which only memory and one precision are looked at
COMPARED = 64  # pixels a side at which orders of convolutions' weights are compared


def speed(deadline: float) -> Iterator[Cell]:
    """The sizes of the papers' large images last, as they take most."""
    ceiling = {name: ceilings.matmul(name) for name in PRECISIONS}
    found = cases.cases(params.load())
    usual = [case for case in found if case.shape[1] < LARGE]
    work: dict[str, Callable[[], Any]] = {}
    for name in PRECISIONS:
        for case in sorted(usual, key=lambda case: case.shape[1] not in (32, 64)):
            key = f"{case.label} {name}"
            work[key] = partial(measured, case, name, ceiling[name])
    for case in usual:
        if case.shape[1] == COMPARED:
            work[f"{case.label} float32, contiguous"] = partial(contiguous, case)
    for case in found:
        if case.shape[1] >= LARGE:
            key = f"{case.label} float32"
            work[key] = partial(measured, case, "float32", ceiling["float32"])
    yield from cases.each(work, deadline)


def measured(case: Case, name: str, ceiling: float) -> dict[str, Any]:
    """Of the middle of the training, and of both ends where layers are learnt one after another."""
    found: dict[str, Any] = {"batch": cases.batch(case)}
    with patch.dict(os.environ, EAGER):
        counted = cases.training(case, PRECISIONS[name])
    epochs = {counted.epoch}
    if isinstance(counted.method, RBMStack):
        epochs |= {0, counted.method.epochs - 1}
    ways: Mapping[str, dict[str, str]] = {"eager": EAGER}
    if cases.is_gpu():
        ways = {**ways, "as trained": {}}
    operations = {epoch: products(counted, epoch) for epoch in sorted(epochs)}
    del counted  # its memory is not that of the others
    for epoch, count in operations.items():
        for way, settings in ways.items():
            memory.collect()
            with patch.dict(os.environ, settings):
                made = cases.training(case, PRECISIONS[name])
                found[f"epoch {epoch}, {way}"] = step(made, epoch, count, ceiling)
                del made
    return found


def step(training: Training, epoch: int, operations: float, ceiling: float) -> dict[str, Any]:
    """Milliseconds, images a second, share of the ceiling, and memory at the most.

    `operations` are the floating-point ones of a step's products, `ceiling` those of a second.
    """
    if cases.is_gpu():
        torch.cuda.reset_peak_memory_stats(device.device())
    taken, said = cases.stepping(training, epoch), io.StringIO()
    with redirect_stdout(said):
        took = cases.seconds(lambda: next(taken))
    found = {
        "ms": 1e3 * took,
        "images_per_second": training.batches.size / took,
        "share": operations / took / ceiling,
    }
    if cases.is_gpu():
        found["memory_mb"] = torch.cuda.max_memory_allocated(device.device()) / 1e6
    rounded: dict[str, Any] = {key: float(f"{value:.4g}") for key, value in found.items()}
    if said.getvalue():  # why it is taken without a graph
        rounded["said"] = said.getvalue().strip()
    return rounded


def products(training: Training, epoch: int) -> float:
    """Floating-point operations of the products and convolutions of an eager step."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        next(cases.stepping(training, epoch))
    return float(counter.get_total_flops())


def contiguous(case: Case) -> dict[str, float]:
    """A step with the weights of convolutions in torch's own order, else channels last."""
    with patch.dict(os.environ, EAGER):
        made = cases.training(case)
        for network in precision.networks(made.method):
            network.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
        taken = cases.stepping(made, made.epoch)
        return {"ms": float(f"{1e3 * cases.seconds(lambda: next(taken)):.4g}")}
