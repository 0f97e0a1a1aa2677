"""Who is measured on the plane, and where measurements are collected."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebmrepro.config.documents import read_yaml
from ebmrepro.config.plane import Fundamentals
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.networks.samplers import Draws
from ebmrepro.studies.plane import densities
from ebmrepro.studies.plane.exact import Exact
from ebmrepro.studies.plane.film import Array, Scene
from ebmrepro.studies.plane.partition import Grid
from ebmrepro.system import atomic

SHIFT = 100.0  # nats added to an energy to see that a ratio does not notice


@dataclass
class Measured(Measurement):
    """And arrays to draw, frames of two films, and seconds by task.

    A frame is a scene for each (row, column) of its film.
    """

    arrays: dict[str, Array] = field(default_factory=dict)
    training: list[dict[tuple[str, str], Scene]] = field(default_factory=list)
    sliding: list[dict[tuple[str, str], Scene]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, task: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[task] = round(time.perf_counter() - start, 3)

    def save(self, path: Path) -> None:
        with atomic.atomic_write(path) as partial:
            np.savez_compressed(partial, allow_pickle=False, **self.arrays)


class Protocol:
    """How each number is measured: the sentences of protocol.yaml, for what was asked."""

    def __init__(self, asked: Fundamentals):
        told, sampling = read_yaml(Path(__file__).with_name("protocol.yaml")), asked.sampling
        self.sentences: dict[str, str] = told["measures"]
        self.facts: dict[str, Any] = {
            "asked": asked,
            "coarse": asked.grid // 2,
            "half": asked.held_out // 2,
            "shift": SHIFT,
            "looked_at": sampling.chains * len(states(sampling.moves, sampling.every)),
            "looked_at_ring": sampling.ring_chains
            * len(states(sampling.ring_moves, sampling.every)),
        }
        for name, phrase in told["phrases"].items():
            self.facts[name] = phrase.format(**self.facts)

    def __call__(self, measure: str, **more: object) -> str:
        """`measure` by its name without a density."""
        return self.sentences[measure].format(**self.facts, **more)


class Plane:
    """The members: each density from each seed, with its points and its draws."""

    def __init__(self, asked: Fundamentals):
        self.asked = asked
        self.protocol = Protocol(asked)
        self.densities = densities.make(asked.densities)
        self.members = [(name, seed) for name in self.densities for seed in asked.seeds]
        # The members that pictures show: the first seed's. The other seeds' follow.
        self.first = {name: self.members.index((name, asked.seeds[0])) for name in self.densities}
        self.train = self.points("train", asked.train)
        self.held_out = self.points("held out", asked.held_out)
        self.exact = Exact(Grid(asked.domain.half, asked.grid, 2), self.log_p)

    def draws(self, purpose: str) -> Draws:
        return Draws([stream(purpose, name, seed) for name, seed in self.members])

    def points(self, purpose: str, n: int) -> Tensor:
        """(M, n, 2)."""
        pairs = zip(self.members, self.draws(purpose).generators, strict=True)
        return torch.stack([self.densities[name].sample(n, own) for (name, _), own in pairs])

    def log_p(self, x: Tensor) -> Tensor:
        """The true log densities at common points (K, 2) -> (M, K), or at own ones (M, N, 2)."""
        if x.ndim == 2:
            each = {name: density.log_prob(x) for name, density in self.densities.items()}
            return torch.stack([each[name] for name, _ in self.members])
        pairs = zip(self.members, x, strict=True)
        return torch.stack([self.densities[name].log_prob(own) for (name, _), own in pairs])

    def scene(self, row: str, energies: Tensor, points: Tensor) -> dict[tuple[str, str], Scene]:
        """A row of a film's frame, from energies (M, k^2) and points (M, N, 2)."""
        return {
            (row, name): (picture(energies[i]), array(points[i])) for name, i in self.first.items()
        }

    def add_all(self, out: Measured, way: str, **measures: Tensor) -> None:
        """Measures of each density, values per member: `<measure>_<density>@<way>`."""
        for measure, per_member in measures.items():
            own = f"{measure}@{way}"
            told = own if own in self.protocol.sentences else measure
            rows = per_member.reshape(len(self.densities), -1)
            for name, per_seed in zip(self.densities, rows, strict=True):
                self.add(out, f"{measure}_{name}@{way}", per_seed, told)

    def add(
        self, out: Measured, name: str, per_seed: Iterable[float | Tensor], measure: str, **of: Any
    ) -> None:
        """A value for each seed; how it is measured, protocol.yaml says at `measure`."""
        seeds = map(str, self.asked.seeds)
        out.values[name] = dict(zip(seeds, map(float, per_seed), strict=True))
        out.protocol[name] = self.protocol(measure, **of)


def picture(energies: Tensor) -> Array:
    """Energies at the points of a grid, (k^2,), as (k, k) float32, first axis x."""
    return array(energies.unflatten(0, (math.isqrt(len(energies)), -1)))


def array(x: Tensor) -> Array:
    return x.detach().numpy().astype(np.float32)


def states(moves: int, every: int) -> range:
    """The states of a chain that are looked at: of its second half, one in `every`."""
    return range(moves // 2, moves, every)


def stream(*names: object) -> int:
    """A seed of its own for each use, so that no two uses share their random numbers."""
    return int.from_bytes(hashlib.sha256(repr(names).encode()).digest()[:7], "big")
