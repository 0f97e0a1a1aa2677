"""Whether all that a training computes is finite, without waiting for a GPU at each step.

Of each value the device keeps the first step at which it was not finite, until `look`, which alone
waits and then names the first of all. It stops a training and changes nothing in it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ebmrepro.system.errors import UserError


class NotFinite(UserError):
    """Something in a training became NaN or infinite."""


class _Kept(NamedTuple):
    """Of the values of a step, in their order."""

    whole: Tensor  # which of them count what is not finite, and have to be 0; bool (n,)
    first: Tensor  # step of the epoch, from 1, at which one was not; 0 for none; int64 (n,)
    value: Tensor  # what it was there, float32 (n,)


class Finite:
    """What the steps of an epoch have computed; `name` opens the message."""

    def __init__(self, name: str):
        self.name = name
        self._seen: list[tuple[str, Tensor, bool]] = []  # in the step that is on its way
        self._kept: dict[tuple[str, ...], _Kept] = {}  # by what a step computes

    def see(self, what: str, value: Tensor, counts: bool = False) -> None:
        """A scalar that has to be finite; or that `counts` what is not, and has to be 0."""
        self._seen.append((what, value, counts))

    def end_step(self, batch: Tensor) -> None:
        """Keep what was seen in the step of a batch of the epoch, int64 (1,), on the device."""
        names, values, counts = zip(*self._seen, strict=True) if self._seen else ((), (), ())
        self._seen.clear()
        if not names:
            return
        found = torch.stack([value.detach().float() for value in values])
        if names not in self._kept:
            where = found.device
            self._kept[names] = _Kept(
                torch.tensor(counts, device=where),
                torch.zeros(len(names), dtype=torch.int64, device=where),
                torch.zeros(len(names), device=where),
            )
        whole, first, value = self._kept[names]
        new = (~found.isfinite() | (whole & (found != 0))) & (first == 0)
        value.copy_(torch.where(new, found, value))
        first.copy_(torch.where(new, batch + 1, first))

    def look(self, before: int) -> None:
        """Wait for what was kept; `before` is the number of steps before the epoch.

        Raises:
            NotFinite: something was not finite; its step and name are those of the first.
        """
        bad = []
        for names, kept in self._kept.items():
            told = (part.tolist() for part in (kept.first, kept.whole, kept.value))
            rows = enumerate(zip(*told, names, strict=True))
            bad += [(step, i, *row) for i, (step, *row) in rows if step]
        if bad:
            step, _, counts, value, what = min(bad)
            told = "not finite" if counts and math.isfinite(value) else value
            raise NotFinite(f"{self.name}: {what} is {told} in step {before + step}")
