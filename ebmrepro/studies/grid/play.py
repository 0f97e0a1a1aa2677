"""One configuration of the grid, from its numbers to images.

The losses and the order of turns are those of `methods/`: an EBGAN, an EBGAN-PT or the GAN of
`dcgan.py` with other networks. G is `nets.generator`: batch normalisation and ReLU after every
layer but the last, which ends in tanh. D has no normalisation at its input, may have dropout after
every hidden layer, and is a critic in a GAN, in an EBGAN an encoder of nLayerD - 1 layers (the last
is the code) and a decoder of one, which ends in tanh; its energy is the L2 norm that m = 10 fits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from ebmrepro.config import declarations, documents
from ebmrepro.config.grid import Grid
from ebmrepro.config.networks import MLP
from ebmrepro.config.optimisers import SGD, Adam, Momentum, Optim
from ebmrepro.methods.base import method
from ebmrepro.methods.base.method import Method
from ebmrepro.networks import layers
from ebmrepro.networks.energies import AutoEncoder
from ebmrepro.runs import models
from ebmrepro.studies.grid.configurations import Configuration
from ebmrepro.training.batches import Batches
from ebmrepro.training.loop import Player

METHOD = {"ebgan": "ebgan", "sweep": "ebgan", "ebgan_pt": "ebgan_pt", "gan": "dcgan"}
LOOK = 50  # steps between looks whether all is finite, and at the end the steps of mean energies

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Played:
    """What is left of a training."""

    generated: np.ndarray  # uint8 (n, C, H, W); none where it diverged
    steps: int  # taken
    diverged: bool  # a gradient, a weight or an image became NaN or infinite
    real: float | None  # mean energy of data and of samples over the last steps; None if it
    fake: float | None  # diverged
    parameters: int


def play(
    chosen: Configuration,
    grid: Grid,
    images: np.ndarray,
    seed: int,
    steps: int,
    device: torch.device,
    between: Callable[[], None] = lambda: None,
) -> Played:
    """Train one configuration on `images`, uint8 (N, C, H, W), and draw from it.

    `seed` gives initial weights, noise and the order of the data. `between` is called after every
    step.
    """
    batches = Batches(images, None, grid.batch_size, seed, device)
    model = build(chosen, grid, images.shape[1:], seed).to(device)
    rules = {
        "G": optimiser(chosen.optimG, chosen, grid),
        "D": optimiser(chosen.optimD, chosen, grid),
    }
    energies, taken = train(model, batches, rules, steps, between)
    count = layers.count(model)
    if energies is not None:
        try:
            generated = models.draw(model.eval(), grid.score.generated, grid.score.seed)
            return Played(generated, taken, False, *energies, count)
        except ValueError:  # an image is not finite
            pass
    return Played(np.zeros((0, *images.shape[1:]), np.uint8), taken, True, None, None, count)


def build(chosen: Configuration, grid: Grid, shape: Shape, seed: int) -> Method:
    """The networks of a configuration in the method whose losses train them."""
    name = METHOD[chosen.kind]
    model: Any = method.build(name, _hparams(name, chosen, grid), shape, 1, seed)
    model.D = (
        critic(chosen, grid, shape) if chosen.kind == "gan" else auto_encoder(chosen, grid, shape)
    )
    layers.initialise(model.G, grid.init_std.G)
    layers.initialise(model.D, grid.init_std.D)
    return model


def critic(chosen: Configuration, grid: Grid, shape: Shape) -> nn.Sequential:
    """Images (N, C, H, W) -> logits (N,), in nLayerD layers."""
    widths = [math.prod(shape), *[chosen.sizeD] * (chosen.nLayerD - 1)]
    hidden = _hidden(widths, grid.dropout if chosen.dropoutD else 0.0)
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(widths[-1], 1), nn.Flatten(0))


def auto_encoder(chosen: Configuration, grid: Grid, shape: Shape) -> AutoEncoder:
    """Enc in nLayerD - 1 layers, to a code of sizeD numbers, and Dec in one."""
    pixels = math.prod(shape)
    widths = [pixels, *[chosen.sizeD] * (chosen.nLayerD - 1)]
    hidden = _hidden(widths, grid.dropout if chosen.dropoutD else 0.0)
    decoder = nn.Sequential(nn.Linear(widths[-1], pixels), nn.Unflatten(1, shape), nn.Tanh())
    return AutoEncoder(nn.Sequential(nn.Flatten(), *hidden), decoder, "norm")


def optimiser(rule: str, chosen: Configuration, grid: Grid) -> Optim:
    if rule == "adam":
        return Adam(name="adam", lr=chosen.lr, beta1=grid.adam.beta1, beta2=grid.adam.beta2)
    still = Momentum(initial=0.0, final=0.0, epochs=0)
    return SGD(name="sgd", lr=chosen.lr, momentum=still, weight_decay=0.0)


def train(
    model: Method,
    batches: Batches,
    rules: dict[str, Optim],
    steps: int,
    between: Callable[[], None] = lambda: None,
) -> tuple[tuple[float, float] | None, int]:
    """Take `steps` steps, fewer if the training diverges; returns energies and steps taken.

    The energies are those of data and of samples, means over the last `LOOK` steps; None where
    something was not finite.
    """
    players = {name: Player(getattr(model, name), rule) for name, rule in rules.items()}
    model.train()
    wrong = torch.zeros((), device=batches.device)
    last: list[torch.Tensor] = []
    step, epoch = 0, 0
    while step < steps:
        for x, _ in batches.epoch(epoch):
            for turn in model.step(x, epoch):
                assert turn.loss is not None
                wrong += players[turn.player].take(turn.loss)
                if turn.player == "D":
                    energies = (turn.terms["energy/real"], turn.terms["energy/fake"])
                    last = [*last[1 - LOOK :], torch.stack(energies).detach()]
            step += 1
            between()
            if (step % LOOK == 0 or step == steps) and (wrong or not _finite(model)):
                return None, step
            if step == steps:
                break
        epoch += 1
    real, fake = torch.stack(last).mean(0).tolist()
    return ((real, fake) if math.isfinite(real + fake) else None), step


def _finite(model: Method) -> bool:
    return all(bool(value.isfinite().all()) for value in model.state_dict().values())


def _hidden(widths: list[int], dropout: float) -> list[nn.Module]:
    """Linear layers with ReLU; batch normalisation after all but the first, dropout after each."""
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
        layers.append(nn.Linear(fan_in, fan_out))
        if i > 0:
            layers.append(nn.BatchNorm1d(fan_out))
        layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
    return layers


def _hparams(name: str, chosen: Configuration, grid: Grid) -> documents.Strict:
    """What the method asks for; its D is replaced, so of that only the losses' numbers count."""
    width, layers = chosen.sizeG, chosen.nLayerG - 1
    G = MLP(kind="mlp", hidden=[width] * layers, activation="relu", batch_norm=True)
    D = MLP(kind="mlp", hidden=[], activation="relu", batch_norm=False)
    tree: dict[str, Any] = {"epochs": 1, "z": grid.z, "G": G.model_dump()}
    if name == "dcgan":
        tree |= {"init_std": grid.init_std.G, "D": D.model_dump()}
    else:
        tree |= {"code": chosen.sizeD, "margin": chosen.margin, "reduction": "norm"}
        tree |= {"rectified": True, "bounded": True}
        tree |= {"encoder": D.model_dump(), "decoder": D.model_dump()}
        tree |= {"pt_weight": grid.pt_weight} if name == "ebgan_pt" else {"objective": "hinge"}
    return declarations.hparams_class(name).model_validate(tree)
