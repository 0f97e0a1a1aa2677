"""One run from its parameters to its folder: what surrounds the loop in the train stages."""

from __future__ import annotations

import os
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from ebmrepro import data
from ebmrepro.config.params import Params
from ebmrepro.methods.base.method import Method
from ebmrepro.networks import device, distributed, images, layers, precision, threads
from ebmrepro.runs.checkpoints import Checkpoints
from ebmrepro.runs.curves import Curves
from ebmrepro.runs.identity import fingerprint, made_with
from ebmrepro.runs.layout import folder, root
from ebmrepro.runs.models import GRID, draw, untrained
from ebmrepro.runs.provenance import write_provenance
from ebmrepro.system import atomic, progress
from ebmrepro.system.atomic import write_json
from ebmrepro.system.errors import UserError
from ebmrepro.system.locks import Lock
from ebmrepro.system.signals import Stopped, Watch
from ebmrepro.training import loop
from ebmrepro.training.batches import Batches
from ebmrepro.training.finite import NotFinite

FIXED_Z = 0  # seed of the z of those grids, the same in every run
Reason = tuple[str, int] | None  # to stop, in words, and an exit code


def train_one(
    suite: str, name: str, seed: int, settings: Params, watch: Watch | None = None
) -> Path:
    """Train one run, or go on with it where it was killed; returns its folder.

    Every rank calls it, and the first one writes.

    Raises:
        finite.NotFinite: a term, a gradient or a weight became NaN or infinite.
        locks.Busy: another process trains the same run.
        stopping.Stopped: `watch` had a reason to stop; a checkpoint was saved.
    """
    watch = watch or Watch()
    with distributed.joined(device.device()):
        if distributed.number() == 0:
            return _write_one(suite, name, seed, settings, watch)
        with watch:
            _help(_training(suite, name, seed, settings))
        return folder(suite, name, seed)


def _write_one(suite: str, name: str, seed: int, settings: Params, watch: Watch) -> Path:
    out, label = folder(suite, name, seed), f"{suite} {name} seed {seed}"
    block, identity = settings.block(suite, name), fingerprint(suite, name, seed, settings)
    clock, started = time.monotonic(), datetime.now(UTC)
    card: dict[str, Any] = {
        "suite": suite,
        "method": name,
        "seed": seed,
        "fingerprint": identity,
        "params": block.model_dump(),
    }
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
        total = training.method.epochs
        steps = total * len(training.batches)
        checkpoints.describe(suite=suite, method=name, seed=seed, epochs=total, steps=steps)
        running = _Running(training, checkpoints, watch, out, block.grids, label)
        with watch:
            steps_here = running.go_on()
        card |= {
            "epochs": training.epoch,
            "steps": training.step,
            "parameters": {k: layers.count(m) for k, m in training.method.named_children()},
        }
        with training.averaged(), atomic.atomic_write(out / "model.safetensors") as partial:
            # Sorted and contiguous: the same weights give the same bytes.
            state = sorted(training.method.state_dict().items())
            partial.write_bytes(save({key: value.cpu().contiguous() for key, value in state}))
        write_json(out / "run.json", card)
        shown = steps_here * training.batches.size
        write_provenance(identity, started, time.monotonic() - clock, shown)
    return out


def _training(suite: str, name: str, seed: int, settings: Params) -> loop.Training:
    block = settings.block(suite, name)
    model = untrained(suite, name, seed, settings)
    threads.fit(model)
    x, y = data.read(Path("data") / suite, "train")
    labels = y if model.labelled else None
    batches = Batches(x, labels, block.batch_size, seed, device.device())
    return loop.Training(
        model, batches, block.optim, block.ema, block.precision, precision.compiler()
    )


def _help(training: loop.Training) -> None:
    """What every rank but the first does: the same steps, and nothing that is written."""
    if state := distributed.from_first(None):
        _restore(training, state)

    def between() -> None:
        if reason := _agreed(training, None):
            raise Stopped("stopped with the first rank", reason[1])

    for _ in training.epochs(between):
        between()


def _agreed(training: loop.Training, reason: Reason) -> Reason:
    """The first rank's reason to stop, at the same step on all ranks; without others, its own.

    They ask each other as seldom as they look at what is finite, since the host waits for both.
    """
    if distributed.count() > 1:
        return distributed.from_first(reason) if training.position % loop.LOOK == 0 else None
    return reason


