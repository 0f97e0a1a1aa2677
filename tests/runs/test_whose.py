"""Whose a checkpoint is, in words, and whether a training would still go on from it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from params_file import shipped

from ebmrepro.runs import checkpoints, identity
from ebmrepro.runs.checkpoints import Checkpoints, Stored

HERE = f"cpu-torch-{torch.__version__}"
WHOSE = {"suite": "digits", "method": "dcgan", "seed": 3, "epochs": 40, "steps": 4000}
SETTINGS = shipped()


def kept(folder: Path, **changes: object) -> Stored:
    told = {"folder": folder, "about": WHOSE, "wrong": "", "step": 1010, "saved": time.time() - 30}
    return Stored(**{**told, "bytes": 2_000_000, "holder": None, **changes})  # type: ignore[arg-type]


def test_a_checkpoint_in_words(tmp_path: Path):
    folder = tmp_path / "f" / HERE
    words = checkpoints.in_words(kept(folder)).split(", ")
    assert ", ".join(words) == (
        f"digits dcgan seed 3, epoch 10 of 40, step 1,010 of 4,000, {words[3]}, 2.0 MB, {HERE}, "
        "held by nobody"
    )
    assert words[3].startswith("30") and words[3].endswith(" old")
    new = checkpoints.in_words(kept(folder, step=None, holder="process 7", wrong="x.json: cut"))
    assert "nothing saved yet" in new and "epoch" not in new
    assert new.endswith("held by process 7, x.json: cut")
    nobody = checkpoints.in_words(kept(folder, about={}))
    assert nobody.startswith("? ? seed ?, step 1,010, ")
    # A clock that was set back makes nothing younger than now.
    assert "0 s old" in checkpoints.in_words(kept(folder, saved=time.time() + 1e6))


def test_removing_one_leaves_those_of_another_torch(tmp_path: Path):
    for made_with in ("cpu-torch-0", "cpu-torch-1"):
        own = Checkpoints(tmp_path, "f", made_with, "digits dcgan seed 3")
        with pytest.raises(RuntimeError, match="stopped"), own:
            own.save(1, {"step": 1})
            raise RuntimeError("stopped")
    first, second = checkpoints.stored(tmp_path)
    checkpoints.remove(first)
    assert [each.made_with for each in checkpoints.stored(tmp_path)] == [second.made_with]
    assert (first.fingerprint, first.made_with) == ("f", "cpu-torch-0")
    checkpoints.remove(second)
    assert checkpoints.stored(tmp_path) == [] and not second.folder.parent.exists()


def test_why_no_training_would_go_on_from_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "f" / HERE
    why = identity.why_unusable
    old = kept(tmp_path / "f" / "cpu-torch-0")
    assert why(old, SETTINGS) == f"torch is {torch.__version__} here"
    assert why(kept(folder, about={**WHOSE, "method": "none"}), SETTINGS) == (
        "params.yaml has no such system"
    )
    # Without its data nobody can tell.
    assert why(kept(folder), SETTINGS) is None
    assert why(kept(folder, about={}), SETTINGS) == "nobody says whose it is"
    (tmp_path / "data" / "digits").mkdir(parents=True)
    (tmp_path / "data" / "digits" / "dataset.json").write_text("{}")
    monkeypatch.setattr(identity.data, "describe", lambda folder: {"splits": {"train": "x"}})
    changed = "its parameters, data or code have changed"
    assert why(kept(folder), SETTINGS) == changed
    own = identity.fingerprint("digits", "dcgan", 3, SETTINGS)
    assert why(kept(tmp_path / own / HERE), SETTINGS) is None
    assert why(kept(tmp_path / own / HERE, about={**WHOSE, "seed": 4}), SETTINGS) == changed
    # One that nobody signed is known by its fingerprint.
    run = next(run for run in SETTINGS.run.trainings if run[0] == "digits")
    known = identity.fingerprint(*run, SETTINGS)
    assert why(kept(tmp_path / known / HERE, about={}), SETTINGS) is None
