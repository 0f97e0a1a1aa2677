"""What the trainings of a suite would take here, from a few steps of each: no training is begun.

Every system runs in a process of its own, on the first images of the training split, and takes some
steps at each of several moments of its training, because phases differ (a DBN's layers). Nothing is
written. Where the data are not there yet, made-up images of their shape stand in for them.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ebmrepro import data
from ebmrepro.config import declarations, variant
from ebmrepro.config.data import image_shape
from ebmrepro.config.params import Params
from ebmrepro.data.check import verify
from ebmrepro.runs.carried import duration
from ebmrepro.system.errors import UserError

MOMENTS = 4  # of a training, evenly spread over its epochs
STEPS = 1  # timed at each, after one that is not: what is allocated then stays
SPARE = 2  # times the images whose labels are asked for: of so many no class has too few
CLASSES = 10  # of data that are not there yet


@dataclass(frozen=True)
class Images:
    """A suite's data, as far as a rehearsal needs them."""

    shape: tuple[int, int, int]
    count: int | None  # training images; None while nobody knows
    classes: int
    status: str  # whether they are there and what was verified, in words


@dataclass(frozen=True)
class Rehearsal:
    """What one training of a system would take."""

    system: str
    parameters: int
    steps: int | None  # of the training; None while nobody knows how many images there are
    seconds_per_step: float
    seconds_besides: float  # before the first step, and for the image grids
    peak: int  # bytes of memory, on the device that computes

    @property
    def seconds(self) -> float | None:
        if self.steps is None:
            return None
        return self.seconds_besides + self.steps * self.seconds_per_step


def images(suite: str, settings: Params) -> Images:
    """Verify the suite's data, or say what there will be.

    Raises:
        DataError: what is stored is not what `data` wrote.
        UserError: there are no data yet, and only they can say how large an image is.
    """
    folder, block = Path("data") / suite, settings.suite(suite).data
    if (folder / data.DATASET).exists():
        about, _ = verify(folder)
        count = about["splits"]["train"]["count"]
        status = f"{about['name']}, {count:,} training images; checksums agree"
        return Images(tuple(about["shape"]), count, len(about["classes"]), status)
    shape = image_shape(block)
    if shape is None:
        raise UserError(f"data/{suite}: not there; `ebmrepro data check {suite}` writes it")
    facts = declarations.source_facts(block.source)
    count = facts.images - block.test - block.validation if facts.images else None
    status = (
        f"not there yet, so noise stands in for them; `ebmrepro data check {suite}` writes them"
    )
    return Images(shape, count, CLASSES, status)


def rehearse(
    suite: str, systems: list[str], like: Images, changes: Sequence[str] = ()
) -> Iterator[Rehearsal | str]:
    """Each system in turn, or why its process ended without an answer."""
    spawn = multiprocessing.get_context("spawn")  # so that memory is the system's own
    for system in systems:
        receiver, sender = spawn.Pipe(duplex=False)
        asked = (suite, system, like, changes, time.monotonic())
        process = spawn.Process(target=_rehearse, args=(sender, *asked))
        process.start()
        sender.close()
        try:
            yield receiver.recv()
        except EOFError:
            process.join()
            killed = " (-9 is the system's, for want of memory)" if process.exitcode == -9 else ""
            yield f"{system}: its process ended with code {process.exitcode}{killed}"
        process.join()


def _rehearse(answer: Any, suite: str, system: str, *asked: Any) -> None:
    try:
        answer.send(_rehearsed(suite, system, *asked))
    except UserError as error:
        answer.send(f"{system}: {error}")


def _rehearsed(
    suite: str, system: str, like: Images, changes: Sequence[str], asked: float
) -> Rehearsal:
    import torch

    from ebmrepro.methods.base import method
    from ebmrepro.networks import device, layers
    from ebmrepro.runs import models, run
    from ebmrepro.training.batches import stays_there

    where, block = device.device(), variant.tried(changes).block(suite, system)
    model = method.build(system, block.hparams, like.shape, like.classes, seed=0).to(where)
    parameters = layers.count(model)
    count = max(block.batch_size * (STEPS + 1), SPARE * (model.labels or 0))
    pictures, labels = _some(suite, like, count)
    training = run.prepared(model, pictures, labels, block, seed=0)

    def now() -> float:
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        return time.monotonic()

    taken, moments, clock = training.steps(), min(MOMENTS, model.epochs), 0.0
    besides = now() - asked
    for moment in range(moments):
        training.epoch = moment * model.epochs // moments
        training.position = len(training.batches) - STEPS - 1
        next(taken)
        began = now()
        while not next(taken).record:
            pass
        clock += (now() - began) / STEPS
    began = now()
    models.draw(model, models.GRID, seed=0)
    besides += block.grids * (now() - began)
    steps = None if like.count is None else model.epochs * (like.count // block.batch_size)
    whole = (like.count or 0) * pictures[0].nbytes
    rest = max(whole - pictures.nbytes, 0) if stays_there(whole, where) else 0
    if where.type == "cuda":
        peak = torch.cuda.max_memory_allocated(where)
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return Rehearsal(system, parameters, steps, clock / moments, besides, peak + rest)


def _some(suite: str, like: Images, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images and labels of the training split, or noise in their place."""
    folder = Path("data") / suite
    if (folder / data.DATASET).exists():
        stored, labels = data.read(folder, "train")
        rows = np.arange(count) % len(labels)  # a small set's come again
        return np.array(stored[rows]), labels[rows]
    rng = np.random.default_rng(0)
    shape = (count, *like.shape)
    return rng.integers(0, 256, shape, dtype=np.uint8), np.arange(count) % like.classes


def show(suite: str, changes: Sequence[str]) -> bool:
    """Print what each training of a suite would take, with other values where `changes`, each a
    KEY=VALUE, gives them; whether all of them gave an answer.
    """
    settings = variant.tried(changes)
    found = images(suite, settings)
    print(f"data/{suite}: {found.status}")
    systems = ["dbn", *settings.suite(suite).methods]
    width, answered = max(map(len, systems)), 0
    print(f"{'one training of':<{width}}  parameters     steps   a step    takes about   memory")
    for one in rehearse(suite, systems, found, changes):
        if isinstance(one, str):
            print(one, file=sys.stderr)
            continue
        answered += 1
        steps = "?" if one.steps is None else f"{one.steps:,}"
        whole = "?" if one.seconds is None else duration(one.seconds)
        print(
            f"{one.system:<{width}}  {one.parameters:>10,} {steps:>9} "
            f"{1000 * one.seconds_per_step:>5.0f} ms  {whole:>12}  {one.peak / 2**30:>4.1f} GiB"
        )
    return answered == len(systems)
