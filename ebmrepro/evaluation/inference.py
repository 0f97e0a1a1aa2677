"""What a model of images with labels takes images for, and what it has in mind of each label.

The figures of Hinton, Osindero and Teh (2006), as they are remembered: the images that the network
gets wrong (6), those whose second label is within 0.3 of the first (7), ten samples of each label
with 1,000 Gibbs steps before each (8), and a chain of each label from random pixels, shown every 20
steps (9). Here every sample of figure 8 is a chain's own, which starts as those of figure 9 do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

import numpy as np
import torch

from ebmrepro import data
from ebmrepro.config.evaluation import Evaluate
from ebmrepro.methods.base import Labelled, Method
from ebmrepro.methods.base.abilities import InfersLabels
from ebmrepro.metrics.classification import error_rate
from ebmrepro.networks import device, images
from ebmrepro.networks.random import seeded
from ebmrepro.runs import models
from ebmrepro.system import atomic

Scores = Mapping[str, np.ndarray]  # way -> log p(y | x), (N, classes)

DRAWN = 10  # samples of each label, and looks at the chain of each
STEPS = 1000  # Gibbs steps before a sample
LOOKS = [20 * i for i in range(DRAWN)]  # Gibbs steps before each look
KEPT = 50  # pictures of images that a way gets wrong, the worst
CLOSE = 0.3  # between the probabilities of the first and the second label


def infer(model: InfersLabels, split: Iterable[Labelled]) -> tuple[Scores, np.ndarray]:
    """Of every image of a split, with its label (N,); the same draws whenever it is called."""
    with torch.no_grad(), seeded(0, device.device()):
        found, labels = zip(*((model.infer(x), y) for x, y in split), strict=True)
    scores = {way: torch.cat([part[way] for part in found]).cpu().numpy() for way in found[0]}
    return scores, torch.cat(labels).cpu().numpy()


def errors(scores: Scores, labels: np.ndarray) -> dict[str, float]:
    """Share of images whose most probable label is wrong, by way, as `error_<way>`."""
    return {f"error_{way}": error_rate(each.argmax(1), labels) for way, each in scores.items()}


def mistaken(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Images that are taken for others, int32 (n, 3): number, label, label given; the worst first,
    whose true label has the least of the given one's probability.
    """
    given = scores.argmax(1)
    (wrong,) = np.nonzero(given != labels)
    lead = scores[wrong, given[wrong]] - scores[wrong, labels[wrong]]
    return _rows(wrong[np.argsort(-lead, kind="stable")], labels, given)


def close(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Images that are taken for what they are, but hardly, int32 (n, 3): number, label, the second
    most probable one; the closest first.
    """
    second, first = np.argsort(scores, axis=1, kind="stable")[:, -2:].T
    every = np.arange(len(scores))
    lead = np.exp(scores[every, first]) - np.exp(scores[every, second])
    (found,) = np.nonzero((first == labels) & (lead < CLOSE))
    return _rows(found[np.argsort(lead[found], kind="stable")], labels, second)


def _rows(which: np.ndarray, labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.stack([which, labels[which], others[which]], 1).astype(np.int32)


@torch.no_grad()
def measure(
    suite: str, model: InfersLabels, wanted: Evaluate, seed: int, out: Path
) -> dict[str, float]:
    """Errors by way; writes labels.npz.

    `samples` and `chains`, uint8 (classes, DRAWN, C, H, W), after `sample_steps` and `chain_steps`;
    `wrong_<way>` as `mistaken` has them, `close` of the paper's own way; `pictures`, uint8
    (n, C, H, W), of the images with the `numbers` (n,), the first KEPT of each list.
    """
    shown, _ = data.read(Path("data") / suite, wanted.split)
    scores, labels = infer(model, models.Split(suite, wanted.split))
    lists = {f"wrong_{way}": mistaken(each, labels) for way, each in scores.items()}
    lists["close"] = close(next(iter(scores.values())), labels)
    numbers = np.unique(np.concatenate([rows[:KEPT, 0] for rows in lists.values()]))
    classes = torch.arange(cast(Method, model).classes, device=device.device())
    with seeded(wanted.seed + seed, device.device()):
        samples = model.imagine(classes.repeat_interleave(DRAWN), [STEPS])
        chains = model.imagine(classes, LOOKS)
    with atomic.atomic_write(out / "labels.npz") as partial:
        np.savez_compressed(
            partial,
            allow_pickle=False,
            samples=images.to_uint8(samples[:, 0].unflatten(0, (-1, DRAWN))),
            sample_steps=np.array(STEPS),
            chains=images.to_uint8(chains),
            chain_steps=np.array(LOOKS),
            numbers=numbers,
            pictures=shown[numbers],
            **lists,
        )
    return errors(scores, labels)
