"""One run from its parameters to its folder: what surrounds the loop in the train stages."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from ebmrepro import __version__, data, images, method, nets, params, progress, train, writing
from ebmrepro.checkpoints import Checkpoints
from ebmrepro.curves import Curves
from ebmrepro.data.batches import Batches
from ebmrepro.method import Labelled, Method
from ebmrepro.params import Params

PACKAGE = Path(__file__).parent
SCHEMA = 1  # of a checkpoint
CODE = [
    "method.py",
    "train.py",
    "nets.py",
    "energies.py",
    "images.py",
    "optimisers.py",
    "data/batches.py",
]
GRID = 100  # images per grid at fixed z, in ten columns
FIXED_Z = 0  # seed of the z of those grids, the same in every run
SMALL = 1_000_000  # parameters under which a second thread costs more than it brings


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


def train_one(suite: str, name: str, seed: int, settings: Params) -> Path:
    """Train one run, or go on with it where it was killed; returns its folder.

    Raises:
        train.NotFinite: a term became NaN or infinite.
        checkpoints.Busy: another process trains the same run.
    """
    out = folder(suite, name, seed)
    block, identity = settings.block(suite, name), fingerprint(suite, name, seed, settings)
    clock, started = time.monotonic(), datetime.now(UTC)
    card: dict[str, Any] = {
        "suite": suite,
        "method": name,
        "seed": seed,
        "fingerprint": identity,
        "params": block.model_dump(),
    }
    # The checkpoints last until the results are written, and nobody else writes before that.
    with Checkpoints(root(), identity) as checkpoints:
        (out / "samples").mkdir(parents=True, exist_ok=True)
        write_json(out / "run.json", card)
        training = _training(suite, name, seed, settings)
        label = f"{suite} {name} seed {seed}"
        epochs_here = _go_on(training, checkpoints, out, block.grids, label)
        card |= {
            "epochs": training.epoch,
            "steps": training.step,
            "parameters": {k: nets.count(m) for k, m in training.method.named_children()},
        }
        # Sorted and contiguous: the same weights give the same bytes.
        state = sorted(training.method.state_dict().items())
        weights = {key: value.cpu().contiguous() for key, value in state}
        with writing.whole(out / "model.safetensors") as partial:
            partial.write_bytes(save(weights))
        write_json(out / "run.json", card)
        shown = epochs_here * len(training.batches) * training.batches.size
        _write_provenance(identity, started, time.monotonic() - clock, shown)
    return out


def restore(suite: str, name: str, seed: int, settings: Params) -> Method:
    """A trained method, in evaluation mode, from its folder."""
    from safetensors.torch import load_file

    model = untrained(suite, name, seed, settings)
    model.load_state_dict(load_file(folder(suite, name, seed) / "model.safetensors"))
    return model.to(train.device()).eval()


def untrained(suite: str, name: str, seed: int, settings: Params) -> Method:
    """The same method with its initial weights, in evaluation mode."""
    about = data.describe(Path("data") / suite)
    hp, shape = settings.block(suite, name).hparams, tuple(about["shape"])
    return method.build(name, hp, shape, len(about["classes"]), seed).to(train.device()).eval()


def labelled(suite: str, split: str) -> Labelled:
    """A whole split on the device."""
    x, y = data.read(Path("data") / suite, split)
    where = train.device()
    return Labelled(images.from_uint8(x).to(where), torch.from_numpy(y).to(where))


@torch.no_grad()
def draw(model: Method, n: int, seed: int, batch: int = 1000) -> np.ndarray:
    """`n` images of a method from a seed of their own, uint8 (n, C, H, W)."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = [batch] * (n // batch) + ([n % batch] if n % batch else [])
        return np.concatenate([images.to_uint8(model.sample(size)) for size in sizes])


@torch.no_grad()
def in_batches(
    function: Callable[[torch.Tensor], torch.Tensor], pictures: np.ndarray, size: int = 1000
) -> np.ndarray:
    """uint8 (N, C, H, W) through a network, as float32 (N, ...)."""
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
    if sum(p.numel() for p in model.parameters()) < SMALL:
        torch.set_num_threads(1)
    x, y = data.read(Path("data") / suite, "train")
    labels = y if model.labelled else None
    batches = Batches(x, labels, block.batch_size, seed, train.device())
    return train.Training(model, batches, block.optim)


def _go_on(
    training: train.Training, checkpoints: Checkpoints, out: Path, grids: int, label: str
) -> int:
    """Train to the end from the newest checkpoint, if any; returns the epochs trained here."""
    total = training.method.epochs
    due = {round(total * (i + 1) / grids) for i in range(grids)}
    pictures: dict[str, torch.Tensor] = {}
    rows: list[train.Record] = []
    if state := checkpoints.latest():
        rows, pictures = _restore(training, state)
        print(f"{label}: going on after epoch {training.epoch} of {total}", flush=True)
        for file, grid in pictures.items():
            images.save_png(out / "samples" / file, grid.numpy())
    first, curves = training.epoch, Curves(out / "curves.csv", rows)
    every, saved = float(os.environ.get("EBMREPRO_CHECKPOINT_SECONDS", "30")), time.monotonic()
    for record in progress.follow(training.epochs(), total - first, label):
        curves.append(record)
        if training.epoch in due:
            file, grid = f"step_{training.step:07d}.png", _grid(training.method)
            images.save_png(out / "samples" / file, grid)
            pictures[file] = torch.from_numpy(grid)
        if time.monotonic() - saved >= every:
            checkpoints.save(training.epoch, _state(training, curves.rows, pictures))
            saved = time.monotonic()
    return training.epoch - first


def _grid(model: Method) -> np.ndarray:
    """What the generator draws at a fixed z, as one picture."""
    model.eval()
    picture = images.grid(draw(model, GRID, FIXED_Z), columns=10)
    model.train()
    return picture


def _state(
    training: train.Training, rows: list[train.Record], pictures: dict[str, torch.Tensor]
) -> dict[str, Any]:
    generators = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        generators["cuda"] = torch.cuda.get_rng_state()
    return {
        "epoch": training.epoch,
        "method": training.method.state_dict(),
        "players": {name: player.state() for name, player in training.players.items()},
        "generators": generators,
        "rows": rows,
        "pictures": pictures,
    }


def _restore(
    training: train.Training, state: dict[str, Any]
) -> tuple[list[train.Record], dict[str, torch.Tensor]]:
    training.epoch = state["epoch"]
    training.method.load_state_dict(state["method"])
    for name, player in training.players.items():
        player.restore(state["players"][name])
    torch.set_rng_state(state["generators"]["cpu"])
    if "cuda" in state["generators"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["generators"]["cuda"])
    return state["rows"], state["pictures"]


def _write_provenance(identity: str, started: datetime, seconds: float, shown: int) -> None:
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
