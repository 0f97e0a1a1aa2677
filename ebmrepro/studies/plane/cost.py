"""What Z costs: by grid the points are k to the power of the dimension, by AIS they are not.

The energy is a mixture of two Gaussians, whose Z is known in every dimension.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ebmrepro.config.documents import ParamsError
from ebmrepro.config.plane import Fundamentals
from ebmrepro.metrics import ais
from ebmrepro.networks.samplers import Draws
from ebmrepro.studies.plane import partition
from ebmrepro.studies.plane.learning import betas
from ebmrepro.studies.plane.members import Measured, stream
from ebmrepro.studies.plane.partition import Grid

LARGEST = 30_000_000  # points of a grid
FAR = (64, 784)  # dimensions that a grid is extrapolated to: the pixels of digits and of MNIST


class Mixture:
    """E(x) = - log sum_{+-} exp(-|x -+ c e_1|^2 / (2 s^2)), in any dimension; counts its calls."""

    def __init__(self, sd: float, centre: float):
        self.sd, self.centre = sd, centre
        self.evaluations = 0  # points whose energy was asked for, with or without its gradient

    def __call__(self, x: Tensor) -> Tensor:
        self.evaluations += x.shape[:-1].numel()
        rest = x[..., 1:].square().sum(-1)
        distances = [(x[..., 0] - sign * self.centre).square() + rest for sign in (1, -1)]
        return -(torch.stack(distances) / (-2 * self.sd**2)).logsumexp(0)

    def log_z(self, dimension: int) -> float:
        """log 2 + d/2 log(2 pi s^2), over all of space."""
        return math.log(2) + dimension / 2 * math.log(2 * math.pi * self.sd**2)


def by_dimension(asked: Fundamentals, out: Measured) -> None:
    """Evaluations and errors of both, in 1 to `dimensions` dimensions; the grid's, extrapolated."""
    spec = asked.partition
    same = "the same for every seed: nothing in it is random"
    points: list[int] = []
    for d in range(1, spec.dimensions + 1):
        energy = Mixture(spec.sd, spec.centre)
        k = smallest(energy, energy.log_z(d), spec.half, d, spec.accuracy)
        points.append(k)
        with out.timed(f"grid {d}"):
            found = partition.log_z(energy, Grid(spec.half, k, d)).item()
        told = (
            f"midpoint rule in {d} dimensions on [-{spec.half:g}, {spec.half:g}]^{d}, with the "
            f"fewest points per axis that hold log Z to {spec.accuracy:g} nats; {same}"
        )
        for name, value in (
            ("points_per_axis", k),
            ("evaluations", k**d),
            ("log_z_error", abs(found - energy.log_z(d))),
        ):
            out.add(f"{name}_d{d}@grid", dict.fromkeys(_seeds(asked), value), told)
        _annealed(asked, out, d)
    k, last = points[-1], spec.dimensions
    for d in FAR:
        told = f"log10 of k^{d}, k = {k} points per axis as needed in {last} dimensions; {same}"
        value = d * math.log10(k)
        out.add(f"points_log10_d{d}@grid", dict.fromkeys(_seeds(asked), value), told)
    dimensions = torch.arange(1, last + 1, dtype=torch.float64)
    counts = torch.tensor([k**d for d, k in enumerate(points, start=1)], dtype=torch.float64)
    together = torch.corrcoef(torch.stack([dimensions, counts.log()]))[0, 1].item()
    told = f"correlation of log(evaluations by grid) with the dimension, 1 to {last}; {same}"
    out.add("grid_cost_log_linearity", dict.fromkeys(_seeds(asked), together), told)
    for kind in ("grid", "ais"):
        ends = [out.values[f"evaluations_d{d}@{kind}"] for d in (1, last)]
        growth = {s: (ends[1][s] / ends[0][s]) ** (1 / (last - 1)) for s in _seeds(asked)}
        told = f"factor by which evaluations grow per dimension, from 1 to {last}"
        out.add(f"growth@{kind}", growth, told)


def smallest(
    energy: Callable[[Tensor], Tensor], log_z: float, half: float, dimension: int, accuracy: float
) -> int:
    """The fewest points per axis that hold log Z to `accuracy`, and one more does so as well.

    The second condition keeps out an error that is small only where it changes its sign.

    Raises:
        ParamsError: the accuracy is out of reach of a grid of LARGEST points.
    """
    k, good = 1, 0
    while good < 2:
        k += 1
        if k**dimension > LARGEST:
            raise ParamsError(
                f"params.yaml: fundamentals.partition: no grid of up to {LARGEST:,} points has "
                f"log Z to accuracy {accuracy:g} in {dimension} dimensions; allow a larger error, "
                "fewer dimensions, or a half that loses less of the density"
            )
        found = partition.log_z(energy, Grid(half, k, dimension)).item()
        good = good + 1 if abs(found - log_z) <= accuracy else 0
    return k - 1


def _annealed(asked: Fundamentals, out: Measured, d: int) -> None:
    spec = asked.partition.ais
    energy = Mixture(asked.partition.sd, asked.partition.centre)
    draws = Draws([stream(f"ais {d} dimensions", seed) for seed in asked.seeds])
    path = ais.FromGaussian(energy, draws, spec.chains, d, spec.base_sd, spec.step)
    with out.timed(f"ais {d}"):
        weights = ais.log_weights(path, betas(spec))
    found = [ais.estimate(row, path.log_z_0, spec.temperatures) for row in weights]
    told = (
        f"annealed importance sampling in {d} dimensions, {spec.chains} chains, "
        f"{spec.temperatures} temperatures, one MALA move at each"
    )
    each = energy.evaluations // len(asked.seeds)
    for name, values in (
        ("evaluations", [each] * len(found)),
        ("log_z_error", [abs(f.log_z - energy.log_z(d)) for f in found]),
        ("log_z_half_width", [f.high - f.log_z for f in found]),
        ("effective", [f.effective / f.chains for f in found]),
    ):
        out.add(f"{name}_d{d}@ais", dict(zip(_seeds(asked), values, strict=True)), told)


def _seeds(asked: Fundamentals) -> list[str]:
    return [str(seed) for seed in asked.seeds]
