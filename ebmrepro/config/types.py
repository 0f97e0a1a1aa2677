"""Numbers and words of params.yaml, by what they may be."""

from __future__ import annotations

import itertools
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic.fields import FieldInfo

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")  # a suite and a variant are names of folders
NOT_A_NAME = "a name has small letters, digits and _, and begins with a letter"


class _Scaled:
    """Marks a number of epochs, which the suite's `budget` and the block's fraction multiply."""


def in_epochs(field: FieldInfo) -> bool:
    """Whether a model's field is so marked."""
    return any(isinstance(mark, _Scaled) for mark in field.metadata)


# Bounds that a mistake passes and an experiment does not; what two numbers together cannot be is
# for `rule` and `estimate.py` to say.
Count = Annotated[int, Field(ge=1, le=10**9)]
Several = Annotated[int, Field(ge=2, le=10**9)]
Natural = Annotated[int, Field(ge=0, le=10**9)]
Few = Annotated[int, Field(ge=1, le=1000)]  # of what is written to files, or put on one another
Axis = Annotated[int, Field(ge=1, le=10**4)]  # points on an axis of a plane
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator takes
Positive = Annotated[float, Field(ge=1e-12, le=1e12)]
NonNegative = Annotated[float, Field(ge=0, le=1e12)]
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFraction = Annotated[float, Field(gt=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]  # of a running mean
Epochs = Annotated[int, Field(ge=1, le=10**9), _Scaled()]
FirstEpochs = Annotated[int, Field(ge=0, le=10**9), _Scaled()]  # of a training; 0: none
Layers = Annotated[list[Count], Field(min_length=1)]  # widths
Reduction = Literal["norm", "sum_sq", "mean_sq", "mean_abs"]
Activation = Literal["relu", "leaky_relu", "elu"]
Init = Literal["he_normal", "glorot", "small"]  # of a network's weights; left out: torch's rule
Precision = Literal["tf32", "bf16"]  # of a training; where a block has none, float32


def _once(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError("should hold each value once")
    return values


def _rising(values: list[Any]) -> list[Any]:
    if any(a >= b for a, b in itertools.pairwise(values)):
        raise ValueError("should rise from each number to the next")
    return values


def _below(place: str) -> str:
    parts = re.split(r"[/\\]", place)
    if not parts[0] or ".." in parts or ":" in parts[0] or not place.isprintable():
        raise ValueError(
            "lies below EBMREPRO_DATA_MIRROR: it does not begin with / or a drive and has no `..`"
        )
    return place


UNSAID = Field(default=None, exclude_if=lambda value: value is None)  # fingerprints stay, too
Some = Field(min_length=1)
Once = AfterValidator(_once)
Rising = AfterValidator(_rising)
Seeds = Annotated[list[Seed], Some, Once]
BelowMirror = Annotated[str, AfterValidator(_below)]
Levels = Annotated[list[Positive], Some]
