"""Who is measured on the plane, and where measurements are collected."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebmrepro.config.plane import Fundamentals
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.networks.samplers import Draws
from ebmrepro.studies.plane import densities
from ebmrepro.studies.plane.exact import Exact
from ebmrepro.studies.plane.partition import Grid

Array = np.ndarray[Any, np.dtype[Any]]
Scene = tuple[Array, Array]  # energies (k, k) and points (N, 2)


@dataclass
class Measured:
    """The measurement document, arrays to draw, frames of two films, and seconds by task.

    A frame is a scene for each (row, column) of its film.
    """

    values: dict[str, dict[str, float]] = field(default_factory=dict)
    protocol: dict[str, str] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    training: list[dict[tuple[str, str], Scene]] = field(default_factory=list)
    sliding: list[dict[tuple[str, str], Scene]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, by_seed: Mapping[str, float], protocol: str) -> None:
        """One value per seed."""
        self.values[name] = {seed: float(value) for seed, value in by_seed.items()}
        self.protocol[name] = protocol

    @contextmanager
    def timed(self, task: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[task] = round(time.perf_counter() - start, 3)

    def save(self, path: Path) -> None:
        np.savez_compressed(path, allow_pickle=False, **self.arrays)

    def document(self) -> dict[str, Any]:
        """What metrics.json holds."""
        return Measurement(dict(self.values), protocol=self.protocol).document()


class Plane:
    """The members: each density from each seed, with its points and its draws."""

    def __init__(self, asked: Fundamentals):
        self.asked = asked
        self.densities = densities.make(asked.densities)
        self.members = [(name, seed) for name in self.densities for seed in asked.seeds]
        self.train = self.points("train", asked.train)
        self.held_out = self.points("held out", asked.held_out)
        self.exact = Exact(Grid(asked.domain.half, asked.grid, 2), self.log_p)

    def draws(self, purpose: str) -> Draws:
        return Draws([stream(purpose, name, seed) for name, seed in self.members])

    def points(self, purpose: str, n: int) -> Tensor:
        """(M, n, 2)."""
        return torch.stack(
            [
                self.densities[name].sample(n, generator)
                for (name, _), generator in zip(
                    self.members, self.draws(purpose).generators, strict=True
                )
            ]
        )

    def log_p(self, x: Tensor) -> Tensor:
        """The true log densities at common points (K, 2) -> (M, K), or at own ones (M, N, 2)."""
        if x.ndim == 2:
            each = {name: density.log_prob(x) for name, density in self.densities.items()}
            return torch.stack([each[name] for name, _ in self.members])
        pairs = zip(self.members, x, strict=True)
        return torch.stack([self.densities[name].log_prob(own) for (name, _), own in pairs])

    def first(self, name: str) -> int:
        """The member that pictures show: the first seed's."""
        return self.members.index((name, self.asked.seeds[0]))

    def add(self, out: Measured, measure: str, way: str, per_member: Tensor, protocol: str) -> None:
        """One measure of each density, `<measure>_<density>@<way>`."""
        for name, by_seed in self.by_density(per_member):
            out.add(f"{measure}_{name}@{way}", by_seed, protocol)

    def mean(self, per_member: Tensor) -> dict[str, float]:
        """Mean over the densities, {seed: value}."""
        found: dict[str, float] = {}
        for _, by_seed in self.by_density(per_member):
            for seed, value in by_seed.items():
                found[seed] = found.get(seed, 0.0) + value / len(self.densities)
        return found

    def by_density(self, per_member: Tensor) -> Iterator[tuple[str, dict[str, float]]]:
        """(density, {seed: value}) of a value per member, (M,)."""
        for name in self.densities:
            yield (
                name,
                {
                    str(seed): float(value)
                    for (own, seed), value in zip(self.members, per_member, strict=True)
                    if own == name
                },
            )


def stream(*names: object) -> int:
    """A seed of its own for each use, so that no two uses share their random numbers."""
    return int.from_bytes(hashlib.sha256(repr(names).encode()).digest()[:7], "big")
