"""The real images of a suite that questions are made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ebmrepro import data
from ebmrepro.config import params
from ebmrepro.methods.base import Method
from ebmrepro.methods.base.abilities import ModelsLabels
from ebmrepro.runs import models

Energies = Callable[[np.ndarray], np.ndarray]
ONE_CLASS = "the images are of one class"  # why labels are not asked for


class Material:
    """Images, uint8 (N, C, H, W), and labels, int64 (N,): `test` to measure on, `train` to compare
    with, `held_out` to fit and choose on.

    Temperatures and stopping times are fitted on the validation split where the suite holds one out
    (and does not measure on it). Else they are fitted on training images, which the models have
    seen: they are too confident there, so that the fitted temperature is too low.
    """

    def __init__(self, suite: str, settings: params.Params):
        folder, block = Path("data") / suite, settings.suites[suite]
        self.settings, self.asked, self.evaluate = settings, block.tour, block.evaluate
        self.classes = len(data.describe(folder)["classes"])
        self.split = block.evaluate.split
        self.test, self.test_labels = data.read(folder, self.split)
        self.train, train_labels = data.read(folder, "train")
        unseen = block.data.validation and self.split != "validation"
        pool, labels = data.read(folder, "validation") if unseen else (self.train, train_labels)
        count = min(block.tour.conditional.fitted_on, len(pool))
        drawn = np.random.RandomState(block.tour.seed).permutation(len(pool))[:count]
        self.held_out, self.held_out_labels = pool[np.sort(drawn)], labels[np.sort(drawn)]
        where = "validation images" if unseen else "training images, which the model has seen"
        self.held_out_words = f"{count:,} {where}"


@torch.no_grad()
def label_energies(model: Method) -> Energies | None:
    """F(x, y) as a function of uint8 images, (N, C, H, W) -> float64 (N, classes).

    None where the method has no energy of images with labels.
    """
    if not isinstance(model, ModelsLabels):
        return None
    F = model.joint_free_energy
    return lambda pictures: models.in_batches(F, pictures).astype(np.float64)
