"""Classifiers that a DBN is held against, on the same split.

Hinton, Osindero, Teh: A fast learning algorithm for deep belief nets. Neural Computation 18, 2006,
table 1: a support vector machine with a polynomial kernel of degree 9 (1.4 % errors on MNIST),
networks by back-propagation (784-500-300-10 with weight decay 1.51 %, 784-800-10 with early
stopping 1.53 %), the nearest training image in L3 and L2 norm (2.8, 3.1 %). Second hand, but for
the last, which is recalled. Where `selected` asks for it, the DBN itself by the paper's protocol.

Not recoverable from the paper, so ours: the rates, epochs and images held out of the networks,
rectified units, and C. Kernel and scaling are those of the support vector machine that such tables
quote, as it is remembered (DeCoste and Schölkopf, 2002): images of length 1, ((1 + u . v) / 2)^9;
scikit-learn's has one machine for each pair of classes. The neighbour is one image, the first of
equally near ones.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ebmrepro import data
from ebmrepro.config import params
from ebmrepro.config.classifiers import Backprop, SupportVectors
from ebmrepro.config.networks import MLP
from ebmrepro.config.params import Params
from ebmrepro.metrics.classification import error_rate
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.networks import layers, threads
from ebmrepro.networks.random import seeded
from ebmrepro.runs import layout, provenance
from ebmrepro.studies.classifiers import selection
from ebmrepro.studies.classifiers.selection import Split
from ebmrepro.system import atomic
from ebmrepro.training import classifier

SYSTEM = "classifiers"
AT_A_TIME = 100  # test images that are held to all training images
CACHED = 2**19  # differences of pixels that stay near the processor
CACHE = 1000  # megabytes of the kernel that are kept


def write(suite: str, seed: int, settings: Params) -> dict[str, Any]:
    """Train and test all of them, and write results/<suite>/classifiers/<seed>/metrics.json, which
    is returned. Only the networks differ between seeds.
    """
    asked, split = settings.classifiers(suite), settings.suite(suite).evaluate.split
    threads.one()  # the same sums in the same order on any machine
    began, started = monotonic(), provenance.start()
    train, test = (data.read(Path("data") / suite, part) for part in ("train", split))
    values = {
        "error_nearest_l2": nearest(train, test, torch.cdist),
        "error_nearest_l3": nearest(train, test, cubes),
        "error_support_vectors": support_vectors(train, test, asked.support_vectors),
        "error_backprop_two": backprop(train, test, asked.two_layers, seed),
        "error_backprop_one": backprop(train, test, asked.one_layer, seed),
    }
    told, trained = f"{len(train[0]):,} training images, {len(test[0]):,} of {split}", []
    if asked.selected:
        block = settings.block(suite, selection.SYSTEM)
        values |= selection.errors(train, test, block, asked.selected, seed)
        trained = [block.model_dump()]
    numbers = [suite, seed, asked.model_dump(exclude_none=True), *trained]
    document = {
        "suite": suite,
        "method": SYSTEM,
        "seed": seed,
        "fingerprint": params.digest(
            [*numbers, *(data.sha256(images) for images, _ in (train, test))]
        ),
        **Measurement({**values}, protocol={"classifiers": told}).document(),
    }
    out = layout.results(suite, SYSTEM, seed)
    out.mkdir(parents=True, exist_ok=True)
    atomic.write_json(out / "metrics.json", document)
    shown = sum(net.epochs * len(train[0]) for net in (asked.two_layers, asked.one_layer))
    provenance.write_provenance(document["fingerprint"], started, monotonic() - began, shown)
    return document


def nearest(train: Split, test: Split, distance: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Error of the label of the nearest training image, distances of rows as (M, N)."""
    seen, images = (torch.from_numpy(_rows(split)) for split in (train, test))
    found = [distance(part, seen).argmin(1) for part in images.split(AT_A_TIME)]
    return error_rate(train[1][torch.cat(found).numpy()], test[1])


def cubes(images: Tensor, seen: Tensor) -> Tensor:
    """Cubed L_3 distances of rows, (M, N). `torch.cdist` takes powers, for five times as long."""
    sums = []
    for block in seen.split(max(1, CACHED // seen.shape[1])):
        apart = ((block - image).abs_() for image in images)
        sums.append(torch.stack([(d * d).mul_(d).sum(1) for d in apart]))
    return torch.cat(sums, 1)


def support_vectors(train: Split, test: Split, asked: SupportVectors) -> float:
    """Error of a support vector machine with the kernel ((1 + u . v) / 2)^degree."""
    from sklearn.svm import SVC  # seconds to import, and seldom needed

    seen, images = (_rows(split) for split in (train, test))
    lengths = (np.linalg.norm(rows, axis=1, keepdims=True) for rows in (seen, images))
    seen, images = (x / np.maximum(n, 1e-12) for x, n in zip((seen, images), lengths, strict=True))
    kernel: dict[str, Any] = {"kernel": "poly", "degree": asked.degree, "gamma": 0.5, "coef0": 0.5}
    machine = SVC(C=asked.C, cache_size=CACHE, **kernel)
    return error_rate(machine.fit(seen, train[1]).predict(images), test[1])


def backprop(train: Split, test: Split, asked: Backprop, seed: int) -> float:
    """Error of a network after its last epoch, or after that with the fewest errors on images that
    were held out of the training.
    """
    (x, y), (held_out, truth) = _parted(train, asked.held_out, seed)
    spec = MLP(kind="mlp", hidden=asked.hidden, activation="relu", batch_norm=False)
    with seeded(seed, torch.device("cpu")):
        network = layers.encoder(spec, x.shape[1:], int(train[1].max()) + 1)
    how = {"epochs": asked.epochs, "batch_size": asked.batch_size, "seed": seed}
    best, error = 1.1, 1.0  # the former of held-out images
    for epoch in classifier.train(network, x, y, asked.optim, **how):
        if len(held_out):
            if (now := _error(network, held_out, truth)) < best:
                best, error = now, _error(network, *test)
        elif epoch == asked.epochs:
            error = _error(network, *test)
    return error


def _error(network: nn.Module, x: np.ndarray, y: np.ndarray) -> float:
    return error_rate(classifier.logits(network, x).argmax(1).numpy(), y)


def _parted(split: Split, held_out: int, seed: int) -> tuple[Split, Split]:
    """The rest of a split, and so many of its images, drawn."""
    order = np.random.default_rng(seed).permutation(len(split[0]))
    chosen, rest = (np.sort(rows) for rows in (order[:held_out], order[held_out:]))
    return (split[0][rest], split[1][rest]), (split[0][chosen], split[1][chosen])


def _rows(split: Split) -> np.ndarray:
    """Images as rows of numbers in [0, 1], float32 (N, C H W)."""
    return split[0].reshape(len(split[0]), -1).astype(np.float32) / 255
