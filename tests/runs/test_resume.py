"""A training that is killed at any moment and started again ends with the bytes of a whole one.

`make soak` sets EBMREPRO_SOAK, the number of kills, and takes every method.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import trainings

from ebmrepro.config import declarations

KILLS = int(os.environ.get("EBMREPRO_SOAK", "8"))
METHODS = ["dbn", "ebgan", "began", "magan"] if KILLS <= 8 else declarations.available_methods()
ROUNDS = -(-KILLS // len(METHODS))  # kills per method


@dataclass
class Whole:
    """A training that nobody disturbed."""

    folder: Path
    outputs: dict[str, dict[str, bytes]]
    calls: dict[str, int]
    seconds: dict[str, float]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = trainings.project(tmp_path_factory.mktemp("whole"), METHODS)
    found = Whole(folder, {}, {}, {})
    for name in METHODS:
        began = time.monotonic()
        trainings.train(folder, name, seconds=1000)
        found.seconds[name] = time.monotonic() - began
        found.outputs[name] = trainings.outputs(trainings.out(folder, name))
        found.calls[name] = trainings.calls(folder)
    return found


def kill_by_the_clock(folder: Path, name: str, seconds: float, after: float) -> None:
    """In the middle of whatever it does then; earlier if it has ended by then."""
    while True:
        trainings.clear(folder, name)
        child = trainings.start(folder, name, seconds=seconds)
        child.join(after)
        child.kill()
        if trainings.finish(child) == -signal.SIGKILL:
            return
        after *= 0.7


@pytest.mark.parametrize("name", METHODS)
def test_a_training_killed_at_any_moment_ends_with_the_bytes_of_a_whole_one(
    name: str, whole: Whole
):
    rng, resumed = random.Random(f"{name} 0"), 0
    folder, kept = whole.folder, trainings.outputs(trainings.out(whole.folder, name))
    assert kept == whole.outputs[name]
    for i in range(ROUNDS):
        # A part of the training each, so that every part is struck, its last writes among them.
        moment = (i + rng.random()) / ROUNDS
        # The last late, by its calls and with one at every step, so that it finds a checkpoint,
        # however fast or slow the machine.
        moment = max(moment, 0.8) if i == ROUNDS - 1 else moment
        seconds = rng.choice([0, 0.02, 0.1]) if i < ROUNDS - 1 else 0
        told = f"{name}: killed at {moment:.4f} of the training, a checkpoint every {seconds} s"
        if i % 3 < 2 or i == ROUNDS - 1:  # at one of its calls, the same in every run of this test
            trainings.clear(folder, name)
            strike = max(1, round(moment * whole.calls[name]))
            child = trainings.start(folder, name, seconds=seconds, kill_at=strike)
            assert trainings.finish(child) == -signal.SIGKILL, told
        else:
            kill_by_the_clock(folder, name, seconds, moment * whole.seconds[name])
        if rng.random() < 0.5:  # DVC clears the outputs, a person who types the command does not
            trainings.clear(folder, name)
        said = trainings.train(folder, name, seconds=rng.choice([0, 1000]))
        resumed += "going on after step" in said
        assert trainings.outputs(trainings.out(folder, name)) == whole.outputs[name], told
        assert not list((folder / ".ebmrepro/checkpoints").glob("*/")), told
    assert resumed, "no training was killed after its first checkpoint"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_signal_saves_a_checkpoint_and_says_how_to_go_on(
    number: signal.Signals, code: int, whole: Whole
):
    folder, name = whole.folder, "began"
    trainings.clear(folder, name)
    # No checkpoint is due; the signal alone makes one.
    child = trainings.start(folder, name, seconds=1000)
    curves = trainings.out(folder, name) / "curves.csv"
    while not curves.exists():
        assert child.is_alive(), trainings.said(folder)
        time.sleep(0.005)
    assert child.pid
    os.kill(child.pid, number)
    assert trainings.finish(child) == code
    line = trainings.said(folder).splitlines()[-1]
    assert line.startswith(f"digits began seed 0: stopped by {number.name}; the last good")
    assert line.endswith("`dvc repro` goes on from there")
    assert "going on after step" in trainings.train(folder, name)
    assert trainings.outputs(trainings.out(folder, name)) == whole.outputs[name]


def test_a_training_that_cannot_save_goes_on_and_says_so_once(whole: Whole):
    folder, name = whole.folder, "began"
    card = json.loads((trainings.out(folder, name) / "run.json").read_text())
    in_the_way = folder / ".ebmrepro/checkpoints" / card["fingerprint"]
    in_the_way.write_text("where a folder should be made")
    try:
        said = trainings.train(folder, name, seconds=0)
    finally:
        in_the_way.unlink()
    assert said.count("no checkpoint can be saved at step 1 ") == said.count("no checkpoint") == 1
    assert trainings.outputs(trainings.out(folder, name)) == whole.outputs[name]
