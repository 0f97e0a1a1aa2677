"""That every method works here: it steps, goes on from what it saved, and keeps the host going."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from itertools import islice
from typing import Any
from unittest.mock import patch

import torch

from ebmrepro.config import params
from ebmrepro.config.optimisers import Adamax
from ebmrepro.networks import device
from ebmrepro.pipeline.offload.measures import cases
from ebmrepro.pipeline.offload.measures.cases import EAGER, Case
from ebmrepro.pipeline.offload.parts import Cell
from ebmrepro.training import optimisers
from ebmrepro.training.loop import Training

STEPS = 12  # that a training is looked at for, of which a GPU records one
ADAMAX_STEPS = 200


def proofs(deadline: float) -> Iterator[Cell]:
    found = cases.smallest(params.load())
    work: dict[str, Callable[[], Any]] = {
        f"steps, resumes: {case.label}": partial(resumes, case) for case in found
    }
    work["Adamax against float64"] = adamax
    if cases.is_gpu():
        work |= {f"recorded steps: {case.label}": partial(recorded, case) for case in found}
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
    names = [name for name, _ in whole.method.named_parameters()]
    moved = sum(not torch.equal(after[name], before[name]) for name in names)
    if not moved:
        raise RuntimeError(f"no weight moved in {STEPS} steps")
    differs = max(float((after[key] - v).abs().max()) for key, v in values(again).items())
    return {"moved": moved, "differs": differs, "well": differs <= 1e-5}


def values(training: Training) -> dict[str, torch.Tensor]:
    """Copies of what there is of a method, in float64 and where it is finite."""
    tree = training.method.state_dict().items()
    return {key: value.detach().double().nan_to_num().clone() for key, value in tree}


def recorded(case: Case) -> dict[str, Any]:
    """Steps as graphs against steps one kernel at a time, relative to the way that weights went.

    It is no proof where a training says why it goes on without a graph.
    """
    found, said = [], io.StringIO()
    for settings in (EAGER, {}):
        with patch.dict(os.environ, settings), redirect_stdout(said):
            training = cases.training(case)
            start = values(training)
            torch.manual_seed(1)
            list(islice(training.steps(), STEPS))
            found.append(values(training))
    off, way = (
        sum(float((one[key] - other[key]).square().sum()) for key in start) ** 0.5
        for one, other in (found, (found[0], start))
    )
    well = off <= 1e-2 * way and not said.getvalue()
    return {"differs": off / way, "said": said.getvalue().strip(), "well": well}


def no_wait(case: Case) -> dict[str, Any]:
    """Steps within an epoch, in which the host must not wait for the GPU."""
    taken = cases.training(case, batches=2 * STEPS + 2).steps()
    list(islice(taken, STEPS))
    torch.cuda.set_sync_debug_mode("error")
    try:
        list(islice(taken, STEPS))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return {"well": True}


def adamax() -> dict[str, Any]:
    """Ours on the device against the paper's rule in float64, over the same gradients."""
    spec = Adamax(name="adamax", lr=1e-3, beta1=0.9, beta2=0.999)
    torch.manual_seed(2)
    start = torch.randn(64, 32)
    ours = torch.nn.Parameter(start.clone().to(device.device()))
    stepping = optimisers.make([ours], spec)
    exact = start.double()
    m, u = torch.zeros_like(exact), torch.zeros_like(exact)
    for t in range(1, ADAMAX_STEPS + 1):
        gradient = torch.randn(64, 32)
        ours.grad = gradient.to(ours.device)
        stepping.step()
        m = 0.9 * m + 0.1 * gradient.double()  # m_t = beta1 m_{t-1} + (1 - beta1) g_t
        u = torch.maximum(0.999 * u, gradient.double().abs())  # u_t = max(beta2 u_{t-1}, |g_t|)
        exact = exact - 1e-3 / (1 - 0.9**t) * m / u  # theta_t = theta_{t-1} - alpha / (1 - ...) m/u
    differs = float((ours.detach().cpu().double() - exact).norm() / (exact - start).norm())
    return {"differs": differs, "well": differs < 1e-3}
