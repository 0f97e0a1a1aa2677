"""One system of one suite: all numbers of its training."""

from __future__ import annotations

from typing import Any

from ebmrepro.config.documents import Strict
from ebmrepro.config.optimisers import Optim
from ebmrepro.config.types import UNSAID, Count, Decay, Few, PositiveFraction, Precision, _Scaled


class Block(Strict):
    """One system of one suite: all numbers of its training.

    A key that may be left out is left out of what is stored too: cards and fingerprints of blocks
    without it stay what they were.
    """

    epoch_fraction: PositiveFraction  # of the paper's that are run here, times the suite's budget
    batch_size: Count
    grids: Few  # image grids at fixed z written over the training
    optim: dict[str, Optim]  # player -> its optimiser
    # player -> decay of the average of its weights that draws after training; left out: none
    ema: dict[str, Decay] | None = UNSAID
    precision: Precision | None = UNSAID
    hparams: Any  # the method's own class, see `hparams_class`


def base(name: str) -> str:
    """The method of a name: `began` of `began` and of its variant `began__gamma_low`."""
    return name.partition("__")[0]


def scaled(value: Any, part: float) -> Any:
    """A block, or what stands in one, with all that is marked as epochs times `part`; at least 1,
    and none stays none.
    """
    if isinstance(value, dict):
        return {key: scaled(each, part) for key, each in value.items()}
    if not isinstance(value, Strict):
        return value
    found = {}
    for key, field in type(value).model_fields.items():
        number = getattr(value, key)
        epochs = any(isinstance(mark, _Scaled) for mark in field.metadata)
        found[key] = max(min(1, number), round(number * part)) if epochs else scaled(number, part)
    return value.model_copy(update=found)
