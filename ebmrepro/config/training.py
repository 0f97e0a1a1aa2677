"""One system of one suite: all numbers of its training."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ebmrepro.config.documents import Strict
from ebmrepro.config.optimisers import Optim
from ebmrepro.config.types import Count, Decay, PositiveFraction, Precision, _Scaled

UNSAID = Field(default=None, exclude_if=lambda value: value is None)


class Block(Strict):
    """One system of one suite: all numbers of its training.

    A key that may be left out is left out of what is stored too: cards and fingerprints of blocks
    without it stay what they were.
    """

    epoch_fraction: PositiveFraction  # of the paper's that are run here, times the suite's budget
    batch_size: Count
    grids: Count  # image grids at fixed z written over the training
    optim: dict[str, Optim]  # player -> its optimiser
    # player -> decay of the average of its weights that draws after training; left out: none
    ema: dict[str, Decay] | None = UNSAID
    precision: Precision | None = UNSAID
    hparams: Any  # the method's own class, see `hparams_class`


def base(name: str) -> str:
    """The method of a name: `began` of `began` and of its variant `began__gamma_low`."""
    return name.partition("__")[0]


def _scale(hparams: Strict, budget: float) -> Strict:
    fields = type(hparams).model_fields
    scaled = {
        key: max(1, round(getattr(hparams, key) * budget))
        for key, field in fields.items()
        if any(isinstance(mark, _Scaled) for mark in field.metadata)
    }
    return hparams.model_copy(update=scaled)
