"""Whether all that a training computes is finite, without waiting for a GPU at each step.

Values stay where they are until `look`, which alone waits for them and then names the first that
was not finite. It stops a training and changes nothing in it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ebmrepro.system.errors import UserError


class NotFinite(UserError):
    """Something in a training became NaN or infinite."""


class _Seen(NamedTuple):
    step: int
    what: str
    value: Tensor  # 0-d
    counts: bool  # a count of what is not finite, instead of the value itself


class Finite:
    """What a training has computed since the last look, in order; `name` opens the message."""

    def __init__(self, name: str):
        self.name = name
        self._seen: list[_Seen] = []

    def value(self, step: int, what: str, value: Tensor) -> None:
        """A scalar that has to be finite."""
        self._seen.append(_Seen(step, what, value, counts=False))

    def count(self, step: int, what: str, count: Tensor) -> None:
        """A scalar that is 0 when all of something is finite."""
        self._seen.append(_Seen(step, what, count, counts=True))

    def look(self) -> None:
        """Wait for what was seen and forget it.

        Raises:
            NotFinite: something was not finite; its step and name are those of the first.
        """
        seen, self._seen = self._seen, []
        if not seen:
            return
        values = torch.stack([each.value.float() for each in seen]).tolist()
        for each, value in zip(seen, values, strict=True):
            if each.counts and value:
                raise NotFinite(f"{self.name}: {each.what} is not finite in step {each.step}")
            if not math.isfinite(value):
                raise NotFinite(f"{self.name}: {each.what} is {value} in step {each.step}")
