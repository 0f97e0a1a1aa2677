"""One configuration of the grid, from its numbers to images.

The losses and the order of turns are those of `methods/`: an EBGAN, an EBGAN-PT or the GAN of
`dcgan.py` with other networks. G is `layers.generator`: batch normalisation and ReLU after every
layer but the last, which ends in tanh. D has no normalisation at its input, may have dropout after
every hidden layer, and is a critic in a GAN, in an EBGAN an encoder of nLayerD - 1 layers (the last
is the code) and a decoder of one, which ends in tanh; its energy is the L2 norm that m = 10 fits.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from ebmrepro.config import declarations, documents
from ebmrepro.config.grid import Grid
from ebmrepro.config.networks import MLP
from ebmrepro.config.optimisers import SGD, Adam, Momentum, Optim
from ebmrepro.methods.base import Method, method
from ebmrepro.networks import layers
from ebmrepro.networks.energies import AutoEncoder
from ebmrepro.runs import models
from ebmrepro.studies.grid.configurations import Configuration
from ebmrepro.system.signals import Stopped, Watch
from ebmrepro.training import graphs, together
from ebmrepro.training.batches import Batches
from ebmrepro.training.finite import NotFinite
from ebmrepro.training.loop import Training

METHOD = {"ebgan": "ebgan", "sweep": "ebgan", "ebgan_pt": "ebgan_pt", "gan": "dcgan"}
LOOK = 50  # steps between looks whether all is finite, and at the end the steps of mean energies

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Played:
    """What is left of a training."""

    generated: np.ndarray  # uint8 (n, C, H, W); none where it diverged
    steps: int  # taken
    diverged: bool  # a term, a gradient, a weight or an image became NaN or infinite
    real: float | None  # mean energy of data and of samples over the last steps; None if it
    fake: float | None  # diverged
    parameters: int
    seconds: float  # what it took, which belongs to its machine and is no result

    @property
    def told(self) -> dict[str, Any]:
        """All but the images."""
        return {key: value for key, value in vars(self).items() if key != "generated"}


def play(
    chosen: Configuration,
    grid: Grid,
    images: np.ndarray,
    seed: int,
    steps: int,
    device: torch.device,
    watch: Watch,
) -> Generator[None, None, Played]:
    """Train one configuration on `images`, uint8 (N, C, H, W), and draw from it; it pauses where
    another training may have its turn, see `together`.

    `seed` gives initial weights, noise, the order of the data and, with the score's, the draw.

    Raises:
        signals.Stopped: `watch` had a reason to stop.
    """
    began = together.clock()
    batches = Batches(images, None, grid.batch_size, seed, device)
    epochs = math.ceil(steps / len(batches))
    model = build(chosen, grid, images.shape[1:], seed, epochs).to(device)
    training = Training(model, batches, optimisers(chosen, grid), recorder=graphs.recorder(device))
    count = layers.count(model)
    last: deque[torch.Tensor] = deque(maxlen=LOOK)
    try:
        for step in islice(training.steps(), steps):
            last.append(torch.stack([step.terms["energy/real"], step.terms["energy/fake"]]))
            heed(watch, chosen.name)
            if training.step % LOOK == 0:
                training.check()
            if training.waits or (training.step + 1) % LOOK == 0:
                yield
        training.check()
        real, fake = torch.stack([*last]).mean(0).tolist()
        generated = models.draw(model.eval(), grid.score.generated, grid.score.seed + seed)
    except (NotFinite, ValueError):  # the latter of an image
        generated, real, fake = np.zeros((0, *images.shape[1:]), np.uint8), None, None
    took = together.clock() - began
    return Played(generated, training.step, real is None, real, fake, count, took)


def padded(images: np.ndarray, grid: Grid) -> np.ndarray:
    """Images as the grid has them, uint8 (N, C, H, W) -> the same, black around."""
    around = (grid.padding, grid.padding)
    return np.pad(images, ((0, 0), (0, 0), around, around))


def heed(watch: Watch, what: str) -> None:
    """End `what` if there is a reason to.

    Raises:
        signals.Stopped: there is one.
    """
    if reason := watch.reason():
        raise Stopped(f"{what}: stopped {reason[0]}", reason[1])


def build(chosen: Configuration, grid: Grid, shape: Shape, seed: int, epochs: int) -> Method:
    """The networks of a configuration in the method whose losses train them."""
    name = METHOD[chosen.kind]
    model: Any = method.build(name, _hparams(name, chosen, grid, epochs), shape, 1, seed)
    D = critic if chosen.kind == "gan" else auto_encoder
    model.D = D(chosen, grid, shape)
    layers.initialise(model.G, grid.init_std.G)
    layers.initialise(model.D, grid.init_std.D)
    return model


def critic(chosen: Configuration, grid: Grid, shape: Shape) -> nn.Sequential:
    """Images (N, C, H, W) -> logits (N,), in nLayerD layers."""
    return nn.Sequential(*_hidden(chosen, grid, shape), nn.Linear(chosen.sizeD, 1), nn.Flatten(0))


def auto_encoder(chosen: Configuration, grid: Grid, shape: Shape) -> AutoEncoder:
    """Enc in nLayerD - 1 layers, to a code of sizeD numbers, and Dec in one."""
    encoder = nn.Sequential(*_hidden(chosen, grid, shape))
    last = nn.Linear(chosen.sizeD, math.prod(shape))
    return AutoEncoder(encoder, nn.Sequential(last, nn.Unflatten(1, shape), nn.Tanh()), "norm")


def optimisers(chosen: Configuration, grid: Grid) -> dict[str, Optim]:
    """By player."""
    still = Momentum(initial=0.0, final=0.0, epochs=0)
    rules: dict[str, Optim] = {
        "adam": Adam(name="adam", lr=chosen.lr, beta1=grid.adam.beta1, beta2=grid.adam.beta2),
        "sgd": SGD(name="sgd", lr=chosen.lr, momentum=still, weight_decay=0.0),
    }
    return {"G": rules[chosen.optimG], "D": rules[chosen.optimD]}


def _hidden(chosen: Configuration, grid: Grid, shape: Shape) -> list[nn.Module]:
    """D's nLayerD - 1 linear layers with ReLU; batch normalisation after all but the first, and
    dropout after each if there is any.
    """
    hidden: list[nn.Module] = [nn.Flatten()]
    widths = [math.prod(shape), *[chosen.sizeD] * (chosen.nLayerD - 1)]
    for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
        hidden.append(nn.Linear(fan_in, fan_out))
        if i > 0:
            hidden.append(nn.BatchNorm1d(fan_out))
        hidden.append(nn.ReLU())
        if chosen.dropoutD:
            hidden.append(nn.Dropout(grid.dropout))
    return hidden


def _hparams(name: str, chosen: Configuration, grid: Grid, epochs: int) -> documents.Strict:
    """What the method asks for; its D is replaced, so of that only the losses' numbers count."""
    hidden = [chosen.sizeG] * (chosen.nLayerG - 1)
    G = MLP(kind="mlp", hidden=hidden, activation="relu", batch_norm=True)
    D = MLP(kind="mlp", hidden=[], activation="relu", batch_norm=False)
    every = {
        **{"epochs": epochs, "z": grid.z, "code": chosen.sizeD, "margin": chosen.margin},
        **{"reduction": "norm", "objective": "hinge", "rectified": True, "bounded": True},
        **{"pt_weight": grid.pt_weight, "init_std": grid.init_std.G},
        **{"G": G.model_dump(), **dict.fromkeys(("D", "encoder", "decoder"), D.model_dump())},
    }
    hparams = declarations.hparams_class(name)
    return hparams.model_validate({key: every[key] for key in hparams.model_fields})
