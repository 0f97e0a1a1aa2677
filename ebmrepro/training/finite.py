"""Whether all that a training computes is finite, without waiting for a GPU at each step.

Values stay where they are until `look`, which alone waits for them and then names the first that
was not finite. It stops a training and changes nothing in it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ebmrepro.system.errors import UserError


class NotFinite(UserError):
    """Something in a training became NaN or infinite."""


class Finite:
    """What a training has computed since the last look, in order; `name` opens the message."""

    def __init__(self, name: str):
        self.name = name
        self._seen: list[tuple[int, str, Tensor, bool]] = []

    def see(self, step: int, what: str, value: Tensor, counts: bool = False) -> None:
        """A scalar that has to be finite; or that `counts` what is not, and has to be 0."""
        self._seen.append((step, what, value, counts))

    def look(self) -> None:
        """Wait for what was seen and forget it.

        Raises:
            NotFinite: something was not finite; its step and name are those of the first.
        """
        seen, self._seen = self._seen, []
        if not seen:
            return
        values = torch.stack([value.float() for _, _, value, _ in seen]).tolist()
        for (step, what, _, counts), value in zip(seen, values, strict=True):
            if counts and value:
                raise NotFinite(f"{self.name}: {what} is not finite in step {step}")
            if not math.isfinite(value):
                raise NotFinite(f"{self.name}: {what} is {value} in step {step}")
