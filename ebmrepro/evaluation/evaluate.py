"""From trained models to measurements: draw, score, then measure what lies on disk.

The first half writes images (uint8) and energies; the second reads them back and never meets a
generator, so what is measured is what anyone can look at.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ebmrepro import data
from ebmrepro.config import forms, types
from ebmrepro.config.evaluation import Evaluate
from ebmrepro.config.params import Params
from ebmrepro.data import check, ood_images
from ebmrepro.evaluation import inference, shown
from ebmrepro.evaluation.reference import Extractor
from ebmrepro.methods.base import Method
from ebmrepro.methods.base.abilities import (
    AutoEncodes,
    ComparesStarts,
    Diagnoses,
    InfersLabels,
    RunsChains,
)
from ebmrepro.methods.base.gan import GAN
from ebmrepro.metrics import fid, neighbours, pulling_away, separation
from ebmrepro.metrics.measurement import Measurement, measure
from ebmrepro.networks import device, images
from ebmrepro.runs import layout, models, results
from ebmrepro.system import atomic, reading

CHAINS = 50  # whose free energies tell whether the sampler's chains mix, per label if it has any
REBUILT = 10  # reconstructions that are kept to be looked at, of the first images, not picked
# Of a training, what its results keep in git beside its measures: file -> name among them.
KEPT = {"run.json": "training.json", "curves.csv": "curves.csv"}


def evaluate(
    suite: str, name: str, seed: int, settings: Params, extract: Extractor
) -> dict[str, Any]:
    """Measure one trained model; writes results/<suite>/<name>/<seed>/ and the drawn images.

    The training's card and curves are kept there too: a report of results that came with a clone
    has no models.
    """
    wanted = settings.suites[suite].evaluate
    out, trained = layout.results(suite, name, seed), layout.folder(suite, name, seed)
    drawn = Path("generated") / suite / name / f"{seed}.npy"
    card = forms.Trained.read(trained / "run.json")  # a training that has not ended has none
    out.mkdir(parents=True, exist_ok=True)
    drawn.parent.mkdir(parents=True, exist_ok=True)

    for file, kept in KEPT.items():
        atomic.copy(trained / file, out / kept)
    model, normalised = models.scoring(suite, name, seed, settings)
    # Of one draw for all seeds, an interval over seeds would not hold the spread of draws.
    draw = functools.partial(models.draw, n=wanted.generated, seed=wanted.seed + seed)
    generated = draw(model)
    with atomic.atomic_write(drawn) as partial:
        np.save(partial, generated)
    images.save_png(out / "samples.png", images.grid(generated[: models.GRID], columns=10))
    energies = _energies(suite, model, generated, wanted)
    with atomic.atomic_write(out / "energies.npz") as partial:
        np.savez(partial, **energies)
    untrained = models.untrained(suite, name, seed, settings)
    at_start = draw(untrained)

    measured = _of_the_files(suite, name, seed, wanted, extract)
    start = fid.frechet_distance(extract.first(at_start).gaussian, extract.real.gaussian)
    measured |= Measurement({"fd_dbn_untrained": start}, flags={**model.flags})
    measured |= Measurement(_of_the_model(suite, model, generated, wanted))
    curves = results.curves(out / "curves.csv")
    measured |= measure("of_curves", curves, model.name) | Measurement({**model.recount(curves)})
    measured |= Measurement(_of_a_plane(suite, model, wanted, out))
    if isinstance(model, RunsChains):
        measured |= measure("of_chains", model.chains(CHAINS))
    if isinstance(model, InfersLabels):
        measured |= Measurement({**inference.measure(suite, model, wanted, seed, out)})
    if isinstance(model, ComparesStarts):
        _rebuild(suite, model, wanted, out)
    shown.progress(trained, out, model.shape)
    if wanted.paths and isinstance(model, GAN):
        shown.paths(out, (suite, name, seed), settings, wanted.paths)
    budget = _budget(suite, name, settings, card.get("images"))
    measured.protocol |= {"trained": _trained(budget), **normalised}
    metrics = {
        "suite": suite,
        "method": name,
        "seed": seed,
        "fingerprint": card["fingerprint"],
        "step": card["steps"],
        "budget": budget,
        **measured.document(),
    }
    atomic.write_json(out / "metrics.json", metrics)
    return metrics


def _of_the_files(
    suite: str, name: str, seed: int, wanted: Evaluate, extract: Extractor
) -> Measurement:
    """Everything that needs only files: images, energies and the reference."""
    generated = reading.arrays(Path("generated") / suite / name / f"{seed}.npy")[""]
    energies = reading.arrays(layout.results(suite, name, seed) / "energies.npz")
    about = forms.Reference.read(Path("reference") / suite / "reference.json")
    protocol = {
        "generated": f"{wanted.generated:,} images, a draw of its own for every training seed "
        f"(seed {wanted.seed} + the training's)",
        "energies": f"at most {wanted.energies:,} images per set",
    }
    return (
        Measurement(protocol=protocol)
        | extract.measure(generated, about)
        | measure("of_energies", energies)
    )


def _budget(
    suite: str, name: str, settings: Params, images: Mapping[str, int] | None
) -> dict[str, Any]:
    """How much of the epochs in params.yaml was run: the part, and by key (run, of how many).

    An epoch over a part of the training images, where `images` says so, is that part of an epoch.
    """
    whole, run = settings.suite(suite).block(name), settings.block(suite, name)
    epochs = {
        key: {"run": getattr(run.hparams, key), "of": getattr(whole.hparams, key)}
        for key, field in type(whole.hparams).model_fields.items()
        if types.in_epochs(field)
    }
    fraction = settings.suite(suite).budget * whole.epoch_fraction
    if images is None:
        return {"epoch_fraction": fraction, "epochs": epochs}
    fraction *= images["run"] / images["of"]
    return {"epoch_fraction": fraction, "epochs": epochs, "images": images}


def _trained(part: dict[str, Any]) -> str:
    counts = [f"{n['run']:,} of {n['of']:,} {key}" for key, n in sorted(part["epochs"].items())]
    told = ", ".join(counts).replace("_", " ") or "no epochs"
    share, images = part["epoch_fraction"], part.get("images")
    if images is None:
        return f"{told} in params.yaml (budget x epoch_fraction = {share:g})"
    return (
        f"{told} in params.yaml, over a part of the data: {images['run']:,} of {images['of']:,} "
        f"training images (budget x epoch_fraction x part = {share:g})"
    )


@torch.no_grad()
def _energies(suite: str, model: Method, generated: np.ndarray, wanted: Evaluate) -> dict[str, Any]:
    """Energy per image of each kind of image, float32."""
    (seen, _), (real, _) = (data.read(Path("data") / suite, s) for s in ("train", wanted.split))
    real, n, seed = real[: wanted.energies], wanted.energies, wanted.seed
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
    suite: str, model: Method, generated: np.ndarray, wanted: Evaluate
) -> dict[str, float]:
    """What needs the trained networks: codes, reconstructions, and the paper's own questions."""
    values: dict[str, float] = {}
    real, _ = data.read(Path("data") / suite, wanted.split)
    energy = functools.cache(lambda: models.in_batches(model.energy, generated))
    if isinstance(model, AutoEncodes):
        values["cos2_code"] = pulling_away.pulling_away(models.in_batches(model.code, generated))

        def squared_error(x: torch.Tensor) -> torch.Tensor:  # of each image, mean over its pixels
            return (x - model.reconstruct(x)).square().flatten(1).mean(1)

        values["reconstruction"] = math.sqrt(models.in_batches(squared_error, real).mean())
        # A reconstruction error is at least 0, so the ratio of two of them means something.
        values["ratio"] = separation.ratio(energy(), models.in_batches(model.energy, real))
    if model.hinge is not None:
        values["margin"] = float(model.hinge)
        values["hinge_active"] = separation.hinge_active(energy(), values["margin"])
    if isinstance(model, Diagnoses):
        values |= model.diagnose(*(models.Split(suite, s) for s in ("train", wanted.split)))
    return values


