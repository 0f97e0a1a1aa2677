"""From trained models to measurements: draw, score, then measure what lies on disk.

The first half writes images (uint8) and energies; the second reads them back and never meets a
generator, so what is measured is what anyone can look at.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch

from ebmrepro import data
from ebmrepro.config import training, types
from ebmrepro.config.evaluation import Evaluate
from ebmrepro.config.params import Params
from ebmrepro.data import check, ood_images
from ebmrepro.evaluation import in_inception
from ebmrepro.methods.base.method import Method
from ebmrepro.metrics import (
    coverage,
    fid,
    flags,
    inception_score,
    kid,
    margin,
    neighbours,
    precision_recall,
    pulling_away,
    separation,
)
from ebmrepro.metrics.features import Features
from ebmrepro.networks import device, images, threads
from ebmrepro.runs import layout, models
from ebmrepro.system import atomic

REBUILT = 10  # reconstructions that are kept to be looked at, of the first images, not picked
REAL = 64  # real images that the report shows, the first of their split ...
COLUMNS = 8  # ... in a grid
# Of a training, what its results keep in git beside its measures: file -> name among them.
KEPT = {"run.json": "training.json", "curves.csv": "curves.csv"}
_EPOCHS = type(typing.get_args(types.Epochs)[-1])  # marks a number of epochs


class Extractor:
    """The last hidden layer of the suite's fine-tuned DBN classifier, of the run's first seed."""

    def __init__(self, suite: str, settings: Params):
        self.seed = settings.run.seeds[0]
        self.dbn: Any = models.restore(suite, "dbn", self.seed, settings)
        threads.fit(self.dbn)
        weights = layout.folder(suite, "dbn", self.seed) / "model.safetensors"
        self.sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()

    @torch.no_grad()
    def __call__(self, pictures: np.ndarray) -> Features:
        """uint8 (N, C, H, W) -> features."""
        features = models.in_batches(self.dbn.features, pictures)
        classify = self.dbn.classify(torch.from_numpy(features).to(device.device()))
        return Features(features, classify.cpu().numpy())


def reference(suite: str, settings: Params) -> dict[str, Any]:
    """Features of the real images, per extractor, and the floor: train measured against the split.

    Writes reference/<suite>/dbn.npz, inception-<split>.npz where the weights are at hand,
    reference.json; and results/<suite>/reference/, what a report needs of all this and of the data,
    without them.
    """
    out = Path("reference") / suite
    out.mkdir(parents=True, exist_ok=True)
    asked = settings.suites[suite].evaluate
    extract = Extractor(suite, settings)
    (real, _), (seen, _) = (data.read(Path("data") / suite, s) for s in (asked.split, "train"))
    seen = seen[: asked.generated]  # as many as are generated, where there are so many
    of_real = extract(real)
    with atomic.atomic_write(out / "dbn.npz") as partial:
        np.savez(partial, features=of_real.features, probabilities=of_real.probabilities)
    card: dict[str, Any] = {
        "suite": suite,
        "split": asked.split,
        "count": len(real),
        "extractor": f"DBN classifier of seed {extract.seed}, last hidden layer, "
        f"{of_real.features.shape[1]} features",
        "extractor_sha256": extract.sha256,
        "floor": _distances(extract(seen), of_real, asked)[0],
        "floor_protocol": f"the first {len(seen):,} training images, measured as if they were "
        "generated; the extractor's classifier was trained on them",
    }
    card |= in_inception.keep(suite, asked, out)
    values, told_besides = in_inception.floor(suite, asked, out, card)
    card["floor"] |= values
    card["floor_protocol"] += told_besides
    atomic.write_json(out / "reference.json", card)
    told = Path("results") / suite / "reference"
    told.mkdir(parents=True, exist_ok=True)
    dataset = data.describe(Path("data") / suite)
    about = {"dataset": dataset, "evaluate": asked.model_dump(exclude_none=True)}
    atomic.write_json(told / "reference.json", {**card, **about})
    images.save_png(told / "real.png", images.grid(np.array(real[:REAL]), COLUMNS))
    return card


def evaluate(
    suite: str, name: str, seed: int, settings: Params, extract: Extractor
) -> dict[str, Any]:
    """Measure one trained model; writes results/<suite>/<name>/<seed>/ and the drawn images.

    The training's card and curves are kept there too: a report of results that came with a clone
    has no models.
    """
    asked = settings.suites[suite].evaluate
    out = Path("results") / suite / name / str(seed)
    drawn = Path("generated") / suite / name / f"{seed}.npy"
    out.mkdir(parents=True, exist_ok=True)
    drawn.parent.mkdir(parents=True, exist_ok=True)

    for file, kept in KEPT.items():
        with atomic.atomic_write(out / kept) as partial:
            partial.write_bytes((layout.folder(suite, name, seed) / file).read_bytes())
    model = models.restore(suite, name, seed, settings)
    generated = models.draw(model, asked.generated, asked.seed)
    with atomic.atomic_write(drawn) as partial:
        np.save(partial, generated)
    images.save_png(out / "samples.png", images.grid(generated[: models.GRID], columns=10))
    energies = _energies(suite, model, generated, asked)
    with atomic.atomic_write(out / "energies.npz") as partial:
        np.savez(partial, **energies)
    untrained = models.untrained(suite, name, seed, settings)
    at_start = models.draw(untrained, asked.generated, asked.seed)

    metrics = _measure(suite, name, seed, settings, extract, at_start)
    own = _of_the_model(suite, model, generated, asked) | _at_the_end(suite, model, name, seed)
    own |= _of_a_plane(suite, model, asked, out)
    _add(metrics, own)
    if isinstance(model, Rebuilds):
        _rebuild(suite, model, asked, out)
    atomic.write_json(out / "metrics.json", metrics)
    return metrics


def _measure(
    suite: str,
    name: str,
    seed: int,
    settings: Params,
    extract: Extractor,
    at_start: np.ndarray,
) -> dict[str, Any]:
    """Everything that needs only files: images, energies and the reference."""
    asked = settings.suites[suite].evaluate
    place = Path("reference") / suite
    about = json.loads((place / "reference.json").read_text(encoding="utf-8"))
    with np.load(place / "dbn.npz", allow_pickle=False) as stored:
        real = Features(stored["features"], stored["probabilities"])
    generated = np.load(Path("generated") / suite / name / f"{seed}.npy", allow_pickle=False)
    card = json.loads((layout.folder(suite, name, seed) / "run.json").read_text(encoding="utf-8"))
    part = _budget(suite, name, settings)

    fake = extract(generated)
    values, warnings, reasons = _distances(fake, real, asked)
    values["fd_dbn_untrained"] = _frechet(extract(at_start), real)
    if training.base(name) in ("dbn", "dbn_updown"):
        warnings["fd_dbn"] = (
            "a DBN, measured in the features of a DBN: not on a par with the others"
        )
    if training.base(name) == "dbn_updown":
        warnings["classes_covered"] = "labels are clamped in turn: classes are asked for, not found"
    measured = in_inception.measure(suite, place, about, generated, asked)
    values |= measured.values
    warnings |= measured.flags
    reasons |= measured.reasons
    if collapsed := flags.collapsed(generated):
        warnings["classes_covered"] = collapsed
    warnings["hinge_active"] = _hinge(suite, name, seed)
    with np.load(
        Path("results") / suite / name / str(seed) / "energies.npz", allow_pickle=False
    ) as energies:
        values |= separation.describe({kind: energies[kind] for kind in energies.files})
    return {
        "schema": 1,
        "suite": suite,
        "method": name,
        "seed": seed,
        "fingerprint": card["fingerprint"],
        "step": card["steps"],
        "budget": part,
        "values": values,
        "reasons": reasons,
        "flags": {key: flag for key, flag in warnings.items() if flag},
        "protocol": {
            "trained": _trained(part),
            "generated": f"{asked.generated:,} images, the same draw (seed {asked.seed}) for every "
            "training seed",
            "reference": f"{about['split']} split, {about['count']:,} images",
            "extractor": about["extractor"],
            "extractor_sha256": about["extractor_sha256"],
            "energies": f"at most {asked.energies:,} images per set",
            "precision and recall": f"k = {asked.neighbours}",
            "is_dbn": "over all generated images at once, in one split",
            "classes covered": f"at least {asked.coverage_share:.0%} of the generated images at "
            f"probability {asked.coverage_confidence} or more",
            **measured.protocol,
        },
    }


def _budget(suite: str, name: str, settings: Params) -> dict[str, Any]:
    """How much of the epochs in params.yaml was run: the part, and by key (run, of how many)."""
    whole, run = settings.suite(suite).block(name), settings.block(suite, name)
    epochs = {
        key: {"run": getattr(run.hparams, key), "of": getattr(whole.hparams, key)}
        for key, field in type(whole.hparams).model_fields.items()
        if any(isinstance(mark, _EPOCHS) for mark in field.metadata)
    }
    return {"epoch_fraction": settings.suite(suite).budget * whole.epoch_fraction, "epochs": epochs}


def _trained(part: dict[str, Any]) -> str:
    counts = [f"{n['run']:,} of {n['of']:,} {key}" for key, n in sorted(part["epochs"].items())]
    told = ", ".join(counts).replace("_", " ") or "no epochs"
    return f"{told} in params.yaml (budget x epoch_fraction = {part['epoch_fraction']:g})"


def _distances(
    fake: Features, real: Features, asked: Evaluate
) -> tuple[dict[str, float | None], dict[str, str | None], dict[str, str]]:
    """Fake against real in the DBN's features, what to beware of, and why a value is missing."""
    k, count = asked.neighbours, min(len(real.features), len(fake.features))
    near, reasons = None, {}
    if count > k:
        near = precision_recall.precision_recall(real.features, fake.features, k)
    else:
        reason = f"{count:,} images have no neighbour number {k}"
        reasons = {"precision_dbn": reason, "recall_dbn": reason}
    centred = fake.features - real.features.mean(axis=0)
    values: dict[str, float | None] = {
        "fd_dbn": _frechet(fake, real),
        "is_dbn": inception_score.inception_score(fake.probabilities, splits=1)[0],
        "kd_dbn": kid.kernel_distance(real.features, fake.features),
        "precision_dbn": near and near.precision,
        "recall_dbn": near and near.recall,
        "cos2_dbn": pulling_away.pulling_away(centred),
        "classes_covered": coverage.classes_covered(
            fake.probabilities, asked.coverage_share, asked.coverage_confidence
        ),
    }
    counts = len(fake.features), len(real.features), real.features.shape[1]
    rough = dict.fromkeys(values, flags.few(count))
    return values, {**rough, "fd_dbn": fid.frechet_flag(*counts)}, reasons


