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
Told = Mapping[Training, tuple[float, float | None]]  # of each the part of its epochs, its seconds


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
    found: list[Item] = []
    for suite in settings.campaign:
        told = _told(root, suite)
        there = _carried(root, suite, settings, told)
        for training in trainings(suite, settings):
            seconds = _seconds(training, settings, told)
            found.append(_item(training, settings, saved, training in there, seconds))
    return found


def trainings(suite: str, settings: Params) -> Iterator[Training]:
    asked = settings.campaign[suite]
    for name, count in asked.systems.items():
        yield from (Training(suite, name, seed) for seed in asked.seeds[:count])


def is_judge(training: Training, settings: Params) -> bool:
    """Whether others are measured in the features of its DBN: that of a suite's first two seeds."""
    seeds = settings.campaign[training.suite].seeds[:2]
    return training.name == "dbn" and training.seed in seeds


def has_data(suite: str) -> bool:
    return (Path("data") / suite / data.DATASET).exists()


def in_words(there: list[Item], jobs: int) -> str:
    """`31 of 40 carried; about 12.0 h to go; 2 at once`."""
    whole = sum(item.state == CARRIED for item in there)
    known = [item.left for item in there if item.left is not None]
    unknown = len(there) - len(known)
    rest = f", and {carried.counted(unknown, 'training')} of unknown length" if unknown else ""
    hours = sum(known) / jobs / HOUR
    return f"{whole} of {len(there)} carried; about {hours:.1f} h to go{rest}; {jobs} at once"


def _item(
    training: Training,
    settings: Params,
    saved: Mapping[str, checkpoints.Stored],
    is_carried: bool,
    seconds: float | None,
) -> Item:
    here = has_data(training.suite)
    fingerprint = identity.fingerprint(*training, settings) if here else ""
    weights = layout.folder(*training) / "model.safetensors"
    if is_carried and (weights.exists() or not is_judge(training, settings)):
        return Item(training, CARRIED, 1.0, seconds)
    if here and has_ended(training, fingerprint):
        return Item(training, TRAINED, 1.0, seconds)
    if (each := saved.get(fingerprint)) and each.step and each.about:
        return Item(training, BEGUN, each.step / each.about["steps"], seconds)
    return Item(training, WEIGHTS if is_carried else TO_DO, 0.0, seconds)


def _told(root: Path, suite: str) -> Told:
    """Of what has a result and its provenance."""
    told: dict[Training, tuple[float, float | None]] = {}
    for (name, seed), entry in carried.provenance(root, suite).items():
        training = Training(suite, name, seed)
        path = root / layout.results(*training) / "metrics.json"
        budget = (known(forms.Metrics.read, path) or {}).get("budget") or {}
        if (ran := budget.get("epoch_fraction")) is not None:
            told[training] = ran, entry["seconds_in_all"]
    return told


def _carried(root: Path, suite: str, settings: Params, told: Told) -> set[Training]:
    """Those that ran at least this part of the budget, and, of further seeds of a suite that is
    run, whose result counts beside the run's."""
    there = set(told)
    if suite.endswith(FURTHER):
        counting = further.seeds(root, suite.removesuffix(FURTHER), settings)
        there &= {Training(suite, name, k) for name, own in counting.items() for k in own}
    asked = set(trainings(suite, settings))
    return {each for each in there & asked if told[each][0] >= _asked(each, settings)}


def _seconds(training: Training, settings: Params, told: Told) -> float | None:
    """Mean over what is carried of the same system, each as long as asked for here."""
    took = [
        seconds / ran * _asked(training, settings)
        for each, (ran, seconds) in told.items()
        if each.name == training.name and seconds and ran
    ]
    return sum(took) / len(took) if took else None


def _asked(training: Training, settings: Params) -> float:
    """The part of the published epochs that params.yaml asks for."""
    suite = settings.suite(training.suite)
    return suite.budget * suite.block(training.name).epoch_fraction
