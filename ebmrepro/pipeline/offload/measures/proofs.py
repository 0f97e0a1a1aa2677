"""That every method works here: it steps, goes on from what it saved, and keeps the host going."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

import torch

from ebmrepro.config import params
from ebmrepro.config.optimisers import Adamax
from ebmrepro.networks import device
from ebmrepro.pipeline.offload.measures import cases
from ebmrepro.pipeline.offload.measures.cases import Case
from ebmrepro.pipeline.offload.parts import Cell
from ebmrepro.training import optimisers
from ebmrepro.training.loop import Training

STEPS = 4
SETTLE = 8  # steps, among which a GPU's step is captured
ADAMAX_STEPS = 200


def proofs(deadline: float) -> Iterator[Cell]:
    found = cases.smallest(params.load())
    work = {f"steps, resumes: {case.label}": partial(resumes, case) for case in found}
    work["Adamax against float64"] = adamax
    if cases.is_gpu():
        work |= {f"no wait: {case.label}": partial(no_wait, case) for case in found}
    yield from cases.each(work, deadline)


def resumes(case: Case) -> dict[str, Any]:
    """Largest difference of a value after some steps at once from as many with a stop between."""
    torch.manual_seed(1)
    whole = cases.training(case)
    before = values(whole)
    taken = whole.steps()
    list(islice(taken, STEPS // 2))
    saved = io.BytesIO()
    torch.save(whole.state(), saved)
    list(islice(taken, STEPS - STEPS // 2))
    again = cases.training(case)
    again.restore(torch.load(io.BytesIO(saved.getvalue()), weights_only=True, map_location="cpu"))
    list(islice(again.steps(), STEPS - STEPS // 2))
    whole.check()
    after = values(whole)
    moved = sum(not torch.equal(after[key], value) for key, value in before.items())
    if not moved:
        raise RuntimeError(f"no value moved in {STEPS} steps")
    differs = max(float((after[key] - v).abs().max()) for key, v in values(again).items())
    return {"moved": moved, "differs": differs, "well": differs <= 1e-5}


def values(training: Training) -> dict[str, torch.Tensor]:
    """Copies of what there is of a method, in float64 and where it is finite."""
    tree = training.method.state_dict().items()
    return {key: value.detach().double().nan_to_num().clone() for key, value in tree}


def no_wait(case: Case) -> dict[str, Any]:
    """Steps within an epoch, in which the host must not wait for the GPU."""
    taken = cases.training(case, batches=2 * SETTLE + 2).steps()
    list(islice(taken, SETTLE))
    torch.cuda.set_sync_debug_mode("error")
    try:
        list(islice(taken, SETTLE))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return {"well": True}


def adamax() -> dict[str, Any]:
    """Ours on the device against torch's in float64 on the CPU, over the same gradients."""
    spec = Adamax(name="adamax", lr=1e-3, beta1=0.9, beta2=0.999)
    torch.manual_seed(2)
    start = torch.randn(64, 32)
    ours = torch.nn.Parameter(start.clone().to(device.device()))
    exact = torch.nn.Parameter(start.double())
    stepping = optimisers.make([ours], spec)
    peer = torch.optim.Adamax([exact], lr=1e-3, betas=(0.9, 0.999))
    for _ in range(ADAMAX_STEPS):
        gradient = torch.randn(64, 32)
        ours.grad, exact.grad = gradient.to(ours.device), gradient.double()
        stepping.step()
        peer.step()
    way = (exact.detach() - start).norm()
    differs = float((ours.detach().cpu().double() - exact.detach()).norm() / way)
    return {"differs": differs, "well": differs < 1e-4}
