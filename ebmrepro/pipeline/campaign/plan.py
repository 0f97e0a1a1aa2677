"""What a campaign asks for, what there is of it, and how long the rest takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ebmrepro import data
from ebmrepro.claims import further
from ebmrepro.config import forms
from ebmrepro.config.campaign import FURTHER
from ebmrepro.config.params import Params, Training
from ebmrepro.pipeline.offload.trainings import has_ended
from ebmrepro.runs import carried, checkpoints, identity, layout
from ebmrepro.system.reading import known

CARRIED, TRAINED, BEGUN, TO_DO = "carried", "trained", "begun", "to do"
WEIGHTS = "weights"  # carried, but others are measured by its weights, which are not here
HOUR = 3600


class Item(NamedTuple):
    """One training of the campaign."""

    training: Training
    state: str
    done: float  # part of its steps that a checkpoint has
    seconds: float | None  # of all its steps, as carried trainings took; None if none says

    @property
    def left(self) -> float | None:
        """Seconds of training to go."""
        if self.state in (CARRIED, TRAINED):
            return 0.0
        return self.seconds and (1 - self.done) * self.seconds

    @property
    def in_words(self) -> str:
        done = f"{self.done:.0%}" if self.state == BEGUN else ""
        left = "?" if self.left is None else f"{self.left / HOUR:.1f} h" if self.left else ""
        return f"{self.training.label:<44} {self.state:<8} {done:>5} {left:>9}"


def items(root: Path, settings: Params) -> list[Item]:
    """All of the campaign, in the order of params.yaml."""
    saved = {each.fingerprint: each for each in checkpoints.stored(layout.root())}
    there = {suite: _carried(root, suite, settings) for suite in settings.campaign}
    return [
        _item(root, training, settings, saved, training in there[suite])
        for suite in settings.campaign
        for training in trainings(suite, settings)
    ]


def trainings(suite: str, settings: Params) -> Iterator[Training]:
    asked = settings.campaign[suite]
    for name, count in asked.systems.items():
        yield from (Training(suite, name, seed) for seed in asked.seeds[:count])


def is_judge(training: Training, settings: Params) -> bool:
    """Whether others are measured in the features of its DBN: that of a suite's first two seeds."""
    seeds = settings.campaign[training.suite].seeds[:2]
    return training.name == "dbn" and training.seed in seeds


def in_words(there: list[Item], jobs: int) -> str:
    """`31 of 40 carried; about 12.0 h to go; 2 at once`."""
    whole = sum(item.state == CARRIED for item in there)
    known = [item.left for item in there if item.left is not None]
    unknown = len(there) - len(known)
    rest = f", and {carried.counted(unknown, 'training')} of unknown length" if unknown else ""
    hours = sum(known) / jobs / HOUR
    return f"{whole} of {len(there)} carried; about {hours:.1f} h to go{rest}; {jobs} at once"


def _item(
    root: Path,
    training: Training,
    settings: Params,
    saved: Mapping[str, checkpoints.Stored],
    is_carried: bool,
) -> Item:
    seconds = _seconds(root, training, settings)
    here = (Path("data") / training.suite / data.DATASET).exists()
    fingerprint = identity.fingerprint(*training, settings) if here else ""
    weights = layout.folder(*training) / "model.safetensors"
    if is_carried and (weights.exists() or not is_judge(training, settings)):
        return Item(training, CARRIED, 1.0, seconds)
    if here and has_ended(training, fingerprint):
        return Item(training, TRAINED, 1.0, seconds)
    if (each := saved.get(fingerprint)) and each.step and each.about:
        return Item(training, BEGUN, each.step / each.about["steps"], seconds)
    return Item(training, WEIGHTS if is_carried else TO_DO, 0.0, seconds)


def _carried(root: Path, suite: str, settings: Params) -> set[Training]:
    """Those of which a result of at least this part of the budget has its provenance, and, of
    further seeds of a suite that is run, whose result counts beside the run's."""
    known = {Training(suite, name, seed) for name, seed in carried.provenance(root, suite)}
    if suite.endswith(FURTHER):
        counting = further.seeds(root, suite.removesuffix(FURTHER), settings)
        known &= {Training(suite, name, k) for name, own in counting.items() for k in own}
    return {
        each
        for each in known & set(trainings(suite, settings))
        if (ran := _ran(root, each)) is not None and ran >= _asked(each, settings)
    }


def _seconds(root: Path, training: Training, settings: Params) -> float | None:
    """Mean over what is carried of the same system, each as long as asked for here."""
    took = [
        entry["seconds_in_all"] / ran * _asked(training, settings)
        for (name, seed), entry in carried.provenance(root, training.suite).items()
        if name == training.name
        and entry["seconds_in_all"]
        and (ran := _ran(root, Training(training.suite, name, seed)))
    ]
    return sum(took) / len(took) if took else None


def _asked(training: Training, settings: Params) -> float:
    """The part of the published epochs that params.yaml asks for."""
    suite = settings.suite(training.suite)
    return suite.budget * suite.block(training.name).epoch_fraction


def _ran(root: Path, training: Training) -> float | None:
    """The part of them that a result had."""
    path = root / layout.results(*training) / "metrics.json"
    budget = (known(forms.Metrics.read, path) or {}).get("budget") or {}
    return budget.get("epoch_fraction")