def _frechet(fake: Features, real: Features) -> float:
    return fid.frechet_distance(fid.gaussian(fake.features), fid.gaussian(real.features))


@torch.no_grad()
def _energies(suite: str, model: Method, generated: np.ndarray, asked: Evaluate) -> dict[str, Any]:
    """Energy per image of each kind of image, float32."""
    (seen, _), (real, _) = (data.read(Path("data") / suite, s) for s in ("train", asked.split))
    real, n, seed = real[: asked.energies], asked.energies, asked.seed
    sets = {
        "train": seen[:n],
        "test": real,
        "generated": generated[:n],
        "noise": ood_images.noise(model.shape, n, seed),
        "shuffled": ood_images.shuffled(np.array(real), seed),
        "patches": ood_images.patches(model.shape, n, seed),
    }
    return {kind: models.in_batches(model.energy, pictures) for kind, pictures in sets.items()}


@torch.no_grad()
def _of_the_model(
    suite: str, model: Method, generated: np.ndarray, asked: Evaluate
) -> dict[str, float]:
    """What needs the trained networks: codes, reconstructions, and the paper's own questions."""
    values: dict[str, float] = {}
    real, _ = data.read(Path("data") / suite, asked.split)
    if (codes := _answers(model.code, generated)) is not None:
        values["cos2_code"] = pulling_away.pulling_away(codes)
    if (errors := _answers(lambda x: _squared_error(model, x), real)) is not None:
        values["reconstruction"] = math.sqrt(errors.mean())
        # A reconstruction error is at least 0, so the ratio of two of them means something.
        energies = (models.in_batches(model.energy, kind) for kind in (generated, real))
        values["ratio"] = separation.ratio(*energies)
    if model.hinge is not None:
        values["margin"] = float(model.hinge)
        values["hinge_active"] = separation.hinge_active(
            models.in_batches(model.energy, generated), values["margin"]
        )
    own = model.diagnose(*(models.labelled(suite, split) for split in ("train", asked.split)))
    return {**values, **own}


