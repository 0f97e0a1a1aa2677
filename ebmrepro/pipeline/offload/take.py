"""Brings home what a sitting at a bare machine left, and puts it where stages would have."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ebmrepro.config import forms
from ebmrepro.config.documents import ParamsError
from ebmrepro.config.params import Params, Run, Training
from ebmrepro.pipeline import outlook
from ebmrepro.pipeline.offload import cargo, pack, trainings
from ebmrepro.runs import checkpoints, fingerprints, layout
from ebmrepro.system import atomic
from ebmrepro.system.errors import UserError
from ebmrepro.system.locks import Lock
from ebmrepro.system.reading import known

KEPT = Path(".ebmrepro/offload/report.json")


def take(folder: Path, settings: Params) -> Iterator[tuple[str, bool]]:
    """A line on each training that came home, and whether all is well with it.

    A training is taken if its fingerprint is the one that it would have here: the same parameters,
    seed, images and code. Models replace those that are there, provenance comes along, and DVC is
    told of the stages that it has (`dvc commit`); what was put aside leaves its checkpoint, which
    a later pack, or the stage on a machine of that kind, goes on from.

    Raises:
        UserError: `folder` is no folder of a sitting, or is damaged.
    """
    home = folder / "home" if (folder / "home").is_dir() else folder
    with tempfile.TemporaryDirectory() as place:
        into = Path(place)
        if (home / cargo.REPORT).exists():  # of what was measured there, for `ebmrepro bench`
            kept = layout.root() / KEPT
            kept.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_json(kept, forms.Report.read(home / cargo.REPORT))
        records = [record for record in cargo.unload(home, into) if record.get("training")]
        if not (into / "pack.json").exists():
            raise UserError(f"{home}: holds nothing whole; the sitting ended before it could write")
        about = forms.Pack.read(into / "pack.json")
        stages: list[str] = []
        try:
            for record in records:
                training = Training(*record["training"])
                if problem := _differs(training, record["fingerprint"], into, about, settings):
                    yield f"{training.label}: left alone, {problem}", False
                elif record["state"] == "trained":
                    _place(training, record["fingerprint"], into, about)
                    stage = None if about["part"] else _stage(training, settings.run)
                    stages += [stage] if stage else []
                    said = f"{layout.folder(*training)}{_marked(about, stage)}"
                    yield f"{training.label}: {said}", True
                else:
                    yield f"{training.label}: {_put_aside(record['fingerprint'], into)}", True
        except UserError:  # of one that cannot be placed; those that were DVC would remove
            yield from _known(stages)
            raise
    yield from _known(stages)


def _differs(
    training: Training, fingerprint: str, into: Path, about: dict[str, Any], settings: Params
) -> str | None:
    """Why a training is not one of this folder; None if it is."""
    try:
        count = about["part"] and about["part"]["run"]
        splits = pack.training_images(training.suite, count)[0]["splits"]
        own = fingerprints.of(*training, settings, splits)
    except (ParamsError, UserError) as error:
        return str(error)
    if own != fingerprint:
        return (
            f"its fingerprint is {fingerprint[:12]} and would be {own[:12]} here: parameters, "
            f"images or code differ; it was packed at commit {about['commit']}"
        )
    card = known(forms.Card.read, into / layout.folder(*training) / "run.json")
    if card and card["fingerprint"] != fingerprint:
        return f"run.json is of another training, {card['fingerprint'][:12]}"
    for stored in checkpoints.stored(into):
        if stored.fingerprint == fingerprint and not stored.about:
            return f"about.json of its checkpoint: {stored.wrong or 'no such file'}"
    return None


def _place(training: Training, fingerprint: str, into: Path, about: dict[str, Any]) -> None:
    out = layout.folder(*training)
    # A bare machine has no git: what the code was stands in the pack.
    told = forms.Provenance.read(into / trainings.provenance(fingerprint))
    lock = Lock(Path(".ebmrepro/running") / "-".join(map(str, training)), training.label)
    with lock, atomic.atomic_folder(out) as partial:
        shutil.copytree(into / out, partial, dirs_exist_ok=True)
    path = layout.root() / trainings.provenance(fingerprint)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_json(path, {**told, "commit": about["commit"]})
    for stored in checkpoints.stored(layout.root()):
        if stored.fingerprint == fingerprint:
            checkpoints.remove(stored)


def _put_aside(fingerprint: str, into: Path) -> str:
    """Take checkpoints that are ahead of those that are here."""
    here = {each.folder.parts[-2:]: each.step or -1 for each in checkpoints.stored(layout.root())}
    said: list[str] = []
    for stored in checkpoints.stored(into):
        if stored.fingerprint != fingerprint or stored.step is None:
            continue
        if stored.step > here.get(stored.folder.parts[-2:], -1):
            folder = layout.root() / stored.folder.relative_to(into)
            with Lock(folder.parent, f"the checkpoint {fingerprint[:8]}"):
                folder.mkdir(parents=True, exist_ok=True)
                for file in checkpoints.portable(stored):
                    atomic.copy(file, folder / file.name)
            said.append(f"checkpoint of step {stored.step:,} of {stored.about['steps']:,}")
        else:
            said.append(f"its checkpoint of step {stored.step:,} is not ahead of the one here")
    return ", ".join(said) or "put aside before its first checkpoint"


def _marked(about: dict[str, Any], stage: str | None) -> str:
    if part := about["part"]:
        return f", of a part of the data ({part['run']:,} of {part['of']:,} images), no stage's"
    return f", stage {stage}" if stage else ", no stage of params.yaml's run"


def _stage(training: Training, run: Run) -> str | None:
    """The stage of dvc.yaml that would have trained it, if `run` asks for it."""
    suite, name, seed = training
    asked = suite in run.suites and name in run.names and seed in run.seeds
    return outlook.training(suite, name, seed) if asked else None


def _known(stages: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Tell DVC of the stages that it has, and say what became of that."""
    if not stages or not Path("dvc.yaml").exists():
        return
    command = [sys.executable, "-P", "-m", "dvc", "commit", "--quiet", "--force", *stages]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = " ".join(done.stderr.split())[-300:]
        yield f"dvc commit {' '.join(stages)}: {said}", False
    else:
        yield f"dvc.lock: {', '.join(stages)}", True
