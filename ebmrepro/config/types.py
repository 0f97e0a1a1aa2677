"""Numbers and words of params.yaml, by what they may be."""

from __future__ import annotations

import itertools
import re
from typing import Annotated, Any, Literal

from pydantic import Field

NAME = re.compile(r"[a-z][a-z0-9_]*")  # a suite and a variant are names of folders
NOT_A_NAME = "a name has small letters, digits and _, and begins with a letter"


class _Scaled:
    """Marks a number of epochs, which the suite's `budget` and the block's fraction multiply."""


Count = Annotated[int, Field(ge=1, le=10**9)]
Several = Annotated[int, Field(ge=2, le=10**9)]
Natural = Annotated[int, Field(ge=0, le=10**9)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator takes
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFraction = Annotated[float, Field(gt=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]  # of a running mean
Epochs = Annotated[int, Field(ge=1, le=10**9), _Scaled()]
Layers = Annotated[list[Count], Field(min_length=1)]  # widths
Reduction = Literal["norm", "sum_sq", "mean_sq", "mean_abs"]
Activation = Literal["relu", "leaky_relu", "elu"]
Precision = Literal["tf32", "bf16"]  # of a training; where a block has none, float32


def _check_rises(key: str, values: list[Any]) -> None:
    if any(a >= b for a, b in itertools.pairwise(values)):
        raise ValueError(f"{key}: found {values}; each should be above the one before")


Levels = Annotated[list[Positive], Field(min_length=1)]
PositiveFractions = Annotated[list[PositiveFraction], Field(min_length=1)]
Lengths = Annotated[list[Annotated[int, Field(ge=1, le=1000)]], Field(min_length=1)]
