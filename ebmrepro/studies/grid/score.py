"""What judges the images of a grid: a classifier of ours, the same for every configuration."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from ebmrepro import data
from ebmrepro.config.grid import Grid
from ebmrepro.metrics import coverage, inception_score
from ebmrepro.metrics.classification import error_rate
from ebmrepro.metrics.modified_inception_score import modified_inception_score
from ebmrepro.networks import layers, threads
from ebmrepro.networks.random import seeded
from ebmrepro.studies.grid.play import padded
from ebmrepro.training import classifier


class Judge:
    """A network of the suite's training images, trained and asked with one thread on the CPU: the
    same bytes on any number of cores.
    """

    def __init__(self, suite: str, grid: Grid, split: str):
        threads.one()  # from here on, so for scores as well
        folder, asked = Path("data") / suite, grid.classifier
        (x, y), (test_x, test_y) = (data.read(folder, part) for part in ("train", split))
        x, test_x = (padded(part, grid) for part in (x, test_x))
        classes = len(data.describe(folder)["classes"])
        with seeded(asked.seed, torch.device("cpu")):
            self.network = layers.encoder(asked.network, x.shape[1:], classes)
        how = {"epochs": asked.epochs, "batch_size": asked.batch_size, "seed": asked.seed}
        for _ in classifier.train(self.network, x, y, asked.optim, **how):
            pass
        self.error = error_rate(self.log_probabilities(test_x).argmax(1), test_y)
        self.reference = self.scores(test_x)  # of real images
        weights = [p.detach().numpy().tobytes() for p in self.network.parameters()]
        self.sha256 = hashlib.sha256(b"".join(weights)).hexdigest()

    @torch.no_grad()
    def log_probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """log p(y|x) of uint8 (N, C, H, W), float64 (N, classes)."""
        logits = classifier.logits(self.network, pictures)
        return logits.double().log_softmax(1).numpy()

    def scores(self, pictures: np.ndarray) -> dict[str, float]:
        """I', its squared form, the Inception score in one split, and how many classes are
        likeliest for an image.
        """
        log_p = self.log_probabilities(pictures)
        histogram = coverage.class_histogram(np.exp(log_p), confidence=0.5)
        return {
            "score": modified_inception_score(log_p),
            "score_squared": modified_inception_score(log_p, power=2),
            "inception_score": inception_score.inception_score(np.exp(log_p), splits=1)[0],
            "classes": int(np.count_nonzero(histogram)),
        }
