"""One run from its parameters to its folder: what surrounds the loop in the train stages."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from ebmrepro import (
    __version__,
    data,
    execution,
    images,
    method,
    nets,
    params,
    progress,
    ranks,
    threads,
    train,
    writing,
)
from ebmrepro.checkpoints import Checkpoints, Stored
from ebmrepro.curves import Curves
from ebmrepro.data.batches import Batches
from ebmrepro.finite import NotFinite
from ebmrepro.locks import Lock
from ebmrepro.method import Labelled, Method
from ebmrepro.params import Params, ParamsError, UserError
from ebmrepro.stopping import Stopped, Watch

PACKAGE = Path(__file__).parent
SCHEMA = 2  # of a checkpoint
CODE = [  # what the bytes of a training follow from, besides the method's own file
    "averages.py",
    "batch_norm.py",
    "conv3x3.py",
    "curves.py",
    "data/batches.py",
    "draws.py",
    "energies.py",
    "execution.py",
    "images.py",
    "method.py",
    "nets.py",
    "optimisers.py",
    "ranks.py",
    "runs.py",
    "threads.py",
    "train.py",
]
PASS = 1000 * 3 * 64 * 64  # values of the images that pass a network together, at most
GRID = 100  # images per grid at fixed z, in ten columns
FIXED_Z = 0  # seed of the z of those grids, the same in every run

Reason = tuple[str, int] | None  # to stop, in words, and an exit code


def folder(suite: str, name: str, seed: int) -> Path:
    return Path("models") / suite / name / str(seed)


def root() -> Path:
    """The repository itself, also from the temporary workspace of an experiment."""
    return Path(os.environ.get("DVC_ROOT", "."))


def fingerprint(suite: str, name: str, seed: int, settings: Params) -> str:
    """Identity of a training: its resolved parameters, seed, data and code, as hex."""
    block = settings.block(suite, name)
    code = [PACKAGE / path for path in [*CODE, f"methods/{params.base(name)}.py"]]
    return params.digest(
        {
            "schema": SCHEMA,
            "run": [suite, name, seed],
            "params": block.model_dump(),
            "data": data.describe(Path("data") / suite)["splits"],
            "code": [hashlib.sha256(path.read_bytes()).hexdigest() for path in code],
        }
    )


def made_with() -> str:
    """What the bits of a training depend on besides its fingerprint, as the name of a folder."""
    kind = train.device().type
    processes = f"{ranks.count()}-ranks-" if ranks.count() > 1 else ""
    compiled = "compiled-" if execution.compiler() else ""
    return f"{processes}{compiled}{kind}-torch-{torch.__version__}"


def why_unusable(stored: Stored, settings: Params) -> str | None:
    """Why no training of params.yaml would go on from a checkpoint, in words; None if one would."""
    if not stored.made_with.endswith(f"-torch-{torch.__version__}"):
        return f"torch is {torch.__version__} here"
    about = stored.about
    if not about:
        known = {fingerprint(*run, settings) for run in settings.run.trainings if _has_data(run[0])}
        return None if stored.fingerprint in known else "nobody says whose it is"
    suite, name, seed = about["suite"], about["method"], about["seed"]
    try:
        settings.block(suite, name)
    except ParamsError:
        return "params.yaml has no such system"
    if not _has_data(suite):  # then its fingerprint is not known either
        return None
    same = fingerprint(suite, name, seed, settings) == stored.fingerprint
    return None if same else "its parameters, data or code have changed"


def _has_data(suite: str) -> bool:
    return (Path("data") / suite / "dataset.json").exists()


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
    with ranks.joined(train.device()):
        if ranks.number() == 0:
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
            "parameters": {k: nets.count(m) for k, m in training.method.named_children()},
        }
        with training.averaged(), writing.whole(out / "model.safetensors") as partial:
            # Sorted and contiguous: the same weights give the same bytes.
            state = sorted(training.method.state_dict().items())
            partial.write_bytes(save({key: value.cpu().contiguous() for key, value in state}))
        write_json(out / "run.json", card)
        shown = steps_here * training.batches.size
        write_provenance(identity, started, time.monotonic() - clock, shown)
    return out


def restore(suite: str, name: str, seed: int, settings: Params) -> Method:
    """A trained method, in evaluation mode, from its folder.

    Raises:
        UserError: there are no weights, or they are damaged, or another network's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    model = untrained(suite, name, seed, settings)
    path = folder(suite, name, seed) / "model.safetensors"
    try:
        model.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise UserError(f"{path}: not there; the stage that trains it writes it") from None
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path}: cannot be used: {reason}; remove it and train again") from None
    return model.to(train.device()).eval()


