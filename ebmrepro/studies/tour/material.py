"""The real images of a suite that questions are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ebmrepro import data
from ebmrepro.config import evaluation, params, tour
from ebmrepro.methods.base import Method
from ebmrepro.methods.base.abilities import ModelsLabels
from ebmrepro.runs import models

Energies = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Material:
    """Arrays of images are uint8 (N, C, H, W), of labels int64 (N,)."""

    suite: str
    settings: params.Params
    classes: int
    split: str  # what numbers are measured on
    test: np.ndarray
    test_labels: np.ndarray
    train: np.ndarray
    held_out: np.ndarray  # what is fitted or chosen is fitted or chosen on these
    held_out_labels: np.ndarray
    held_out_words: str

    @property
    def asked(self) -> tour.Tour:
        return self.settings.suites[self.suite].tour

    @property
    def evaluate(self) -> evaluation.Evaluate:
        return self.settings.suites[self.suite].evaluate


def read(suite: str, settings: params.Params) -> Material:
    """The suite's images; a draw of the split that `evaluate` measures on is never fitted on.

    Temperatures and stopping times are fitted on the validation split where the suite holds one out
    (and does not measure on it). Else they are fitted on training images, which the models have
    seen: they are too confident there, so that the fitted temperature is too low.
    """
    folder = Path("data") / suite
    block = settings.suites[suite]
    split = block.evaluate.split
    test, test_labels = data.read(folder, split)
    train, train_labels = data.read(folder, "train")
    unseen = block.data.validation and split != "validation"
    pool, labels = data.read(folder, "validation") if unseen else (train, train_labels)
    count = min(block.tour.conditional.fitted_on, len(pool))
    chosen = np.random.RandomState(block.tour.seed).permutation(len(pool))[:count]
    where = "validation images" if unseen else "training images, which the model has seen"
    return Material(
        suite,
        settings,
        len(data.describe(folder)["classes"]),
        split,
        np.array(test),
        test_labels,
        train,
        pool[np.sort(chosen)],
        labels[np.sort(chosen)],
        f"{count:,} {where}",
    )


@torch.no_grad()
def label_energies(model: Method) -> Energies | None:
    """F(x, y) as a function of uint8 images, (N, C, H, W) -> float64 (N, classes).

    None where the method has no energy of images with labels.
    """
    if not isinstance(model, ModelsLabels):
        return None
    F = model.joint_free_energy
    return lambda pictures: models.in_batches(F, pictures).astype(np.float64)
