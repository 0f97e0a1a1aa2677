"""The stage `reference`: features of the real images, which generated ones are held against."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ebmrepro import data
from ebmrepro.config.evaluation import Evaluate
from ebmrepro.config.params import Params
from ebmrepro.data import ood_images
from ebmrepro.evaluation import in_inception
from ebmrepro.methods.base.abilities import Extracts
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import Measurement, measure
from ebmrepro.networks import device, images, threads
from ebmrepro.runs import layout, models, results
from ebmrepro.system import atomic

REAL = 64  # real images that the report shows, the first of their split ...
COLUMNS = 8  # ... in a grid


class Extractor:
    """The last hidden layer of the suite's fine-tuned DBN classifier, of a seed of the run."""

    def __init__(self, suite: str, settings: Params, seed: int | None = None):
        self.seed = settings.run.seeds[0] if seed is None else seed
        dbn = models.restore(suite, "dbn", self.seed, settings)
        assert isinstance(dbn, Extracts), "the block `dbn` is a DBN's"
        threads.fit(dbn)
        self.dbn = dbn
        weights = layout.folder(suite, "dbn", self.seed) / "model.safetensors"
        self.sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()

    @property
    def title(self) -> str:
        return f"DBN classifier of seed {self.seed}, last hidden layer"

    @torch.no_grad()
    def __call__(self, pictures: np.ndarray) -> Features:
        """uint8 (N, C, H, W) -> features."""
        features = models.in_batches(self.dbn.features, pictures)
        classify = self.dbn.classify(torch.from_numpy(features).to(device.device()))
        return Features("dbn", features, classify.cpu().numpy())


def reference(suite: str, settings: Params) -> dict[str, Any]:
    """Features of the real images, per extractor, and what is no system's: rows that stand in every
    table, so that nobody takes a copy for a good image.

    Writes reference/<suite>/dbn.npz, inception-<split>.npz where the weights are at hand,
    reference.json; and results/<suite>/reference/, what a report needs of all this and of the data,
    without them.
    """
    out = Path("reference") / suite
    out.mkdir(parents=True, exist_ok=True)
    wanted = settings.suites[suite].evaluate
    extract = Extractor(suite, settings)
    (real, _), (seen, _) = (data.read(Path("data") / suite, s) for s in (wanted.split, "train"))
    seen = seen[: wanted.generated]  # as many as are generated, where there are so many
    of_real, of_seen = extract(real), extract(seen)
    with atomic.atomic_write(out / "dbn.npz") as partial:
        np.savez(
            partial,
            features=of_real.features,
            probabilities=of_real.probabilities,
            seen_features=of_seen.features,
            seen_probabilities=of_seen.probabilities,
        )
    card: dict[str, Any] = {
        "suite": suite,
        "split": wanted.split,
        "count": len(real),
        "extractor": f"{extract.title}, {of_real.features.shape[1]} features",
        "extractor_sha256": extract.sha256,
        "rows": {
            row: in_features(of_seen, of_real, extract(pictures), wanted).values
            for row, pictures in _rows(seen, wanted).items()
        },
        "rows_protocol": f"copies of the first {len(seen):,} training images, as many draws of "
        "uniform noise, and their mean image as often, measured as if they were generated; the "
        "extractor's classifier was trained on the training images",
    }
    card |= in_inception.keep(suite, wanted, out)
    values, protocol = in_inception.floor(suite, wanted, out, card)
    card["rows"]["copies"] |= values
    card["rows_protocol"] += protocol
    atomic.write_json(out / "reference.json", card)
    shown = Path("results") / suite / "reference"
    shown.mkdir(parents=True, exist_ok=True)
    dataset = data.describe(Path("data") / suite)
    about = {"dataset": dataset, "evaluate": wanted.model_dump(exclude_none=True)}
    atomic.write_json(shown / "reference.json", {**card, **about})
    images.save_png(shown / "real.png", images.grid(np.array(real[:REAL]), COLUMNS))
    return card


def _rows(seen: np.ndarray, wanted: Evaluate) -> dict[str, np.ndarray]:
    """Images that no method made, uint8 (N, C, H, W), as many as there are in `seen`."""
    mean = np.array(seen, dtype=np.float64).mean(axis=0).round().astype(np.uint8)
    return {
        "copies": np.array(seen),
        "noise": ood_images.noise(seen.shape[1:], len(seen), wanted.seed),
        "mean": np.broadcast_to(mean, seen.shape),
    }


def in_features(seen: Features, real: Features, fake: Features, wanted: Evaluate) -> Measurement:
    """All that is measured in features, of generated images against real and training images."""
    return measure("of_features", real, fake, wanted) | measure(
        "of_training", seen, real, fake, wanted
    )


def second(suite: str, settings: Params) -> Extractor | None:
    """The DBN of the run's second seed, whose distances say how much of the first one's is its
    own; None of a run of one seed."""
    return Extractor(suite, settings, settings.run.seeds[1]) if settings.run.seeds[1:] else None


def read(suite: str) -> tuple[dict[str, Any], Features, Features]:
    """The card that `reference` left, and features in the DBN of training and of real images."""
    place = Path("reference") / suite
    stored = results.arrays(place / "dbn.npz")
    real = Features("dbn", stored["features"], stored["probabilities"])
    seen = Features("dbn", stored["seen_features"], stored["seen_probabilities"])
    return results.document(place / "reference.json"), seen, real
