"""Every question to every trained model of a suite, and the answers to files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ebmrepro.config import params
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.networks import images, threads
from ebmrepro.runs import layout, models
from ebmrepro.studies.tour import conditional, decision, detection, generation, material, ranking
from ebmrepro.studies.tour.answer import Answer
from ebmrepro.studies.tour.protocol import protocol
from ebmrepro.system import atomic, errors

QUESTIONS: dict[str, ModuleType] = {
    "decision": decision,
    "ranking": ranking,
    "detection": detection,
    "conditional": conditional,
    "generation": generation,
}


def write(suite: str, settings: params.Params, root: Path = Path("results")) -> dict[str, Any]:
    """Ask, and write `root`/<suite>/tour: metrics.json, tour.npz and pictures; returns the former.

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
            raise errors.UserError(f"{weights}: no such file; `dvc repro` trains it")
    threads.one()  # the same sums in the same order on any machine
    out = root / suite / "tour"
    out.mkdir(parents=True, exist_ok=True)
    given = material.read(suite, settings)
    asked = {name: question.prepare(given) for name, question in QUESTIONS.items()}
    measured, arrays, sentences = Measurement(), dict[str, np.ndarray](), protocol(given)

    def save(pictures: dict[str, np.ndarray], ending: str = "") -> None:
        for name, pixels in pictures.items():
            images.save_png(out / f"{name}{ending}.png", pixels)

    for name, question in QUESTIONS.items():
        told: Answer = question.shared(given, asked[name])
        arrays |= told.arrays
        for seed in run.seeds:
            _add(measured, told.values, sentences, seed)
        save(told.pictures)

    for system, seed in trained:
        model = models.restore(suite, system, seed, settings)
        for name, question in QUESTIONS.items():
            found: Answer | None = question.answer(model, asked[name])
            if found is None:
                continue
            _add(measured, found.values, sentences, seed, f"@{system}")
            arrays |= {f"{key}/{system}/{seed}": value for key, value in found.arrays.items()}
            if seed == run.seeds[0]:
                save(found.pictures, f"-{system}")
    for kind, why in asked["detection"].missing.items():
        at = f"auroc_{kind}@"
        measured.reasons |= {name: why for name in measured.values if name.startswith(at)}

    np.savez(out / "tour.npz", allow_pickle=False, **dict(sorted(arrays.items())))
    tree = measured.document()
    atomic.write_json(out / "metrics.json", tree)
    return tree


def _add(
    measured: Measurement,
    values: Mapping[str, float],
    protocol: Mapping[str, str],
    seed: int,
    system: str = "",
) -> None:
    """The values of one model, or, without a system, of the suite under one of its seeds."""
    for measure, value in values.items():
        measured.values.setdefault(measure + system, {})[str(seed)] = float(value)
        measured.protocol[measure + system] = protocol[measure]
