"""Real trainings at a size at which they can be killed by the dozen.

Each is the stage script's own function in a process of its own, forked from a server that has torch
imported already (to import it takes longer than the training).
"""

from __future__ import annotations

import copy
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from params_file import TREE, written

from ebmrepro.config import documents

ROOT = Path(__file__).parents[1]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["torch", "typer", "ebmrepro.runs.run", "ebmrepro.tracking.follower"])
SUITE = "digits"


def project(folder: Path, names: list[str]) -> Path:
    """A folder with the data of the digits suite and a params.yaml of small, short trainings.

    A method that digits lacks comes from a suite that has it.
    """
    tree = copy.deepcopy(TREE)
    suite = tree[SUITE]
    suite["budget"] = 0.05
    suite["evaluate"] |= {"generated": 200, "energies": 100}
    others = [other["methods"] for other in tree.values() if "methods" in other]
    methods = [name for name in names if name != "dbn"]
    suite["methods"] = {
        name: next(blocks[name] for blocks in [suite["methods"], *others] if name in blocks)
        for name in methods
    }
    for block in (suite["dbn"], *suite["methods"].values()):
        block |= {"batch_size": 128, "grids": 2}
        hparams = block["hparams"]
        for key in {"G", "D", "encoder", "decoder"} & set(hparams):
            hparams[key]["hidden"] = [16]
        small = {"layers": [24, 16, 8, 4][: len(hparams.get("layers", []))], "chain_steps": 5}
        hparams |= {key: value for key, value in small.items() if key in hparams}
    suite["dbn"]["hparams"] |= {"layers": [24, 16], "warmup_epochs": 1}
    run = {"suites": [SUITE], "methods": methods, "variants": [], "seeds": [0], "grids": []}
    run["classifiers"] = []
    run["linear_codes"] = []
    folder.mkdir(parents=True, exist_ok=True)
    write_params(folder, {"run": run, "fundamentals": tree["fundamentals"], SUITE: suite})
    run_in(folder, _prepare)
    return folder


def write_params(folder: Path, tree: Any) -> None:
    """As JSON, which is YAML, and keeps the order."""
    (folder / "params.yaml").write_text(written(tree))


def read_params(folder: Path) -> Any:
    return documents.read_yaml(folder / "params.yaml")


def out(folder: Path, name: str) -> Path:
    return folder / "models" / SUITE / name / "0"


def outputs(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def start(folder: Path, name: str, **settings: Any) -> BaseProcess:
    """A training in the background.

    Args:
        kill_at: number of the call or return, of any function, at which SIGKILL strikes; 0 never.
        seconds: between checkpoints.
        environment: of the process, besides.
    """
    child = FORKS.Process(target=_train, args=(folder, name, settings), daemon=True)
    child.start()
    return child


def finish(child: BaseProcess) -> int:
    """Wait for a process; its exit code, or minus the signal that ended it."""
    child.join(900)
    if child.exitcode is None:
        child.kill()
        raise AssertionError("it does not end within 900 s")
    return child.exitcode


def train(folder: Path, name: str, **settings: Any) -> str:
    """Train to the end; what was printed."""
    code = finish(start(folder, name, **settings))
    assert code == 0, said(folder)
    return said(folder)


def said(folder: Path) -> str:
    """What the last training in a folder printed."""
    return (folder / "said.txt").read_text()


def calls(folder: Path) -> int:
    """How many calls and returns the last whole training in a folder consisted of."""
    return int((folder / "calls.txt").read_text())


def clear(folder: Path, name: str) -> None:
    """What DVC does with the outputs of a stage before it runs it."""
    shutil.rmtree(out(folder, name), ignore_errors=True)
    out(folder, name).parent.mkdir(parents=True, exist_ok=True)


def run_in(folder: Path, function: Callable[..., None], *arguments: Any) -> None:
    """Call a function in a process of its own, in a folder."""
    child = FORKS.Process(target=_call, args=(folder, function, arguments), daemon=True)
    child.start()
    code = finish(child)
    assert code == 0, said(folder)


def _enter(folder: Path, environment: dict[str, str]) -> None:
    os.chdir(folder)
    for name in list(os.environ):
        if name.startswith(("EBMREPRO_", "DVC_", "MLFLOW_")):
            del os.environ[name]
    os.environ |= {"EBMREPRO_TRACKING": "off", **environment}
    handle = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(handle, stream)


def _call(folder: Path, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    _enter(folder, {})
    function(*arguments)


def _prepare() -> None:
    from ebmrepro import data
    from ebmrepro.config import params

    data.prepare(SUITE, params.load().suite(SUITE).data, Path("data") / SUITE)


def evaluate(name: str) -> None:
    """Stages reference and evaluate, called in the project's folder."""
    from ebmrepro.config import params
    from ebmrepro.evaluation import evaluate, reference

    settings = params.load()
    reference.reference(SUITE, settings)
    extract = reference.Extractor(SUITE, settings, kept=True)
    evaluate.evaluate(SUITE, name, 0, settings, extract)


def _train(folder: Path, name: str, settings: dict[str, Any]) -> None:
    seconds = {"EBMREPRO_CHECKPOINT_SECONDS": str(settings.get("seconds", 0))}
    _enter(folder, seconds | settings.get("environment", {}))
    sys.path.insert(0, str(ROOT / "stages"))
    import environment  # pyright: ignore[reportMissingImports]
    from train import main  # pyright: ignore[reportMissingImports]

    _count_calls(settings.get("kill_at", 0))
    sys.argv = ["train.py", SUITE, name, "0"]
    environment.run(main)


def _count_calls(kill_at: int) -> None:
    """Count the calls and returns of a training, and die at one of them."""
    from ebmrepro.runs import run

    train_one, count = run.train_one, 0

    def step(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(*arguments: Any) -> Any:
        sys.setprofile(step)
        try:
            return train_one(*arguments)
        finally:
            sys.setprofile(None)
            Path("calls.txt").write_text(str(count))

    run.train_one = counted
