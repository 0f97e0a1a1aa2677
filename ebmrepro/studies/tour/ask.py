"""Every question to every trained model of a suite, and the answers to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ebmrepro.config import params
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.networks import images, threads
from ebmrepro.runs import layout, models
from ebmrepro.studies.tour.conditional import Conditional
from ebmrepro.studies.tour.decision import Decision
from ebmrepro.studies.tour.detection import Detection
from ebmrepro.studies.tour.generation import Generation
from ebmrepro.studies.tour.material import Material
from ebmrepro.studies.tour.protocol import protocol
from ebmrepro.studies.tour.question import Answer, Question
from ebmrepro.studies.tour.ranking import Ranking
from ebmrepro.system import atomic, errors

QUESTIONS: tuple[type[Question], ...] = (Decision, Ranking, Detection, Conditional, Generation)


def write(suite: str, settings: params.Params) -> dict[str, Any]:
    """Ask, and write results/<suite>/tour: metrics.json, tour.npz, pictures; returns the former.

    tour.npz holds arrays as `<array>` and `<array>/<system>/<seed>`; pictures are `<picture>.png`
    and, of the run's first seed, `<picture>-<system>.png`.

    Raises:
        params.UserError: a model is not there, or the suite's data are not.
    """
    run = settings.run
    trained = [(system, seed) for system in run.names for seed in run.seeds]
    for system, seed in trained:
        weights = layout.folder(suite, system, seed) / "model.safetensors"
        if not weights.exists():
            told = settings.trains(params.Training(suite, system, seed))
            raise errors.UserError(f"{weights}: no such file; {told}")
    threads.one()  # the same sums in the same order on any machine
    out = Path("results") / suite / "tour"
    out.mkdir(parents=True, exist_ok=True)
    material = Material(suite, settings)
    questions = [question(material) for question in QUESTIONS]
    measured, arrays, sentences = Measurement(), dict[str, np.ndarray](), protocol(material)

    def add(answer: Answer, seed: int, system: str = "") -> None:
        """What one model says, or, without a system, the suite under one of its seeds."""
        of = f"@{system}" if system else ""
        for measure, value in answer.values.items():
            measured.values.setdefault(measure + of, {})[str(seed)] = float(value)
            measured.protocol[measure + of] = sentences[measure]
        measured.reasons |= {measure + of: why for measure, why in answer.reasons.items()}
        place = f"/{system}/{seed}" if system else ""
        arrays.update({name + place: array for name, array in answer.arrays.items()})
        if seed == run.seeds[0]:
            for name, pixels in answer.pictures.items():
                images.save_png(out / f"{name}{of.replace('@', '-')}.png", pixels)

    for question in questions:
        shared = question.shared()
        for seed in run.seeds:
            add(shared, seed)
    for system, seed in trained:
        model, normalised = models.scoring(suite, system, seed, settings)
        measured.protocol |= {f"{what}@{system}": told for what, told in normalised.items()}
        for question in questions:
            if answer := question.answer(model):
                add(answer, seed, system)

    with atomic.atomic_write(out / "tour.npz") as partial:
        np.savez(partial, allow_pickle=False, **dict(sorted(arrays.items())))
    tree = measured.document()
    atomic.write_json(out / "metrics.json", tree)
    return tree
