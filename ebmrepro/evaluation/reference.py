"""The stage `reference`: the real images, which generated ones are held against, and what is no
system's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ebmrepro import data
from ebmrepro.config.evaluation import Evaluate
from ebmrepro.config.params import Params
from ebmrepro.data import ood_images
from ebmrepro.evaluation import in_inception, kept
from ebmrepro.methods.base.abilities import Extracts
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import Measurement, measure
from ebmrepro.metrics.memorisation import Known
from ebmrepro.networks import device, images, threads
from ebmrepro.runs import layout, models, results
from ebmrepro.system import atomic

REAL = 64  # real images that the report shows, the first of their split ...
COLUMNS = 8  # ... in a grid
AT_A_TIME = 1000  # feature vectors that are classified
SEEN = 60_000  # training images among which a copy is looked for, at most: all of MNIST


class Classifier:
    """The suite's fine-tuned DBN classifier of one seed."""

    def __init__(self, suite: str, seed: int, settings: Params):
        dbn = models.restore(suite, "dbn", seed, settings)
        assert isinstance(dbn, Extracts), "the block `dbn` is a DBN's"
        threads.fit(dbn)
        self.dbn = dbn
        self.title = f"DBN classifier of seed {seed}, last hidden layer"
        self.sha256 = hashlib.sha256(results.weights(_weights(suite, seed))).hexdigest()

    @torch.no_grad()
    def __call__(self, pictures: np.ndarray) -> Features:
        """uint8 (N, C, H, W) -> features in the last hidden layer."""
        features = models.in_batches(self.dbn.features, pictures)
        parts = (part.to(device.device()) for part in torch.from_numpy(features).split(AT_A_TIME))
        classified = np.concatenate([self.dbn.classify(part).cpu().numpy() for part in parts])
        return Features("dbn", features, classified)


class Extractor:
    """The DBN of the run's first seed and, where there is one, that of the second beside it.

    How far distances in the two differ says how much of a distance is the extractor's. What they
    make of real images is kept; what can be known of these alone is found, or read from what the
    stage `reference` has `kept` of it.
    """

    def __init__(self, suite: str, settings: Params, *, kept: bool = False):
        self.suite, self.wanted, self.kept = suite, settings.suites[suite].evaluate, kept
        first, *others = settings.run.seeds
        self.first = Classifier(suite, first, settings)
        trained = [seed for seed in others[:1] if _weights(suite, seed).exists()]
        self.second = next((Classifier(suite, seed, settings) for seed in trained), None)

    def __call__(self, pictures: np.ndarray) -> Features:
        """uint8 (N, C, H, W) -> features."""
        found = self.first(pictures)
        return replace(found, second=self.second(pictures).gaussian) if self.second else found

    def images(self, split: str) -> np.ndarray:
        return data.read(Path("data") / self.suite, split)[0]

    @cached_property
    def _of_real(self) -> tuple[Features, Known]:
        real = self(self.images(self.wanted.split))
        seen, told = in_inception.spaced(self.images("train"), SEEN)
        held_out, _ = in_inception.spaced(real.features, self.wanted.generated)
        known = Known(self.first(seen), replace(real, features=held_out), told)
        if self.kept:
            return kept.load(self._file, real, known, self.first.sha256)
        return kept.find(real, known, self.wanted)

    @property
    def real(self) -> Features:
        """Of the images that generated ones are compared with."""
        return self._of_real[0]

    @property
    def known(self) -> Known:
        """Of the training images, which a copy would be of, and of images nobody has seen."""
        return self._of_real[1]

    @property
    def _file(self) -> Path:
        return Path("reference") / self.suite / "kept-dbn.npz"

    def keep(self) -> None:
        """Write reference/<suite>/kept-dbn.npz."""
        kept.save(self._file, self.real, self.known, self.first.sha256)

    @property
    def protocol(self) -> dict[str, str]:
        there = {"extractor": self.first, "second_extractor": self.second}
        told: dict[str, str] = {}
        for name, found in there.items():
            if found:
                title = f"{found.title}, {self.real.features.shape[1]} features"
                told |= {name: title, f"{name}_sha256": found.sha256}
        return told

    def measure(self, pictures: np.ndarray, about: Mapping[str, Any]) -> Measurement:
        """All that is measured of generated images, uint8 (N, C, H, W), without their model.

        `about` is what reference.json says of the Inception network.
        """
        place, fake = Path("reference") / self.suite, self(pictures)
        protocol = {"reference": f"{self.wanted.split} split, {len(self.real.features):,} images"}
        return (
            Measurement(protocol=protocol | self.protocol)
            | measure("of_features", self.real, fake, self.wanted)
            | measure("of_training", self.known, fake, self.wanted)
            | measure("of_images", self.images(self.wanted.split), pictures, self.wanted)
            | in_inception.measure(self.suite, place, about, pictures, self.wanted)
        )


def reference(suite: str, settings: Params) -> dict[str, Any]:
    """What real images are in the Inception network, and what is no system's: rows that stand in
    every table, measured as systems are, so that nobody takes a copy for a good image.

    Writes reference/<suite>/: reference.json, kept-dbn.npz, and inception-<split>.npz and
    kept-inception.npz where the weights are at hand; and results/<suite>/reference/, what a report
    needs of all this and of the data, without them.
    """
    out = Path("reference") / suite
    out.mkdir(parents=True, exist_ok=True)
    wanted = settings.suites[suite].evaluate
    card = in_inception.keep(suite, wanted, out)
    extract = Extractor(suite, settings)
    extract.keep()
    real, rows = extract.images(wanted.split), _rows(extract.images("train"), wanted)
    measured = {row: extract.measure(pictures, card) for row, pictures in rows.items()}
    measured |= in_inception.held_out(suite, wanted, out, card)
    card |= {
        "suite": suite,
        "split": wanted.split,
        "count": len(real),
        **extract.protocol,
        "rows": {row: _without_protocol(found) for row, found in measured.items()},
        "protocol": measured["copies"].protocol,
        "rows_protocol": f"{wanted.generated:,} training images drawn with replacement (seed "
        f"{wanted.seed}), as many of uniform noise, and the training images' mean as often, "
        "measured as if they were generated; the extractor's classifier was trained on the "
        "training images",
    }
    atomic.write_json(out / "reference.json", card)
    shown = Path("results") / suite / "reference"
    shown.mkdir(parents=True, exist_ok=True)
    dataset = data.describe(Path("data") / suite)
    about = {"dataset": dataset, "evaluate": wanted.model_dump(exclude_none=True)}
    atomic.write_json(shown / "reference.json", {**card, **about})
    images.save_png(shown / "real.png", images.grid(np.array(real[:REAL]), COLUMNS))
    return card


def _rows(seen: np.ndarray, wanted: Evaluate) -> dict[str, np.ndarray]:
    """Images that no method made, as many as a system's, of training images uint8 (N, C, H, W)."""
    n, shape = wanted.generated, seen.shape[1:]
    drawn = np.random.RandomState(wanted.seed).randint(0, len(seen), n)
    mean = seen.mean(axis=0, dtype=np.float64).round().astype(np.uint8)
    return {
        "copies": np.array(seen[drawn]),
        "noise": ood_images.noise(shape, n, wanted.seed),
        "mean": np.broadcast_to(mean, (n, *shape)),
    }


def _without_protocol(row: Measurement) -> dict[str, Any]:
    """Its document less what is the same for all rows."""
    return {part: told for part, told in row.document().items() if part != "protocol"}


def _weights(suite: str, seed: int) -> Path:
    return layout.folder(suite, "dbn", seed) / "model.safetensors"
