"""Processes that train what is not trained yet, one configuration at a time, whole or not at all.

What a configuration leaves is a file of `.ebmrepro/grid/<fingerprint>/<made with>/` in the
repository: DVC deletes a stage's outputs before it runs it, and a larger draw, an experiment or a
later commit finds there what a smaller one has trained. The fingerprint covers every number that a
training follows from, data and code, and neither how many configurations are drawn nor what scores
them. The folder stays until a person removes it, which costs the time to train again.

Workers share nothing but that folder. Each goes through the list and takes what has neither a
result nor a worker, which a lock says that ends with its process. So any number of them may run,
started by one stage or by several, and one that dies loses the configuration under way.

Processes of one thread were faster here than stacked parameters: on two loaded cores, milliseconds
per step and network with two workers against 2, 4 and 8 equal networks in one product (bmm) of two
threads, 47 against 305, 195, 111 (nLayerG 2, sizeG 400), 172 against 661, 420, 209 (3, 800) and 441
against 878, 669, 642 (4, 1600). Stacking also wants equal shapes, which a draw of 24 seldom has.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from ebmrepro import data
from ebmrepro.config import environment, params
from ebmrepro.config.grid import Grid
from ebmrepro.config.params import Params
from ebmrepro.networks import device, threads
from ebmrepro.runs import fingerprints, identity, layout
from ebmrepro.studies.grid import play
from ebmrepro.studies.grid.configurations import Configuration
from ebmrepro.studies.grid.play import Played
from ebmrepro.system import atomic, machine, memory, progress, reading
from ebmrepro.system.errors import UserError
from ebmrepro.system.reading import Damaged
from ebmrepro.system.signals import Stopped, Watch
from ebmrepro.training.together import Turns, together

SCHEMA = 1
# What the bytes of a training follow from; the stage `grid` names the same in dvc.yaml.
PLAYED = [f"methods/{name}.py" for name in sorted({*play.METHOD.values()})]
ROOMS = (*fingerprints.ROOMS, *PLAYED, "studies/grid")
GLANCE = 0.2  # seconds between looks at what the workers have finished


class WorkerError(UserError):
    """A worker process ended before its work."""


@dataclass(frozen=True)
class Work:
    """A grid of one suite and seed, and where its trainings are kept."""

    suite: str
    seed: int
    grid: Grid
    steps: int  # of each training
    folder: Path

    @property
    def label(self) -> str:
        return f"{self.suite} grid seed {self.seed}"

    def path(self, chosen: Configuration) -> Path:
        return self.folder / f"{chosen.name}-seed{self.seed}.npz"

    def left(self, todo: Sequence[Configuration]) -> list[Configuration]:
        """Those of `todo` that are not trained yet."""
        return [each for each in todo if not self.path(each).exists()]


def work(suite: str, seed: int, settings: Params) -> Work:
    """The work that params.yaml asks for."""
    grid = settings.grid(suite)
    about = data.describe(Path("data") / suite)
    batches = about["splits"]["train"]["count"] // grid.batch_size
    fraction = settings.suite(suite).budget * grid.epoch_fraction
    steps = max(1, round(grid.epochs * fraction * batches))
    code = fingerprint(grid, steps, about)
    folder = layout.root() / ".ebmrepro" / "grid" / code / identity.made_with()
    return Work(suite, seed, grid, steps, folder)


def fingerprint(grid: Grid, steps: int, about: dict[str, Any]) -> str:
    """Identity of all trainings of a grid, as hex; `about` is the data's dataset.json."""
    numbers = {"batch_size", "padding", "z", "dropout", "init_std", "adam", "pt_weight"}
    return params.digest(
        {
            "schema": SCHEMA,
            "params": grid.model_dump(include=numbers),
            "steps": steps,
            "drawn": [grid.score.generated, grid.score.seed],
            "data": about["splits"]["train"],
            "code": fingerprints.code(ROOMS),
        }
    )


