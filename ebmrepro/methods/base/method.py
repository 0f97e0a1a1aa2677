"""What a method is: an energy to score with, a sampler to draw from, and a step to learn by.

A method file yields turns in the order of its paper's algorithm; `training/loop.py` takes them.
Nothing outside `methods/` knows any method by name: a method is found by the name of its file.
"""

from __future__ import annotations

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ebmrepro.config import training
from ebmrepro.config.documents import Strict

Curve = NDArray[np.floating]  # one value per epoch, NaN where there was none


@dataclass(frozen=True)
class Turn:
    """One player's move: descend `loss` in the parameters of `player`, and in no others.

    A turn whose loss is None moves nobody: it only reports its terms.
    """

    player: str  # a submodule; its first name has an entry in the method's `optim` block
    loss: Tensor | None  # scalar
    terms: Mapping[str, Tensor] = field(default_factory=dict)  # scalars worth reporting


class Labelled(NamedTuple):
    """A batch for a method that learns from labels."""

    x: Tensor  # (N, C, H, W) in [-1, 1]
    y: Tensor  # (N,) int64


class PartlyLabelled(NamedTuple):
    """A batch for a method that learns from the labels of a few images."""

    x: Tensor  # (N, C, H, W) in [-1, 1]
    few: Labelled  # as many of the images whose labels are known


class Method(nn.Module, ABC):
    """One paper: its networks (submodules), its equations (`step`), its state (buffers).

    Whatever the algorithm remembers between steps is a buffer, changed in place after its last use
    in the step, so that saving, resuming, moving and logging it need no code. What only some
    methods can do stands in `abilities.py`.
    """

    Hparams: ClassVar[type[Strict]]  # types and meanings; the values are in params.yaml

    # Facts. A method's file sets them to literals: `declarations.declared` reads them there.
    players: ClassVar[tuple[str, ...]]  # submodules that `step` yields turns for
    smallest_batch: ClassVar[int] = 1  # how many images a step needs
    labelled: ClassVar[bool] = False  # `step` gets a `Labelled` batch instead of images
    flags: ClassVar[Mapping[str, str]] = {}  # by measure, what to beware of in comparisons

    def __init__(self, hp: Any, shape: tuple[int, int, int], classes: int):
        """`shape` is (C, H, W) of the images; `classes` the number of labels of the data."""
        super().__init__()
        self.hp, self.shape, self.classes = hp, shape, classes

    @property
    def epochs(self) -> int:
        """Length of the training."""
        return self.hp.epochs

    @abstractmethod
    def energy(self, x: Tensor) -> Tensor:
        """Energy of each image, (N, C, H, W) in [-1, 1] -> (N,). Low where the model sees data."""

    @abstractmethod
    def sample(self, n: int) -> Tensor:
        """`n` images in [-1, 1], (n, C, H, W)."""

    @abstractmethod
    def step(self, x: Any, epoch: int) -> Iterator[Turn]:
        """One iteration of the paper's algorithm on a batch of data; `epoch` counts from 0."""

    def phase(self, epoch: int) -> object:
        """What `step` does with an epoch's number: epochs of equal phase have the same step."""
        return None

    def after_epoch(self, epoch: int, means: Mapping[str, Tensor]) -> None:
        """Called with the epoch's means of all terms (0-d tensors, over all ranks)."""

    @property
    def labels(self) -> int | None:
        """Of how many training images, as many of each class, a labelled method sees the labels:
        `step` gets a `PartlyLabelled` batch then. None: of all.
        """
        return None

    @property
    def hinge(self) -> Tensor | float | None:
        """The margin under which D still pushes fakes up, or None without a hinge."""
        return None

    @property
    def rate_factor(self) -> Tensor | float:
        """What all learning rates are multiplied by; looked at after each epoch."""
        return 1.0

    def recount(self, curves: Mapping[str, Curve]) -> Mapping[str, float]:
        """What only this paper asks of a training; `curves` are the columns of its curves.csv."""
        return {}

    @property
    def name(self) -> str:
        """Name of the file that holds the method."""
        return type(self).__module__.rpartition(".")[2]

    def state_values(self) -> dict[str, Tensor]:
        """The scalars that the algorithm remembers, as `<method>/<buffer>`."""
        buffers = self.named_buffers(recurse=False)
        return {f"{self.name}/{key}": value for key, value in buffers if value.numel() == 1}


def load(name: str) -> type[Method]:
    """The class in `methods/<name>.py`; of a variant `<method>__<variant>`, that of its method."""
    module = importlib.import_module(f"ebmrepro.methods.{training.base(name)}")
    classes = [value for value in vars(module).values() if inspect.isclass(value)]
    own = [c for c in classes if issubclass(c, Method) and c.__module__ == module.__name__]
    if len(own) != 1:
        raise TypeError(f"{module.__name__}: found {len(own)} methods, a file holds one")
    return own[0]


def build(name: str, hp: Strict, shape: tuple[int, int, int], classes: int, seed: int) -> Method:
    """A method with the initial weights of `seed`."""
    torch.manual_seed(seed)
    return load(name)(hp, shape, classes)
