"""Which part of a pack is begun when, and when it is stopped, on a made-up clock."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ebmrepro.config.params import Training
from ebmrepro.pipeline.offload import parts
from ebmrepro.pipeline.offload import trainings as offloaded
from ebmrepro.pipeline.offload.parts import DONE, NO_TIME, Part, Told
from ebmrepro.pipeline.offload.trainings import Deadline


class Clock:
    """A clock that work moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def nothing(_: float) -> Iterator[tuple[str, Any]]:
    yield from ()


def played(lengths: dict[str, float], seconds: float, each: float | None = None) -> dict[str, Told]:
    """Parts that would take so long each, stopped at their deadlines."""
    clock, told = Clock(), dict[str, Told]()

    def run(part: Part, deadline: float, cell: Any) -> str:
        left = deadline - clock.now
        if lengths[part.name] < 0:
            clock.now -= lengths[part.name]
            return "failed: RuntimeError: broken"
        cell("deadline", deadline - 1000)
        clock.now += min(left, lengths[part.name])
        return DONE if lengths[part.name] <= left else "stopped"

    made = [Part(name, nothing, each) for name in lengths]
    parts.play(made, 1000 + seconds, told, run, lambda: None, clock)
    return told


def test_a_part_that_fails_or_overruns_leaves_the_rest_its_time():
    told = played({"a": 10, "b": -5, "c": 1000, "d": 10}, 540, each=25)
    assert [part.how for part in told.values()] == [
        DONE,
        "failed: RuntimeError: broken",
        "stopped",
        DONE,
    ]
    assert [part.seconds for part in told.values()] == [10, 5, 25, 10]


def test_no_part_is_begun_without_time_and_none_goes_past_the_end():
    told = played({"a": 50, "b": 20, "c": 5}, 60)
    assert [part.how for part in told.values()] == [DONE, "stopped", NO_TIME]
    assert told["b"].cells["deadline"] == 60


def test_what_was_put_aside_goes_on_after_all_that_fit():
    a, b = Training("digits", "ebgan", 0), Training("digits", "dbn", 0)
    told: dict[str, Told] = {}
    order = []
    for part in offloaded.schedule([a, b], told):
        order.append(part.name)
        stopped = part.name == a.label
        how = f"{a.label}: stopped because ..." if stopped else DONE
        told[part.name] = Told(how, 1.0, {"steps before": 0})
    assert order == [a.label, b.label, a.label]


def test_what_a_broken_process_leaves_is_trained_by_itself():
    those = [Training("digits", "ebgan", seed) for seed in range(5)]
    hows = [DONE, f"{those[1].label}: stopped at ...", "failed: NotFinite: ...", offloaded.LOST]
    told: dict[str, Told] = {}
    order = []
    for part in offloaded.schedule(those, told, places=3):
        order.append(part.name)
        if part.name == offloaded.TOGETHER:
            for training, how in zip(those, hows, strict=False):
                told[training.label] = Told(how, 1.0, {"steps before": 0})
        else:
            told[part.name] = Told(DONE)
    labels = [training.label for training in those]
    assert order == [offloaded.TOGETHER, labels[3], labels[4], labels[1]]


def test_the_least_worth_gives_way_and_the_others_are_foreseen_anew():
    clock, turns = Clock(), {0, 1}
    first, last = (Deadline(1100, 50_000, clock, turn, turns) for turn in (0, 1))
    while not (reason := last.reason()):
        clock.now += 0.01
        assert first.reason() is None
    assert "it would take" in reason[0]
    turns.remove(1)
    gone = clock.now
    while not (reason := first.reason()):
        clock.now += 0.01
    assert "it would take" in reason[0] and clock.now - gone >= offloaded.LOOK


def watched(speed: float, steps: int | None, deadline: float) -> str | None:
    """Why a training of so many steps a second is stopped, if it is."""
    clock = Clock()
    watch = Deadline(1000 + deadline, steps, clock)
    for _ in range(steps or 10**6):
        clock.now += 1 / speed
        if reason := watch.reason():
            return reason[0]
    return None


def test_a_training_is_stopped_at_its_deadline_or_when_it_cannot_make_it():
    assert watched(100, 10_000, 101) is None  # just fits
    assert watched(100, 10_000, 95) == "at its deadline"  # a little too long: it may speed up
    assert "it would take 493 s more" in str(watched(100, 50_000, 100))
    assert watched(100, None, 100) == "at its deadline"  # to be gone on with


@pytest.mark.slow
def test_a_process_that_dies_or_hangs_is_named(tmp_path: Path):
    code = """
import os, sys, time
from functools import partial
from pathlib import Path
from ebmrepro.pipeline.offload.parts import Part, alone

def dies(_):
    yield "cell", 1
    os.kill(os.getpid(), 9)

def hangs(_):
    yield "cell", 2
    time.sleep(100)

def raises(_):
    yield "cell", 3
    raise RuntimeError("CUDA error: an illegal memory access\\nand more")

for work in (dies, hangs, raises):
    print(alone(Part("p", work), time.monotonic(), print, 0.5, Path("log")), flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "cell 1",
        "failed: its process ended with code -9",
        "cell 2",
        "failed: still at work 0 s after its deadline; its process was ended",
        "cell 3",
        "failed: RuntimeError: CUDA error: an illegal memory access",
    ]
    assert "Traceback" in (tmp_path / "log").read_text()