def finish(asked: Work, todo: Sequence[Configuration], watch: Watch) -> None:
    """Train all of `todo` in worker processes, showing how far they are.

    Raises:
        WorkerError: a worker died; what it had finished is kept.
        signals.Stopped: `watch` had a reason to stop; what was finished is kept.
    """
    left = asked.left(todo)
    if len(left) < len(todo):
        print(
            f"{asked.label}: {len(todo) - len(left)} of {len(todo)} are trained already", flush=True
        )
    if not left:
        return
    asked.folder.mkdir(parents=True, exist_ok=True)
    # Started anew, not forked: a fork of a process in which torch has run may hang.
    context = multiprocessing.get_context("spawn")
    # By cores that it may use; on a GPU the trainings of one process take turns.
    cores = 1 if device.device().type == "cuda" else max(2, machine.cores())
    count = min(cores, len(left))
    crew = [context.Process(target=_serve, args=(asked, left), daemon=True) for _ in range(count)]
    finished = _finished(asked, left, crew, watch)
    try:
        with watch:
            for each in crew:
                each.start()
            for _ in progress.follow(finished, len(left), asked.label, unit="configurations"):
                pass
    finally:
        for each in crew:
            each.terminate()
        for each in crew:
            each.join()


def take(asked: Work, todo: Sequence[Configuration], watch: Watch) -> None:
    """Train in this process whatever of `todo` nobody has trained and nobody trains.

    Raises:
        signals.Stopped: `watch` had a reason to stop.
    """
    images, _ = data.read(Path("data") / asked.suite, "train")
    images = play.padded(images, asked.grid)
    grid, seed, steps, where = asked.grid, asked.seed, asked.steps, device.device()
    looked = float("-inf")  # when it was last seen that there is none

    def trained(chosen: Configuration, lock: FileLock) -> Turns:
        try:
            played = yield from play.play(chosen, grid, images, seed, steps, where, watch)
            _keep(asked.path(chosen), played)
        finally:
            lock.release()

    def more(idle: bool) -> tuple[Configuration, Turns] | None:
        nonlocal looked
        while idle or time.monotonic() - looked > GLANCE:
            left = asked.left(todo)
            for chosen in left:
                lock = FileLock(asked.path(chosen).with_suffix(".lock"))
                try:
                    lock.acquire(timeout=0)
                except Timeout:  # somebody trains it; whether they end well is seen next time round
                    play.heed(watch, asked.label)
                    continue
                if not asked.path(chosen).exists():
                    return chosen, trained(chosen, lock)
                lock.release()
            looked = time.monotonic()
            if not left or not idle:
                return None
            time.sleep(GLANCE)
        return None

    for _, error in together(more, where, environment.together(os.environ, where.type == "cuda")):
        if error is not None:
            raise error
        memory.collect()


def kept(path: Path) -> Played | None:
    """What a configuration has left; None, and no file, where it cannot be read."""
    try:
        stored = reading.arrays(path)
        with reading.opened(path, "not what a worker keeps"):
            return Played(stored["generated"], **json.loads(str(stored["told"])))
    except Damaged:
        path.unlink(missing_ok=True)
        return None


def _keep(path: Path, played: Played) -> None:
    with atomic.atomic_write(path) as partial:
        told = json.dumps(played.told)
        np.savez_compressed(partial, generated=played.generated, told=told)


def _serve(asked: Work, todo: Sequence[Configuration]) -> None:
    """A worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the stage is asked, and ends its workers
    threads.one()
    try:
        take(asked, todo, Watch())
    except Stopped as stop:
        os._exit(stop.code)


def _finished(
    asked: Work, left: Sequence[Configuration], crew: Sequence[Any], watch: Watch
) -> Iterator[Configuration]:
    """Each configuration when it is done."""
    waiting = list(left)
    while waiting:
        for each in [each for each in waiting if asked.path(each).exists()]:
            waiting.remove(each)
            yield each
        if reason := watch.reason():
            kept = f"{len(left) - len(waiting)} configurations trained by now are kept"
            raise Stopped(f"{asked.label}: stopped {reason[0]}; {kept}", reason[1])
        if broken := [each.exitcode for each in crew if each.exitcode not in (None, 0)]:
            raise WorkerError(
                f"{asked.label}: a worker ended with code {broken[0]} (-9 is the system's, for "
                f"want of memory); what was trained is kept in {asked.folder}"
            )
        time.sleep(GLANCE)