def _answers(
    question: Callable[[torch.Tensor], torch.Tensor | None], pictures: np.ndarray
) -> np.ndarray | None:
    """What a method says to images, uint8 (N, C, H, W), or None where the question is not its."""
    if question(images.from_uint8(pictures[:1]).to(device.device())) is None:
        return None
    return models.in_batches(cast(Callable[[torch.Tensor], torch.Tensor], question), pictures)


def _squared_error(model: Method, x: torch.Tensor) -> torch.Tensor | None:
    """Mean squared error of the reconstruction of each image, (N, C, H, W) -> (N,)."""
    x_hat = model.reconstruct(x)
    return None if x_hat is None else (x - x_hat).square().flatten(1).mean(1)


@runtime_checkable
class Rebuilds(Protocol):
    """A method whose paper shows reconstructions, of one network or several, beside PCA's."""

    def reconstructions(self, x: torch.Tensor) -> Mapping[str, torch.Tensor]: ...


@torch.no_grad()
def _rebuild(suite: str, model: Any, asked: Evaluate, out: Path) -> None:
    """Write reconstructions.npz: the first images, and what is left of them, uint8 (n, C, H, W).

    `original`, an array for each of the method's networks, and `pca` with as many components as the
    code has numbers.
    """
    (seen, _), (shown, _) = (data.read(Path("data") / suite, s) for s in ("train", asked.split))
    shown = np.array(shown[:REBUILT])
    x = images.from_uint8(shown).to(device.device())
    components = min(model.code(x).shape[1], shown[0].size)
    pca = check.principal_components([seen], components)
    rebuilt = {start: images.to_uint8(x_hat) for start, x_hat in model.reconstructions(x).items()}
    with atomic.atomic_write(out / "reconstructions.npz") as partial:
        np.savez(partial, allow_pickle=False, original=shown, **rebuilt, pca=pca.reconstruct(shown))