def untrained(suite: str, name: str, seed: int, settings: Params) -> Method:
    """The same method with its initial weights, in evaluation mode and in float32."""
    execution.multiply(None)
    about = data.describe(Path("data") / suite)
    hp, shape = settings.block(suite, name).hparams, tuple(about["shape"])
    return method.build(name, hp, shape, len(about["classes"]), seed).to(train.device()).eval()


def labelled(suite: str, split: str) -> Labelled:
    """A whole split on the device."""
    x, y = data.read(Path("data") / suite, split)
    where = train.device()
    return Labelled(images.from_uint8(x).to(where), torch.from_numpy(y).to(where))


def at_a_time(shape: Sequence[int]) -> int:
    """How many images of a shape pass a network together: 1,000, fewer where they are large."""
    return max(1, min(1000, PASS // math.prod(shape)))


@torch.no_grad()
def draw(model: Method, n: int, seed: int) -> np.ndarray:
    """`n` images of a method from a seed of their own, uint8 (n, C, H, W)."""
    batch = at_a_time(model.shape)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = [batch] * (n // batch) + ([n % batch] if n % batch else [])
        return np.concatenate([images.to_uint8(model.sample(size)) for size in sizes])


@torch.no_grad()
def in_batches(
    function: Callable[[torch.Tensor], torch.Tensor], pictures: np.ndarray
) -> np.ndarray:
    """uint8 (N, C, H, W) through a network, as float32 (N, ...)."""
    size = at_a_time(pictures.shape[1:])
    parts = (pictures[i : i + size] for i in range(0, len(pictures), size))
    x = (images.from_uint8(part).to(train.device()) for part in parts)
    return np.concatenate([function(part).float().cpu().numpy() for part in x])


def write_json(path: Path, tree: object) -> None:
    """Sorted and without times: the same content gives the same bytes; whole or not at all."""
    text = json.dumps(tree, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with writing.whole(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def _training(suite: str, name: str, seed: int, settings: Params) -> train.Training:
    block = settings.block(suite, name)
    model = untrained(suite, name, seed, settings)
    threads.fit(model)
    x, y = data.read(Path("data") / suite, "train")
    labels = y if model.labelled else None
    batches = Batches(x, labels, block.batch_size, seed, train.device())
    return train.Training(
        model, batches, block.optim, block.ema, block.precision, execution.compiler()
    )


def _help(training: train.Training) -> None:
    """What every rank but the first does: the same steps, and nothing that is written."""
    if state := ranks.from_first(None):
        _restore(training, state)

    def between() -> None:
        if reason := _agreed(training, None):
            raise Stopped("stopped with the first rank", reason[1])

    for _ in training.epochs(between):
        between()


def _agreed(training: train.Training, reason: Reason) -> Reason:
    """The first rank's reason to stop, at the same step on all ranks; without others, its own.

    They ask each other as seldom as they look at what is finite, since the host waits for both.
    """
    if ranks.count() > 1:
        return ranks.from_first(reason) if training.position % train.LOOK == 0 else None
    return reason


class _Running:
    """A training on its way, and what is written and saved between its steps."""

    def __init__(
        self,
        training: train.Training,
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
        if state := ranks.from_first(self.checkpoints.latest()):
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
            except writing.CannotWrite as error:  # a training is worth more than its checkpoint
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
    training: train.Training, rows: list[train.Record], pictures: dict[str, torch.Tensor]
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
    training: train.Training, state: dict[str, Any]
) -> tuple[list[train.Record], dict[str, torch.Tensor]]:
    training.restore(state["training"])
    torch.set_num_threads(state["threads"])
    torch.set_rng_state(state["generators"]["cpu"])
    if "cuda" in state["generators"]:
        torch.cuda.set_rng_state(state["generators"]["cuda"], training.batches.device)
    return state["rows"], state["pictures"]


def write_provenance(identity: str, started: datetime, seconds: float, shown: int) -> None:
    """What belongs to this machine and moment; beside the results, never inside them.

    After a resume, `started` and `seconds` are those of the part that ended the run.
    """
    path = root() / ".ebmrepro" / "provenance" / f"{identity}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    where = train.device()
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else platform.processor()
    write_json(
        path,
        {
            "device": f"{where.type} {name}".strip(),
            "threads": torch.get_num_threads(),
            "ranks": ranks.count(),
            "compiled": execution.compiler() is not None,
            "seconds": round(seconds, 2),
            "images_per_second": round(shown / seconds, 1),
            "started": started.isoformat(timespec="seconds"),
            "stage": os.environ.get("DVC_STAGE"),
            "experiment": os.environ.get("DVC_EXP_NAME"),
            "commit": _commit(),
            "versions": {
                "ebmrepro": __version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
            },
        },
    )


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=root()
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
