"""Three seeds trained at once in one process: what it costs, and what it changes.

EBGAN of the suite `digits` is so small that a step is mostly the overhead of calling torch. Here
the weights of several seeds are stacked, and each call serves all of them. Every seed keeps its own
noise and its own order of the images, so each follows the training that it would have alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from benchmarks import limits
from benchmarks.page import Sides, paragraphs, sides, spread
from benchmarks.timing import Comparison, interleaved
from ebmrepro.config import params
from ebmrepro.config.optimisers import Optim
from ebmrepro.methods.base import method
from ebmrepro.training import optimisers
from ebmrepro.training.batches import Batches
from ebmrepro.training.loop import Training

ONE, IN_TURN, AT_ONCE = "one seed", "three seeds in turn", "three seeds at once"
AIM = 1.5  # times one seed
SEEDS = (0, 1, 2)
PARITY_STEPS = 5
PARAMS = Path(__file__).parents[1] / "params.yaml"


def alone(seed: int, steps: int) -> Training:
    """EBGAN of the suite `digits` as its stage trains it, with `steps` steps an epoch."""
    block = params.load(PARAMS).block("digits", "ebgan")
    model = method.build("ebgan", block.hparams, (1, 8, 8), 10, seed)
    shape = (steps * block.batch_size, 1, 8, 8)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    batches = Batches(images, None, block.batch_size, seed, torch.device("cpu"))
    return Training(model, batches, block.optim)


class Stack:
    """One network of several seeds, as one module would be called."""

    def __init__(self, networks: Sequence[nn.Module], spec: Optim):
        self.parameters, self.buffers = stack_module_state(list(networks))
        self.skeleton = copy.deepcopy(networks[0]).to("meta")
        self.optimiser = optimisers.make(list(self.parameters.values()), spec)  # pyright: ignore[reportArgumentType]

    def __call__(self, x: Tensor) -> Tensor:
        """(seeds, N, ...) -> (seeds, N, ...)."""

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Any:
            return functional_call(self.skeleton, (parameters, buffers), (x,))

        return torch.vmap(one)(self.parameters, self.buffers, x)

    def take(self, losses: Tensor) -> None:
        """Each seed descends its own loss, (seeds,)."""
        self.optimiser.clear()
        losses.sum().backward(inputs=list(self.parameters.values()))
        self.optimiser.step()


class Together:
    """EBGAN's step, as in `methods/ebgan.py`, for several seeds in each call."""

    def __init__(self, steps: int):
        self.trainings, self.noise = [], []
        for seed in SEEDS:
            self.trainings.append(alone(seed, steps))
            self.noise.append(torch.Generator().set_state(torch.get_rng_state()))
        models: list[Any] = [training.method for training in self.trainings]
        optim = params.load(PARAMS).block("digits", "ebgan").optim
        self.hp = models[0].hp
        self.G = Stack([model.G for model in models], optim["G"])
        self.D = Stack([model.D for model in models], optim["D"])
        self.passed = 0

    def draw(self, n: int) -> Tensor:
        return torch.stack([torch.randn(n, self.hp.z, generator=own) for own in self.noise])

    def epoch(self) -> None:
        epochs = [training.batches.epoch(self.passed) for training in self.trainings]
        for batches in zip(*epochs, strict=True):
            self.step(torch.stack([x for x, _ in batches]))
        self.passed += 1

    def step(self, x: Tensor) -> None:
        n = x.shape[1]
        with torch.no_grad():
            x_g = self.G(self.draw(n))
        real, fake = self.D(torch.cat([x, x_g], dim=1)).split(n, dim=1)
        self.D.take(real.mean(1) + torch.relu(self.hp.margin - fake).mean(1))
        self.G.take(self.D(self.G(self.draw(n))).mean(1))


def parity() -> float:
    """Difference of what G and D answer to one input after a few steps, between a seed trained
    alone and the same seed among others: root mean square, relative, the largest of all seeds.
    """
    at_once = Together(PARITY_STEPS)
    at_once.epoch()
    alone_too: list[Any] = []
    for seed in SEEDS:
        training = alone(seed, PARITY_STEPS)
        next(training.epochs())
        alone_too.append(training.method)
    z, x = torch.randn(64, at_once.hp.z), torch.rand(64, 1, 8, 8)
    with torch.no_grad():
        images = at_once.G(z.expand(len(SEEDS), -1, -1))
        energies = at_once.D(x.expand(len(SEEDS), *x.shape))
        pairs = [(model.G(z), image) for model, image in zip(alone_too, images, strict=True)]
        pairs += [(model.D(x), found) for model, found in zip(alone_too, energies, strict=True)]
    return max(limits.difference(a, b) for a, b in pairs)


def measure(quick: bool, repeats: int) -> dict[str, Any]:
    limits.with_threads(1)
    steps = 2 if quick else 100
    at_once = Together(steps)
    one, in_turn = alone(0, steps).epochs(), [alone(seed, steps).epochs() for seed in SEEDS]
    run = {
        ONE: lambda: next(one),
        IN_TURN: lambda: [next(epochs) for epochs in in_turn],
        AT_ONCE: at_once.epoch,
    }
    comparison = Comparison("EBGAN of digits, batch 64", "steps", steps, interleaved(run, repeats))
    return {"comparison": comparison.tree(), "difference": parity()}


def page(numbers: dict[str, Any]) -> str:
    one = Comparison.read(numbers["comparison"])
    cost = one.times_as_fast(ONE, AT_ONCE)
    met = "met" if cost.median <= AIM else "not met"
    return paragraphs(
        "### Three seeds at once",
        sides([Sides(one, ONE)]),
        f"Steps of each seed; one thread. Stacked in one process, three seeds cost {spread(cost)} "
        f"times one seed (the aim of at most {AIM:g} is {met}) and in turn "
        f"{spread(one.times_as_fast(ONE, IN_TURN))} times. After {PARITY_STEPS} steps what "
        f"G and D answer to one input differs by {numbers['difference']:.1e} (root mean square, "
        "relative) from what they answer when the seed is trained alone.",
        "The pipeline does not do so, whatever it brings. A stage is one seed: DVC runs again just "
        "the seed that is asked for, and a killed seed goes on alone. Stacked products round "
        "otherwise than single ones, so the bytes of a seed would follow from which seeds stand "
        "beside it in `params.yaml`. Independent seeds are independent stages, which "
        "`ebmrepro repro --jobs` runs at once with the bytes that each has alone.",
    )
