"""Up-down by its paper's protocol: an epoch chosen on images held out, then all training images.

Hinton, Osindero, Teh: A fast learning algorithm for deep belief nets. Neural Computation 18, 2006:
trained on 44,000 of MNIST's 60,000 images, the network of the epoch that erred least on 10,000
others (1.39 % of test images) went on with all of them until its training error was what it had
been, 59 epochs later (1.25 %).

Departures: the training error is the one that the loop reports, of labels from sampled passes, over
the epoch; it goes on with the last K, momentum starts anew, and after `more` epochs it ends anyway.
"""

from __future__ import annotations

import numpy as np
import torch

from ebmrepro.config.classifiers import Selected
from ebmrepro.config.documents import ParamsError
from ebmrepro.config.training import Block
from ebmrepro.methods.base import method
from ebmrepro.methods.dbn_updown import DBNUpDown
from ebmrepro.metrics.classification import error_rate
from ebmrepro.networks import device
from ebmrepro.runs import models
from ebmrepro.runs.run import prepared

SYSTEM = "dbn_updown"

Split = tuple[np.ndarray, np.ndarray]  # images, uint8 (N, C, H, W), and their labels (N,)


def errors(train: Split, test: Split, block: Block, asked: Selected, seed: int) -> dict[str, float]:
    """Test errors of the chosen epoch, and after all training images.

    Raises:
        ParamsError: there are fewer training images than are asked for.
    """
    x, y = train
    order, last = np.random.default_rng(seed).permutation(len(x)), asked.first + asked.held_out
    if last > len(x):
        raise ParamsError(
            f"params.yaml: classifiers.selected: found first {asked.first} and held_out "
            f"{asked.held_out}; there are {len(x)} training images"
        )
    first, held_out = (np.sort(rows) for rows in np.split(order[:last], [asked.first]))
    built = method.build(SYSTEM, block.hparams, x.shape[1:], int(y.max()) + 1, seed)
    model = built.to(device.device())
    assert isinstance(model, DBNUpDown)
    least, level, best = 1.1, 0.0, model.state_dict()
    for record in prepared(model, x[first], y[first], block, seed).epochs():
        if record["epoch"] <= model.greedy_epochs:
            continue
        if (now := _error(model, x[held_out], y[held_out])) < least:
            least, level = now, record["error/label"]
            best = {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict(best)
    values = {"error_selected": _error(model, *test)}
    training = prepared(model, x, y, block, seed)
    training.epoch = model.epochs - min(asked.more, block.hparams.updown_epochs)
    for record in training.epochs():
        if record["error/label"] <= level:
            break
    return {**values, "error_selected_all": _error(model, *test)}


@torch.no_grad()
def _error(model: DBNUpDown, x: np.ndarray, y: np.ndarray) -> float:
    """Of the label of lowest free energy, by probabilities on the way up."""
    return error_rate(models.in_batches(model.joint_free_energy, x).argmin(1), y)
