"""The shipped systems as trainings on noise, by the size of their images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from ebmrepro.config.data import image_shape
from ebmrepro.config.params import Params
from ebmrepro.config.training import Block, base
from ebmrepro.config.types import Precision
from ebmrepro.methods.base import method
from ebmrepro.networks import device
from ebmrepro.pipeline.offload.parts import Cell
from ebmrepro.runs import run
from ebmrepro.system.errors import one_line
from ebmrepro.training.batches import Batches
from ebmrepro.training.graphs import BOTH, FIRST
from ebmrepro.training.loop import Step, Training

PRECISIONS: Mapping[str, Precision | None] = {"float32": None, "tf32": "tf32", "bf16": "bf16"}
EAGER = {"EBMREPRO_GRAPHS": "off"}  # one kernel at a time; else a GPU replays whole steps
CLASSES = 10
DRY = 4  # images in a batch on a CPU, where these figures mean nothing
BATCHES = 16  # in an epoch of noise
WARM = FIRST + BOTH + 1  # steps, the last of which is one of a recording


@dataclass(frozen=True)
class Case:
    """A system at one size."""

    suite: str
    name: str
    block: Block
    shape: tuple[int, int, int]

    @property
    def label(self) -> str:
        channels, height, width = self.shape
        return f"{self.name} {channels}x{height}x{width} ({self.suite})"


def cases(settings: Params) -> list[Case]:
    """One of every method and shape of images, the small ones first."""
    found: dict[tuple[str, tuple[int, int, int]], Case] = {}
    for name, suite in settings.suites.items():
        shape = image_shape(suite.data)
        for _, system, block in suite.blocks:
            if shape and system == base(system):
                found.setdefault((system, shape), Case(name, system, block, shape))
    return sorted(found.values(), key=lambda case: math.prod(case.shape))


def smallest(settings: Params) -> list[Case]:
    """Every method once, at the smallest size that has it."""
    found: dict[str, Case] = {}
    for case in cases(settings):
        found.setdefault(case.name, case)
    return list(found.values())


def is_gpu() -> bool:
    return device.device().type == "cuda"


def batch(case: Case) -> int:
    """Images in one: the block's, on a CPU a few."""
    return case.block.batch_size if is_gpu() else min(DRY, case.block.batch_size)


def training(
    case: Case,
    precision: Precision | None = None,
    batches: int = BATCHES,
    size: int | None = None,
    exact: bool = False,
) -> Training:
    """A case as the stages train it, at the middle of its epochs, on noise.

    Args:
        size: of a batch; that of `batch` if none.
        exact: in float64 throughout.
    """
    size = size or batch(case)
    block = case.block.model_copy(update={"precision": precision, "batch_size": size})
    model = method.build(case.name, block.hparams, case.shape, CLASSES, seed=0)
    model = model.to(device.device(), torch.float64 if exact else None)
    rng, count = np.random.default_rng(0), max(size * batches, model.labels or 0)
    x = rng.integers(0, 256, (count, *case.shape), dtype=np.uint8)
    made = run.prepared(model, x, np.arange(count) % CLASSES, block, seed=0)
    if exact:
        made.batches = cast(Batches, _Exact(made.batches))
    made.epoch = model.epochs // 2
    return made


class _Exact:
    """Batches in float64."""

    def __init__(self, batches: Batches):
        self._batches = batches

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)

    def __len__(self) -> int:
        return len(self._batches)

    def take(self) -> tuple[torch.Tensor, Any]:
        x, y = self._batches.take()
        return x.double(), y

    def take_few(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        few = self._batches.take_few()
        return few and (few[0].double(), few[1])


def stepping(training: Training, epoch: int) -> Iterator[Step]:
    """Steps without end, all of one epoch."""
    training.epoch = epoch
    for step in training.steps():
        yield step
        if step.record:
            training.epoch = epoch


def wait() -> None:
    if is_gpu():
        torch.cuda.synchronize(device.device())


def seconds(run_once: Callable[[], object], least: float = 0.05) -> float:
    """Of a call: the median of three blocks of as many as take `least` seconds, once it is warm."""

    def block(n: int) -> float:
        wait()
        began = time.perf_counter()
        for _ in range(n):
            run_once()
        wait()
        return (time.perf_counter() - began) / n

    block(WARM)
    n = max(1, min(1000, round(least / max(block(1), 1e-6))))
    return sorted(block(n) for _ in range(3))[1]


def each(work: Mapping[str, Callable[[], Any]], deadline: float) -> Iterator[Cell]:
    """Every cell in turn while there is time; one that fails says why."""
    for key, find in work.items():
        if time.monotonic() >= deadline:
            yield "left out for want of time", len(work) - list(work).index(key)
            return
        try:
            yield key, find()
        except Exception as error:  # of any kind: the other cells are worth having
            yield key, {"failed": f"{type(error).__name__}: {one_line(error)}"}