@torch.no_grad()
def _rebuild(suite: str, model: ComparesStarts, wanted: Evaluate, out: Path) -> None:
    """Write reconstructions.npz: the first images, and what is left of them, uint8 (n, C, H, W).

    `original`, an array for each of the method's networks, and `pca` with as many components as the
    code has numbers.
    """
    (seen, _), (shown, _) = (data.read(Path("data") / suite, s) for s in ("train", wanted.split))
    shown = np.array(shown[:REBUILT])
    x = images.from_uint8(shown).to(device.device())
    components = min(model.code(x).shape[1], shown[0].size)
    pca = check.principal_components([seen], components)
    rebuilt = {start: images.to_uint8(x_hat) for start, x_hat in model.reconstructions(x).items()}
    with atomic.atomic_write(out / "reconstructions.npz") as partial:
        np.savez(partial, allow_pickle=False, original=shown, **rebuilt, pca=pca.reconstruct(shown))


@torch.no_grad()
def _of_a_plane(suite: str, model: Method, wanted: Evaluate, out: Path) -> dict[str, float]:
    """Of a method whose code is two numbers, which can be drawn: how far it keeps classes apart,
    beside two principal components.

    Writes codes.npz: `code` and `pca` (N, 2) float16 of the images compared with, `labels` (N,).
    """
    (seen, known), (shown, labels) = (
        data.read(Path("data") / suite, split) for split in ("train", wanted.split)
    )
    if not isinstance(model, AutoEncodes) or models.in_batches(model.code, shown[:1]).shape[1] != 2:
        return {}
    components = check.principal_components([seen], 2)
    values, drawn = {}, {}
    ways = {"code": functools.partial(models.in_batches, model.code), "pca": components.codes}
    for way, encode in ways.items():
        codes = encode(shown)
        drawn[way] = codes.astype(np.float16)
        values[f"neighbour_error_{way}"] = neighbours.neighbour_error(
            encode(seen), known, codes, labels, wanted.neighbours
        )
    with atomic.atomic_write(out / "codes.npz") as partial:
        np.savez(partial, allow_pickle=False, **drawn, labels=labels.astype(np.uint8))
    return values
