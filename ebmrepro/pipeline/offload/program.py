"""What run.py does on the bare machine: the parts of the sitting, and what comes home of them."""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ebmrepro import data
from ebmrepro.config import environment, forms
from ebmrepro.config.params import Training
from ebmrepro.pipeline import executors
from ebmrepro.pipeline.offload import cargo, parts, trainings
from ebmrepro.pipeline.offload.cargo import Cargo
from ebmrepro.pipeline.offload.measures import ceilings, parity, proofs, speed
from ebmrepro.pipeline.offload.parts import DONE, Part, Told
from ebmrepro.pipeline.offload.trainings import TOGETHER
from ebmrepro.runs import checkpoints, layout
from ebmrepro.system import atomic, ending, reading
from ebmrepro.system.errors import UserError

RESERVE = 0.05  # of the seconds, at the end: last checkpoints are saved and put on board
MEASURES = {  # what is looked at before trainings, and the part of all seconds that it may take
    "ceilings": (ceilings.ceilings, 25 / 540),
    "proofs": (proofs.proofs, 40 / 540),
    "parity": (parity.parity, 30 / 540),
    "speed": (speed.speed, 70 / 540),
}
LOG, PACK = "log.txt", "pack.json"


def main(here: str, arguments: Sequence[str]) -> None:
    """Run the parts of the pack in its folder `here`; arguments are those of run.py."""
    began = time.monotonic()
    asked = _arguments(arguments)
    out = Path(asked.out).absolute() if asked.out else Path(here) / "home"
    os.chdir(here)
    with ending.told():
        environment.check(os.environ)
        if [*map(int, (found := version("torch")).split(".")[:2])] < [2, 8]:  # products of RBMs
            raise UserError(f"torch: found {found}; allowed is 2.8 or a later one")
        Sitting(forms.Pack.read(Path(PACK)), out, began, asked.seconds).hold(asked.measure)


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py", allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=540, help="that all may take (540)")
    parser.add_argument("--measure", action="store_true", help="look at the machine first")
    parser.add_argument("--out", help="folder to be taken home (home/ beside run.py)")
    asked = parser.parse_args(arguments)
    if not 0 < asked.seconds < math.inf:
        parser.error(f"--seconds: found {asked.seconds:g}; allowed is a number above 0")
    return asked


class Sitting:
    """Some minutes at a machine.

    Args:
        pack: what pack.json says.
        out: where to put what goes home.
        began: on `time.monotonic`, from which the seconds count.
    """

    def __init__(self, pack: dict[str, Any], out: Path, began: float, seconds: float):
        self.chosen = [Training(*training) for training in pack["trainings"]]
        self.out, self.began, self.seconds = out, began, seconds
        self.reserve = max(2.0, RESERVE * seconds)
        self.cargo = Cargo(out, pack["size"])
        self.told: dict[str, Told] = {}

    def hold(self, measure: bool) -> None:
        self.cargo.add(Path(), [Path(PACK)], "record-pack.json", {})
        for suite in dict.fromkeys(training.suite for training in self.chosen):
            unpack(Path("data") / suite)
        end = self.began + self.seconds - self.reserve
        try:
            parts.play(self._parts(measure), end, self.told, self._run, self._write)
        finally:  # also when somebody interrupts
            for training in self.chosen:
                told = self.told.get(training.label)
                if told and told.how != DONE and "fingerprint" in told.cells:
                    self._load(training, "put aside", _checkpoint)
            self._write()
        done = sum(told.how == DONE for told in self.told.values())
        print(f"{done} of {len(self.told)} parts done; `ebmrepro offload take` wants {self.out}")

    def _parts(self, measure: bool) -> Iterator[Part]:
        """What ends well is put on board before the next is begun."""
        for name, (work, share) in MEASURES.items() if measure else ():
            yield Part(name, work, share * self.seconds)
        labels = {training.label: training for training in self.chosen}
        places = executors.together(os.environ)  # asks no GPU in this process, which is to fork
        for part in trainings.schedule(self.chosen, self.told, places):
            yield part
            if part.name in labels:
                self._loaded(labels[part.name])

    def _run(self, part: Part, deadline: float, cell: Callable[[str, Any], None]) -> str:
        def heard(label: str, value: Any) -> None:
            """Of a training that takes turns with others."""
            self.told[label] = Told(**value)
            self._loaded(next(each for each in self.chosen if each.label == label))
            self._write()

        hear = heard if part.name == TOGETHER else cell
        how = parts.alone(part, deadline, hear, self.reserve / 2, self.out / LOG)
        print(f"{time.monotonic() - self.began:6.1f} s  {part.name}: {how}", flush=True)
        return how

    def _write(self) -> None:
        told = {name: asdict(part) for name, part in self.told.items()}
        atomic.write_json(self.out / cargo.REPORT, {"seconds": self.seconds, "parts": told})

    def _loaded(self, training: Training) -> None:
        if self.told[training.label].how == DONE:
            self._load(training, "trained", _results)

    def _load(
        self, training: Training, state: str, files: Callable[[Training, str], list[Path]]
    ) -> None:
        told = self.told[training.label]
        fingerprint = told.cells["fingerprint"]
        if not (found := files(training, fingerprint)):  # it failed before its first checkpoint
            return
        record = {"training": training, "state": state, "fingerprint": fingerprint}
        name = f"record-{'-'.join(map(str, training))}.json"
        if not self.cargo.add(Path(), found, name, record):
            told.how += f"; left behind: more than the {self.cargo.limit:,} bytes that go home"
            print(f"{training.label}: {told.how}", flush=True)


def _results(training: Training, fingerprint: str) -> list[Path]:
    found = [path for path in layout.folder(*training).rglob("*") if path.is_file()]
    return [*found, trainings.provenance(fingerprint)]


def _checkpoint(training: Training, fingerprint: str) -> list[Path]:
    """The newest of each machine that the training was on."""
    stored = [each for each in checkpoints.stored(Path()) if each.fingerprint == fingerprint]
    return [file for each in stored for file in checkpoints.portable(each)]


def unpack(folder: Path) -> None:
    """The training images of a suite, from the compressed file beside its folder.

    Raises:
        UserError: they are not those that were packed.
    """
    if folder.exists():
        return
    place = folder.with_suffix(".npz")
    packed = reading.arrays(place)
    about = forms.Dataset.held(reading.parsed(str(packed["about"])), f"{place}: about")
    split = about["splits"]["train"]
    for key, wanted in (("images", split["sha256"]), ("labels", split["labels_sha256"])):
        if (found := data.sha256(packed[key])) != wanted:
            raise UserError(f"{place}: {key}: found sha256 {found[:12]}, want {wanted[:12]}")
    with atomic.atomic_folder(folder) as partial:
        np.save(partial / "train.npy", packed["images"])
        np.save(partial / "train_labels.npy", packed["labels"])
        atomic.write(partial / data.DATASET, data.in_words(about))
