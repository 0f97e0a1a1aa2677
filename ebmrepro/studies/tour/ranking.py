"""Ranking: of two images, the one of lower energy is the likelier one.

p(x) / p(x') = exp(E(x') - E(x)) needs no partition function. The ground truth here is made: the
same image, spoilt more and more, should have a higher and higher energy. An auto-encoder's energy
is a reconstruction error, which is low wherever little has to be reconstructed: a blurred, a grey
or a mostly black image can have a lower energy than a digit.

Ranking given X: of all halves that could stand below the upper half of an image, its own should
have the lowest energy. Nobody made that truth but the data.
"""

from __future__ import annotations

import numpy as np

from ebmrepro.data.corruptions import CORRUPTIONS
from ebmrepro.methods.base import Method
from ebmrepro.metrics import rank
from ebmrepro.networks import images
from ebmrepro.runs import models
from ebmrepro.studies.tour.material import Material
from ebmrepro.studies.tour.question import Answer, Question

HALVES = 20  # lower halves of other images that an image's own one is held to


class Ranking(Question):
    def __init__(self, material: Material):
        super().__init__(material)
        asked, seed = material.asked.ranking, material.asked.seed
        x = material.test[: asked.images]
        # Corruption -> (L,), rising from 0, and uint8 (L, N, C, H, W).
        self.amounts = {name: np.array([0.0, *getattr(asked, name)]) for name in CORRUPTIONS}
        self.pictures = {
            name: np.stack([corrupt(x, amount, seed=seed) for amount in self.amounts[name]])
            for name, corrupt in CORRUPTIONS.items()
        }
        # uint8 (1 + M, N, C, H, W): N upper halves above their own lower half, then above those of
        # the M images that follow.
        others = range(min(HALVES + 1, len(x)))
        self.completed = np.stack([_above(x, np.roll(x, -i, axis=0)) for i in others])

    def answer(self, model):
        answer = Answer()
        for name, pictures in self.pictures.items():
            E = _energies(model, pictures)
            amounts = self.amounts[name]
            answer.values[f"tau_{name}"] = rank.kendall_tau(amounts, E.T).mean()
            answer.values[f"ordered_{name}"] = rank.ordered_share(amounts, E.T).mean()
            spread = E[0].std() or 1.0  # a collapsed energy has none
            answer.arrays[f"rise_{name}"] = (E - E[0]).mean(axis=1) / spread
        own, *others = _energies(model, self.completed)
        answer.values["ordered_halves"] = np.mean((own < others) + 0.5 * (own == others))
        return answer

    def shared(self):
        """The amounts, and one test image at each of them, a row for each corruption."""
        columns = max(map(len, self.pictures.values()))
        rows = [images.grid(p[:, 0], columns) for p in self.pictures.values()]
        gap = np.full_like(rows[0][:1], images.SEPARATOR)
        arrays = {f"amounts_{name}": amounts for name, amounts in self.amounts.items()}
        joined = [part for row in rows for part in (row, gap)][:-1]
        return Answer(arrays=arrays, pictures={"ranking": np.concatenate(joined)})


def _energies(model: Method, pictures: np.ndarray) -> np.ndarray:
    """uint8 (L, N, C, H, W) -> float64 (L, N)."""
    levels, count = pictures.shape[:2]
    E = models.in_batches(model.energy, pictures.reshape(-1, *pictures.shape[2:]))
    return E.reshape(levels, count).astype(np.float64)


def _above(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """The upper half of one set of images (N, C, H, W) on the lower half of another."""
    middle = upper.shape[2] // 2
    return np.concatenate([upper[:, :, :middle], lower[:, :, middle:]], axis=2)
