"""The stage `reference`: features of the real images, which generated ones are held against."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ebmrepro import data
from ebmrepro.config.params import Params
from ebmrepro.evaluation import in_inception
from ebmrepro.methods.base.abilities import Extracts
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import measure
from ebmrepro.networks import device, images, threads
from ebmrepro.runs import layout, models, results
from ebmrepro.system import atomic

REAL = 64  # real images that the report shows, the first of their split ...
COLUMNS = 8  # ... in a grid


class Extractor:
    """The last hidden layer of the suite's fine-tuned DBN classifier, of the run's first seed."""

    def __init__(self, suite: str, settings: Params):
        self.seed = settings.run.seeds[0]
        dbn = models.restore(suite, "dbn", self.seed, settings)
        assert isinstance(dbn, Extracts), "the block `dbn` is a DBN's"
        threads.fit(dbn)
        self.dbn = dbn
        weights = layout.folder(suite, "dbn", self.seed) / "model.safetensors"
        self.sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()

    @torch.no_grad()
    def __call__(self, pictures: np.ndarray) -> Features:
        """uint8 (N, C, H, W) -> features."""
        features = models.in_batches(self.dbn.features, pictures)
        classify = self.dbn.classify(torch.from_numpy(features).to(device.device()))
        return Features("dbn", features, classify.cpu().numpy())


def reference(suite: str, settings: Params) -> dict[str, Any]:
    """Features of the real images, per extractor, and the floor: train measured against the split.

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
    of_real = extract(real)
    with atomic.atomic_write(out / "dbn.npz") as partial:
        np.savez(partial, features=of_real.features, probabilities=of_real.probabilities)
    card: dict[str, Any] = {
        "suite": suite,
        "split": wanted.split,
        "count": len(real),
        "extractor": f"DBN classifier of seed {extract.seed}, last hidden layer, "
        f"{of_real.features.shape[1]} features",
        "extractor_sha256": extract.sha256,
        "floor": measure("of_features", of_real, extract(seen), wanted).values,
        "floor_protocol": f"the first {len(seen):,} training images, measured as if they were "
        "generated; the extractor's classifier was trained on them",
    }
    card |= in_inception.keep(suite, wanted, out)
    values, protocol = in_inception.floor(suite, wanted, out, card)
    card["floor"] |= values
    card["floor_protocol"] += protocol
    atomic.write_json(out / "reference.json", card)
    shown = Path("results") / suite / "reference"
    shown.mkdir(parents=True, exist_ok=True)
    dataset = data.describe(Path("data") / suite)
    about = {"dataset": dataset, "evaluate": wanted.model_dump(exclude_none=True)}
    atomic.write_json(shown / "reference.json", {**card, **about})
    images.save_png(shown / "real.png", images.grid(np.array(real[:REAL]), COLUMNS))
    return card


def read(suite: str) -> tuple[dict[str, Any], Features]:
    """The card that `reference` left, and the features of the real images in the DBN."""
    place = Path("reference") / suite
    stored = results.arrays(place / "dbn.npz")
    real = Features("dbn", stored["features"], stored["probabilities"])
    return results.document(place / "reference.json"), real
