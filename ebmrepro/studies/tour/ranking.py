"""Ranking: of two images, the one of lower energy is the likelier one.

p(x) / p(x') = exp(E(x') - E(x)) needs no partition function. The ground truth here is made: the
same image, spoilt more and more, should have a higher and higher energy. An auto-encoder's energy
is a reconstruction error, which is low wherever little has to be reconstructed: a blurred, a grey
or a mostly black image can have a lower energy than a digit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ebmrepro.data.corruptions import CORRUPTIONS
from ebmrepro.methods.base.method import Method
from ebmrepro.metrics import rank
from ebmrepro.networks import images
from ebmrepro.runs import models
from ebmrepro.studies.tour.answer import Answer
from ebmrepro.studies.tour.material import Material


@dataclass(frozen=True)
class Question:
    amounts: dict[str, np.ndarray]  # corruption -> (L,), rising from 0
    pictures: dict[str, np.ndarray]  # corruption -> uint8 (L, N, C, H, W)


def prepare(material: Material) -> Question:
    asked, seed = material.asked.ranking, material.asked.seed
    x = material.test[: asked.images]
    amounts = {name: np.array([0.0, *getattr(asked, name)]) for name in CORRUPTIONS}
    pictures = {
        name: np.stack([corrupt(x, amount, seed=seed) for amount in amounts[name]])
        for name, corrupt in CORRUPTIONS.items()
    }
    return Question(amounts, pictures)


def answer(model: Method, question: Question) -> Answer:
    found = Answer()
    for name, pictures in question.pictures.items():
        levels, count = pictures.shape[:2]
        E = models.in_batches(model.energy, pictures.reshape(-1, *pictures.shape[2:]))
        E = E.reshape(levels, count).astype(np.float64)
        amounts = question.amounts[name]
        found.values[f"tau_{name}"] = float(rank.kendall_tau(amounts, E.T).mean())
        found.values[f"ordered_{name}"] = float(rank.ordered_share(amounts, E.T).mean())
        spread = E[0].std() or 1.0  # a collapsed energy has none
        found.arrays[f"rise_{name}"] = (E - E[0]).mean(axis=1) / spread
    return found


def shared(material: Material, question: Question) -> Answer:
    """The amounts, and one test image at each of them, a row for each corruption."""
    columns = max(len(p) for p in question.pictures.values())
    rows = [images.grid(p[:, 0], columns) for p in question.pictures.values()]
    gap = np.full((1, rows[0].shape[1], *rows[0].shape[2:]), images.SEPARATOR, dtype=np.uint8)
    arrays = {f"amounts_{name}": amounts for name, amounts in question.amounts.items()}
    joined = [part for row in rows for part in (row, gap)][:-1]
    return Answer({}, arrays, {"ranking": np.concatenate(joined)})