class _Running:
    """A training on its way, and what is written and saved between its steps."""

    def __init__(
        self,
        training: loop.Training,
        checkpoints: Checkpoints,
        watch: Watch,
        out: Path,
        grids: int,
        label: str,
    ):
        self.training, self.checkpoints, self.watch = training, checkpoints, watch
        self.out, self.label = out, label
        self.total = training.method.epochs
        self.due = {round(self.total * (i + 1) / grids) for i in range(grids)}
        self.curves = Curves(out / "curves.csv")
        self.pictures: dict[str, torch.Tensor] = {}
        self.interval, self.saved = _interval(), (0, time.monotonic())  # step, when
        self.failed = False  # to save, the last time

    def go_on(self) -> int:
        """Train to the end from the newest checkpoint, if any; returns the steps trained here."""
        if state := distributed.from_first(self.checkpoints.latest()):
            self._restore(state)
        for step, kind in self.checkpoints.of_others():
            print(f"{self.label}: not going on from step {step}, made with {kind}", flush=True)
        first, epochs = self.training.step, self.training.epochs(self._between)
        try:
            left = self.total - self.training.epoch
            for record in progress.follow(epochs, left, self.label):
                self.curves.append(record)
                if self.training.epoch in self.due:
                    self._draw()
                self._between()
            self.training.check()
        except NotFinite as error:
            raise NotFinite(f"{error}; {self._last()}") from None
        return self.training.step - first

    def _between(self) -> None:
        """Save if it is time, and stop if there is a reason to."""
        reason = _agreed(self.training, self.watch.reason())
        if reason or time.monotonic() - self.saved[1] >= self.interval:
            self._save()
        if reason:
            why, code = reason
            raise Stopped(f"{self.label}: stopped {why}; {self._last()}", code)

    def _save(self) -> None:
        step = self.training.step
        if step > self.saved[0]:
            state = _state(self.training, self.curves.rows, self.pictures)
            try:
                self.checkpoints.save(step, state)
                self.failed = False
            except atomic.CannotWrite as error:  # a training is worth more than its checkpoint
                if not self.failed:
                    print(
                        f"{self.label}: no checkpoint can be saved at step {step} ({error}); "
                        "training goes on without",
                        file=sys.stderr,
                    )
                self.failed = True
        self.saved = step, time.monotonic()

    def _restore(self, state: dict[str, Any]) -> None:
        rows, self.pictures = _restore(self.training, state)
        self.curves = Curves(self.curves.path, rows)
        for file, grid in self.pictures.items():
            images.save_png(self.out / "samples" / file, grid.numpy())
        self.saved = self.training.step, time.monotonic()
        steps = self.total * len(self.training.batches)
        print(f"{self.label}: going on after step {self.training.step} of {steps}", flush=True)

    def _draw(self) -> None:
        file = f"step_{self.training.step:07d}.png"
        with self.training.averaged():
            grid = _grid(self.training.method)
        images.save_png(self.out / "samples" / file, grid)
        self.pictures[file] = torch.from_numpy(grid)

    def _last(self) -> str:
        """What there is to go on from, in words."""
        if newest := self.checkpoints.newest():
            return f"the last good checkpoint is that of step {newest[0]}, {newest[1].parent}"
        return "there is no checkpoint yet"


def _interval() -> float:
    """Seconds between checkpoints, at least."""
    text = os.environ.get("EBMREPRO_CHECKPOINT_SECONDS", "30")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise UserError(f"EBMREPRO_CHECKPOINT_SECONDS: found {text!r}, allowed is a number from 0")
    return seconds


def _grid(model: Method) -> np.ndarray:
    """What the generator draws at a fixed z, as one picture."""
    model.eval()
    picture = images.grid(draw(model, GRID, FIXED_Z), columns=10)
    model.train()
    return picture


def _state(
    training: loop.Training, rows: list[loop.Record], pictures: dict[str, torch.Tensor]
) -> dict[str, Any]:
    where = training.batches.device
    generators = {"cpu": torch.get_rng_state()}
    if where.type == "cuda":
        generators["cuda"] = torch.cuda.get_rng_state(where)
    return {
        "training": training.state(),
        "generators": generators,
        "threads": torch.get_num_threads(),  # sums are split by it, so bits follow from it
        "rows": rows,
        "pictures": pictures,
    }


def _restore(
    training: loop.Training, state: dict[str, Any]
) -> tuple[list[loop.Record], dict[str, torch.Tensor]]:
    training.restore(state["training"])
    torch.set_num_threads(state["threads"])
    torch.set_rng_state(state["generators"]["cpu"])
    if "cuda" in state["generators"]:
        torch.cuda.set_rng_state(state["generators"]["cuda"], training.batches.device)
    return state["rows"], state["pictures"]
