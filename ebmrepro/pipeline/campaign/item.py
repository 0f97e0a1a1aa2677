"""One training of a campaign, from its data to a result that is carried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from ebmrepro import data
from ebmrepro.config import forms
from ebmrepro.config.params import Params, Training
from ebmrepro.evaluation import evaluate, reference
from ebmrepro.pipeline.campaign import plan
from ebmrepro.pipeline.campaign.drive import LOGS, WAY_ON
from ebmrepro.pipeline.offload.trainings import has_ended
from ebmrepro.runs import carried, identity, layout, run
from ebmrepro.system.reading import known
from ebmrepro.system.signals import Stopped, Watch


def finish(training: Training, settings: Params, note: str, watch: Watch) -> Iterator[str]:
    """Train, or go on; then measure what can be measured, and say what it ran on.

    Yields a line for each thing that is there.

    Raises:
        signals.Stopped: `watch` had a reason to stop; a checkpoint was saved.
    """
    suite = training.suite
    with _alone(suite):
        if not (Path("data") / suite).exists():
            data.prepare(suite, settings.suite(suite).data, Path("data") / suite)
    if not has_ended(training, identity.fingerprint(*training, settings)):
        try:
            run.train_one(*training, settings, watch)
        except Stopped as stop:
            stop.way_on = WAY_ON
            raise
    yield f"{training.label}: trained"
    with _alone(suite):
        yield from _measure(training, settings)
        if carried.systems(Path(), suite):
            carried.collect(Path(), layout.root(), suite, note)


def _alone(suite: str) -> FileLock:
    """Of all items of a suite one at a time writes what they share."""
    LOGS.mkdir(parents=True, exist_ok=True)
    return FileLock(LOGS / f"{suite}.lock")


def _measure(training: Training, settings: Params) -> Iterator[str]:
    """This one, and all that waited for it or were measured beside another DBN."""
    suite = training.suite
    asked = settings.campaign[suite]
    seeds = {"suites": [suite], "seeds": asked.seeds}
    own = settings.model_copy(update={"run": settings.run.model_copy(update=seeds)})
    judge = Training(suite, "dbn", asked.seeds[0])
    if not (layout.folder(*judge) / "model.safetensors").exists():
        yield f"{training.label}: measured once {judge.label} is trained, whose features it takes"
        return
    anew = plan.is_judge(training, settings) or not (Path("reference") / suite).exists()
    if anew:
        reference.reference(suite, own)
    extract = reference.Extractor(suite, own, kept=True)
    for each in plan.trainings(suite, settings):
        if has_ended(each, _fingerprint(each)) and (anew or not _is_measured(each)):
            evaluate.evaluate(*each, own, extract)
            yield f"{each.label}: measured"


def _fingerprint(training: Training) -> str:
    """As its own card has it: code may have moved since."""
    card = known(forms.Card.read, layout.folder(*training) / "run.json") or {}
    return str(card.get("fingerprint"))


def _is_measured(training: Training) -> bool:
    return carried.fingerprint(Path(), *training) == _fingerprint(training)
