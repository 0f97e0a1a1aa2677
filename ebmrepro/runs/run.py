"""One run from its parameters to its folder: what surrounds the loop in the train stages."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from ebmrepro import data
from ebmrepro.config.params import Params
from ebmrepro.config.training import Block
from ebmrepro.methods.base.method import Method
from ebmrepro.networks import device, distributed, images, layers, precision, threads
from ebmrepro.runs import provenance, results
from ebmrepro.runs.checkpoints import Checkpoints
from ebmrepro.runs.curves import Curves
from ebmrepro.runs.identity import fingerprint, made_with
from ebmrepro.runs.layout import folder, root
from ebmrepro.runs.models import GRID, draw, untrained
from ebmrepro.system import atomic, progress
from ebmrepro.system.atomic import write_json
from ebmrepro.system.locks import Lock
from ebmrepro.system.signals import Reason, Stopped, Watch
from ebmrepro.training import graphs, loop, together
from ebmrepro.training.batches import Batches
from ebmrepro.training.finite import NotFinite
from ebmrepro.training.loop import Training
from ebmrepro.training.together import Turns

FIXED_Z = 0  # seed of the z of those grids, the same in every run
SECONDS = "EBMREPRO_CHECKPOINT_SECONDS"  # at least, between two of them


def train_one(
    suite: str, name: str, seed: int, settings: Params, watch: Watch | None = None
) -> Path:
    """Train one run, or go on with it where it was killed; returns its folder.

    Every rank calls it, and the first one writes.

    Raises:
        finite.NotFinite: a term, a gradient or a weight became NaN or infinite.
        locks.Busy: another process trains the same run.
        signals.Stopped: `watch` had a reason to stop; a checkpoint was saved.
    """
    watch = watch or Watch()
    with distributed.joined(device.device()):
        if distributed.number() == 0:
            for _ in turns(suite, name, seed, settings, watch):
                pass
        else:
            with watch:
                _compute(_training(suite, name, seed, settings))
    return folder(suite, name, seed)


def turns(suite: str, name: str, seed: int, settings: Params, watch: Watch) -> Turns:
    """What the first rank does: the whole folder, from an empty one to the trained weights.

    It pauses where another training of this process may have its turn, see `together`; raises what
    `train_one` does.
    """
    out, label = folder(suite, name, seed), f"{suite} {name} seed {seed}"
    block, identity = settings.block(suite, name), fingerprint(suite, name, seed, settings)
    began, started = together.clock(), provenance.start()
    card: dict[str, Any] = {
        "suite": suite,
        "method": name,
        "seed": seed,
        "fingerprint": identity,
        "params": block.model_dump(),
    }
    if part := data.describe(Path("data") / suite).get("part"):
        card["images"] = part  # how many of how many training images, of an offloaded part
    # Two locks, because two trainings may share a folder with other parameters, or parameters with
    # another folder (an experiment's). The checkpoints last until the results are written, and
    # nobody else writes before that.
    with (
        Lock(Path(".ebmrepro/running") / f"{suite}-{name}-{seed}", label),
        Checkpoints(root(), identity, made_with(), label) as checkpoints,
    ):
        # As DVC does: what is there may be half of something, or a link into DVC's cache.
        shutil.rmtree(out, ignore_errors=True)
        (out / "samples").mkdir(parents=True)
        write_json(out / "run.json", card)
        training = _training(suite, name, seed, settings)
        method, total = training.method, training.method.epochs
        steps = total * len(training.batches)
        whose = {"suite": suite, "method": name, "seed": seed}
        checkpoints.about = {**whose, "epochs": total, "steps": steps}
        with watch:
            try:
                steps_here = yield from _train(training, checkpoints, watch, out, block.grids)
            except NotFinite as error:
                raise NotFinite(f"{error}; {_last(checkpoints)}") from None
        card |= {
            "epochs": training.epoch,
            "steps": training.step,
            "parameters": {key: layers.count(part) for key, part in method.named_children()},
        }
        with training.averaged():
            # Sorted and contiguous: the same weights give the same bytes.
            state = sorted(method.state_dict().items())
            weights = save({key: value.cpu().contiguous() for key, value in state})
        path = out / "model.safetensors"
        try:
            atomic.write(path, weights)
        except atomic.CannotWrite:  # a checkpoint is larger than the weights
            if not checkpoints.give_way():
                raise
            atomic.write(path, weights)
        atomic.write(out / results.SUM, results.sums(weights, path.name))
        write_json(out / "run.json", card)
        shown = steps_here * training.batches.size
        provenance.write_provenance(identity, started, together.clock() - began, shown)


def _training(suite: str, name: str, seed: int, settings: Params) -> Training:
    model = untrained(suite, name, seed, settings)
    x, y = data.read(Path("data") / suite, "train")
    return prepared(model, x, y, settings.block(suite, name), seed)


def prepared(model: Method, x: np.ndarray, y: np.ndarray, block: Block, seed: int) -> Training:
    """The training of a method, as its block says, on images and labels of the whole split."""
    threads.fit(model)
    labels = y if model.labelled else None
    where = device.device()
    batches = Batches(x, labels, block.batch_size, seed, where, model.labels)
    how = block.precision, precision.compiler(), graphs.recorder(where)
    return Training(model, batches, block.optim, block.ema, *how)


def _train(
    training: Training, checkpoints: Checkpoints, watch: Watch, out: Path, grids: int
) -> Generator[None, None, int]:
    """Train to the end from the newest checkpoint, if any; returns the steps trained here.

    Between any two steps a checkpoint is saved if it is time, and the training stops if there is a
    reason to; after an epoch its record is written, and a grid is drawn where one is due.
    """
    label, total = checkpoints.what, training.method.epochs
    due = {round(total * (i + 1) / grids) for i in range(grids)}
    curves, pictures = Curves(out / "curves.csv"), {}
    if state := distributed.from_first(checkpoints.latest()):
        training.restore(state["training"])
        curves, pictures = Curves(curves.path, state["rows"]), state["pictures"]
        for file, grid in pictures.items():
            images.save_png(out / "samples" / file, grid.numpy())
        steps = total * len(training.batches)
        print(f"{label}: going on after step {training.step} of {steps}", flush=True)
    for step, kind in checkpoints.of_others():
        print(f"{label}: not going on from step {step}, made with {kind}", flush=True)

    first, interval = training.step, float(os.environ.get(SECONDS) or 30)
    saved, when, cannot = first, time.monotonic(), False  # step, its time; the last one failed
    steps = training.steps()
    for _ in progress.follow(range(training.epoch, total), total - training.epoch, label):
        for step in steps:
            if step.record:
                curves.append(step.record)
                if training.epoch in due:
                    file = f"step_{training.step:07d}.png"
                    grid = _grid(training)
                    images.save_png(out / "samples" / file, grid)
                    pictures[file] = torch.from_numpy(grid)
            reason = _agreed(training, watch.reason())
            if reason or time.monotonic() - when >= interval:
                if training.step > saved:
                    state = {"training": training.state(), "rows": curves.rows}
                    cannot = not _save(
                        checkpoints, training.step, {**state, "pictures": pictures}, quiet=cannot
                    )
                saved, when = training.step, time.monotonic()
            if reason:
                raise Stopped(f"{label}: stopped {reason[0]}; {_last(checkpoints)}", reason[1])
            if training.waits:
                yield
            if step.record:
                break
    training.check()
    return training.step - first


def _compute(training: Training) -> None:
    """What every other rank does: the same steps, and nothing that is written."""
    if state := distributed.from_first(None):
        training.restore(state["training"])
    for _ in training.steps():
        if reason := _agreed(training, None):
            raise Stopped("stopped with the first rank", reason[1])


def _agreed(training: Training, reason: Reason) -> Reason:
    """The first rank's reason to stop, at the same step on all ranks; without others, its own.

    They ask each other as seldom as they look at what is finite, since the host waits for both.
    """
    if distributed.count() > 1:
        return distributed.from_first(reason) if training.position % loop.LOOK == 0 else None
    return reason


def _save(checkpoints: Checkpoints, step: int, state: dict[str, Any], *, quiet: bool) -> bool:
    """Whether the state could be saved: a training is worth more than its checkpoint."""
    try:
        checkpoints.save(step, state)
    except atomic.CannotWrite as error:
        if not quiet:
            print(
                f"{checkpoints.what}: no checkpoint can be saved at step {step} ({error}); "
                "training goes on without",
                file=sys.stderr,
            )
        return False
    return True


def _last(checkpoints: Checkpoints) -> str:
    """What there is to go on from, in words."""
    if newest := checkpoints.newest():
        return f"the last good checkpoint is that of step {newest[0]}, {newest[1].parent}"
    return "there is no checkpoint yet"


def _grid(training: Training) -> np.ndarray:
    """What the generator, or its average, draws at a fixed z, as one picture."""
    with training.averaged():
        training.method.eval()
        picture = images.grid(draw(training.method, GRID, FIXED_Z), columns=10)
        training.method.train()
    return picture