@torch.no_grad()
def _of_a_plane(suite: str, model: Method, asked: Evaluate, out: Path) -> dict[str, float]:
    """Of a method whose code is two numbers, which can be drawn: how far it keeps classes apart,
    beside two principal components.

    Writes codes.npz: `code` and `pca` (N, 2) float16 of the images compared with, `labels` (N,).
    """
    (seen, known), (shown, labels) = (
        data.read(Path("data") / suite, split) for split in ("train", asked.split)
    )
    code = _answers(model.code, shown[:1])
    if code is None or code.shape[1] != 2:
        return {}
    components = check.principal_components([seen], 2)
    values, drawn = {}, {}
    own = cast(Callable[[torch.Tensor], torch.Tensor], model.code)  # it has one
    ways = {"code": lambda x: models.in_batches(own, x), "pca": components.codes}
    for way, encode in ways.items():
        drawn[way] = encode(shown)
        values[f"neighbour_error_{way}"] = neighbours.neighbour_error(
            encode(seen), known, drawn[way], labels, asked.neighbours
        )
    small = {way: found.astype(np.float16) for way, found in drawn.items()}
    with atomic.atomic_write(out / "codes.npz") as partial:
        np.savez(partial, allow_pickle=False, **small, labels=labels.astype(np.uint8))
    return values


def _curves(suite: str, name: str, seed: int) -> list[dict[str, str]]:
    path = layout.folder(suite, name, seed) / "curves.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _hinge(suite: str, name: str, seed: int) -> str | None:
    """What to beware of in the hinge of a method that has one."""
    cells = [row.get("hinge/active") for row in _curves(suite, name, seed)]
    active = [float(cell) for cell in cells if cell]
    return flags.dead_hinge(active) if active else None


def _at_the_end(suite: str, model: Method, name: str, seed: int) -> dict[str, float]:
    """The algorithm's state after the last step, its terms over the last epoch, and what became of
    a margin that moves."""
    rows = _curves(suite, name, seed)
    values = {key: float(cell) for key, cell in rows[-1].items() if cell}
    own = {key: value for key, value in values.items() if key.startswith(f"{model.name}/")}
    named = {key.rpartition("/")[2]: value for key, value in own.items()}
    found = {key: named[key] for key in ("k", "M_global", "updates") if key in named}
    if (moving := f"{model.name}/margin") in rows[-1]:
        columns = "energy/real", "energy/fake", moving
        found |= margin.stops(*(_numbers(rows, column) for column in columns))
    return found


def _numbers(rows: list[dict[str, str]], column: str) -> np.ndarray:
    return np.array([float(row[column] or math.nan) for row in rows])


def _add(metrics: dict[str, Any], values: dict[str, float]) -> None:
    """NaN has no place in JSON: it becomes null with a reason."""
    for key, value in values.items():
        known = math.isfinite(value)
        metrics["values"][key] = value if known else None
        if not known:
            metrics["reasons"][key] = "the measured value is not finite"
