"""Runs that take turns in one process leave the bytes that each leaves alone."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
import trainings

from ebmrepro.config import params
from ebmrepro.runs import carried, checkpoints, run
from ebmrepro.system.signals import Reason, Stopped, Watch
from ebmrepro.training import loop
from ebmrepro.training.finite import NotFinite
from ebmrepro.training.loop import Training
from ebmrepro.training.together import Turns, together

NAMES = ["dbn", "ebgan", "magan"]


class After(Watch):
    """Stops a training at its next step but `left`."""

    def __init__(self, left: float):
        super().__init__()
        self.left = left

    def reason(self) -> Reason:
        self.left -= 1
        return ("by a test", 75) if self.left < 0 else super().reason()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = trainings.project(tmp_path_factory.mktemp("project") / "p", NAMES)
    for name in NAMES:
        trainings.train(folder, name)
    return folder.rename(folder.with_name("alone"))


@pytest.fixture
def alone(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The trainings one by one; the working folder has none."""
    ignored = shutil.ignore_patterns("models", ".ebmrepro")
    monkeypatch.chdir(shutil.copytree(project, tmp_path / "p", ignore=ignored))
    monkeypatch.setenv("EBMREPRO_CHECKPOINT_SECONDS", "0")
    monkeypatch.setattr(loop, "LOOK", 3)  # turns of few steps
    return project


def turns(name: str, watch: Watch) -> Turns:
    return run.turns("digits", name, 0, params.load(), watch)


def trained(watches: Mapping[str, Watch]) -> dict[str, BaseException | None]:
    from ebmrepro.networks import device

    left = ((name, turns(name, watch)) for name, watch in watches.items())
    return dict(together(lambda idle: next(left, None), device.device(), len(watches)))


def same(name: str, alone: Path) -> bool:
    found = trainings.outputs(trainings.out(Path(), name))
    assert {"model.safetensors", "curves.csv", "run.json"} < set(found)
    return found == trainings.outputs(trainings.out(alone, name))


def test_runs_that_take_turns_have_the_bytes_that_they_have_alone(alone: Path):
    assert trained({name: Watch() for name in NAMES}) == dict.fromkeys(NAMES)
    assert all(same(name, alone) for name in NAMES)
    assert not list(Path(".ebmrepro/checkpoints").glob("*/"))


def test_stopped_and_resumed_alone_or_together_they_still_have(
    alone: Path, capsys: pytest.CaptureFixture[str]
):
    ended = trained({"dbn": After(30), "ebgan": After(20), "magan": After(9)})
    assert all(isinstance(error, Stopped) for error in ended.values())
    assert "magan seed 0: stopped by a test; the last good checkpoint is that of step 10" in str(
        ended["magan"]
    )
    kept = {each.about["method"]: each for each in checkpoints.stored(Path()) if each.about}
    for name in NAMES:
        ended_at = json.loads((trainings.out(alone, name) / "run.json").read_text())["steps"]
        assert kept[name].about["steps"] == ended_at > kept[name].step  # pyright: ignore[reportOptionalSubscript]
    run.train_one("digits", "ebgan", 0, params.load())
    assert trained({"dbn": After(5), "magan": Watch()})["magan"] is None
    run.train_one("digits", "dbn", 0, params.load())
    said = re.findall(r"(\w+) seed 0: going on after step (\d+) of (\d+)", capsys.readouterr().out)
    assert len(said) == 4
    for name, step, steps in said:
        ended = json.loads((trainings.out(alone, name) / "run.json").read_text())
        assert int(step) < int(steps) == ended["steps"]
    assert all(same(name, alone) for name in NAMES)
    for name, step in {name: int(step) for name, step, _ in said}.items():  # the last of each
        assert of_its_last_part(name, step)


def of_its_last_part(name: str, step: int) -> bool:
    """Whether its provenance tells of the steps after `step`, and carrying it sees a resumption."""
    card = json.loads((trainings.out(Path(), name) / "run.json").read_text())
    told = json.loads(Path(f".ebmrepro/provenance/{card['fingerprint']}.json").read_text())
    seconds, speed = told["seconds"], told["images_per_second"]
    rounded = 0.01 * speed + 0.1 * seconds  # at most half of it, by how both are written
    shown = pytest.approx((card["steps"] - step) * card["params"]["batch_size"], abs=rounded)
    return seconds * speed == shown and carried._times(told, card)["resumed"]


def test_one_that_fails_does_not_stop_the_others_and_leaves_its_checkpoint(alone: Path):
    tree = trainings.read_params(Path())
    tree["digits"]["methods"]["ebgan"]["optim"]["D"]["lr"] = 1e12
    trainings.write_params(Path(), tree)
    ended = trained({name: Watch() for name in NAMES})
    assert isinstance(ended.pop("ebgan"), NotFinite)
    assert ended == {"dbn": None, "magan": None}
    assert same("dbn", alone) and same("magan", alone)


def test_a_signal_saves_a_checkpoint_of_each(alone: Path):
    class Struck(Watch):
        """In its fifth step the process gets a signal."""

        looks = 0

        def reason(self) -> Reason:
            self.looks += 1
            if self.looks == 5:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().reason()

    ended = trained({"dbn": Watch(), "ebgan": Struck(), "magan": Watch()})
    for name, error in ended.items():
        assert isinstance(error, Stopped) and error.code == 143
        assert str(error).startswith(f"digits {name} seed 0: stopped by SIGTERM; the last good")
    assert trained({name: Watch() for name in NAMES}) == dict.fromkeys(NAMES)
    assert all(same(name, alone) for name in NAMES)


def test_a_run_gives_way_as_often_as_its_training_waits(
    alone: Path, monkeypatch: pytest.MonkeyPatch
):
    waits, told = Training.waits.fget, []
    assert waits
    monkeypatch.setattr(
        Training, "waits", property(lambda self: told.append(waits(self)) or told[-1])
    )
    assert sum(1 for _ in turns("ebgan", Watch())) == sum(told) < len(told)


def test_weights_that_overflow_in_the_last_step_are_no_result(
    alone: Path, monkeypatch: pytest.MonkeyPatch
):
    """No later step has a loss that would tell, and no checkpoint is due."""
    monkeypatch.setenv("EBMREPRO_CHECKPOINT_SECONDS", "1000")
    taken = Training.steps

    def steps(self: Training):
        for step in taken(self):
            if self.epoch == self.method.epochs:
                with torch.no_grad():
                    next(self.method.parameters()).view(-1)[0] = math.inf
            yield step

    monkeypatch.setattr(Training, "steps", steps)
    with pytest.raises(NotFinite, match="is not finite after step"):
        run.train_one("digits", "ebgan", 0, params.load())
    assert not (trainings.out(Path(), "ebgan") / "model.safetensors").exists()


def test_ranks_ask_each_other_as_seldom_as_they_look(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop, "LOOK", 3)
    monkeypatch.setattr(run.distributed, "count", lambda: 2)
    monkeypatch.setattr(run.distributed, "from_first", lambda reason: ("agreed", reason))
    at = [run._agreed(cast(Training, SimpleNamespace(position=p)), None) for p in range(7)]
    assert [p for p, reason in enumerate(at) if reason] == [0, 3, 6]
