"""Detection: what has an energy above that of the data is something else.

Learning has pushed the energy down on data and, in most methods, up elsewhere; where "elsewhere"
was the generator's images only, it was never pushed up far from the data. The other data here are
made from the suite's own images (shuffled, mirrored, turned, averaged), from noise, photographs and
other suites of the same image shape. No class is held out: that would be another training.
"""

from __future__ import annotations

import numpy as np

from ebmrepro import data
from ebmrepro.data import corruptions, ood_images
from ebmrepro.metrics import separation
from ebmrepro.networks import images
from ebmrepro.runs import models
from ebmrepro.studies.tour.material import Material
from ebmrepro.studies.tour.question import Answer, Question

SHOWN = 10  # images of each kind in the picture


class Detection(Question):
    """Count and seed are those of the stage `evaluate`, which measures the first three too."""

    def __init__(self, material: Material):
        super().__init__(material)
        n, seed = material.evaluate.energies, material.evaluate.seed
        self.test = test = material.test[:n]
        shape = test.shape[1:]
        self.others = {  # kind -> uint8 (N, C, H, W)
            "noise": ood_images.noise(shape, n, seed),
            "shuffled": ood_images.shuffled(test, seed),
            "patches": ood_images.patches(shape, n, seed),
            "mirrored": corruptions.mirrored(test),
            "turned": corruptions.turned(test),
        }
        self.missing: dict[str, str] = {}  # kind -> why it is not there
        labels = material.test_labels[:n]
        if len(np.unique(labels)) > 1:
            self.others["averaged"] = corruptions.averaged(test, labels, seed)
        else:
            self.missing["averaged"] = f"the {len(test):,} {material.split} images are of one class"
        for suite in material.asked.others:
            try:
                self.others[suite] = _test_images(material, suite, shape)[:n]
            except data.DataError as error:
                self.missing[suite] = str(error)

    def answer(self, model):
        real = models.in_batches(model.energy, self.test)
        values = {
            f"auroc_{kind}": separation.auroc(real, models.in_batches(model.energy, pictures))
            for kind, pictures in self.others.items()
        }
        answer = Answer.missing({f"auroc_{kind}": why for kind, why in self.missing.items()})
        answer.values |= values
        return answer

    def shared(self):
        """Test images and the first of each kind, a row for each."""
        rows = [x[:SHOWN] for x in (self.test, *self.others.values())]
        return Answer(pictures={"detection": images.grid(np.concatenate(rows), SHOWN)})


def _test_images(material: Material, suite: str, shape: tuple[int, ...]) -> np.ndarray:
    """From the suite's source, verified, whether or not the suite is run here."""
    block = material.settings.suites[suite].data
    fetched = data.load_source(block.source).fetch(block)
    if not isinstance(fetched, data.Images):
        raise data.DataError(
            f"{suite}: the images of {block.source} are too many to be read for another suite's "
            "tour; tour.others takes suites of digits, mnist, fashion_mnist, cifar10, olivetti"
        )
    if fetched.images.shape[1:] != shape:
        raise data.DataError(f"{suite}: images of {fetched.images.shape[1:]}, expected {shape}")
    return fetched.images[data.split(fetched, block, suite)["test"]]
