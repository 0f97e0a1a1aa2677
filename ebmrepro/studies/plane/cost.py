"""What Z costs: by grid the points are k to the power of the dimension, by AIS they are not.

The energy is a mixture of two Gaussians, whose Z is known in every dimension.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ebmrepro.config.documents import ParamsError
from ebmrepro.networks.samplers import Draws, Energy
from ebmrepro.studies.plane import partition
from ebmrepro.studies.plane.members import Measured, Plane, stream
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


def by_dimension(plane: Plane, out: Measured) -> None:
    """Evaluations and errors of both, in 1 to `dimensions` dimensions; the grid's, extrapolated."""
    spec, seeds = plane.asked.partition, plane.asked.seeds

    def add(name: str, value: float, measure: str, **of: int) -> None:
        plane.add(out, name, [value] * len(seeds), measure, **of)

    points: list[int] = []
    for d in range(1, spec.dimensions + 1):
        energy = Mixture(spec.sd, spec.centre)
        k = smallest(energy, energy.log_z(d), spec.half, d, spec.accuracy)
        points.append(k)
        with out.timed(f"grid {d}"):
            found = partition.log_z(energy, Grid(spec.half, k, d)).item()
        add(f"points_per_axis_d{d}@grid", k, "by_grid", d=d)
        add(f"evaluations_d{d}@grid", k**d, "by_grid", d=d)
        add(f"log_z_error_d{d}@grid", abs(found - energy.log_z(d)), "by_grid", d=d)
        _annealed(plane, out, d)
    k, last = points[-1], spec.dimensions
    for d in FAR:
        add(f"points_log10_d{d}@grid", d * math.log10(k), "points_log10", d=d, k=k, last=last)
    dimensions = torch.arange(1, last + 1, dtype=torch.float64)
    counts = torch.tensor([k**d for d, k in enumerate(points, start=1)], dtype=torch.float64)
    together = torch.corrcoef(torch.stack([dimensions, counts.log()]))[0, 1].item()
    add("grid_cost_log_linearity", together, "grid_cost_log_linearity", last=last)
    for kind in ("grid", "ais"):
        first, end = (out.values[f"evaluations_d{d}@{kind}"].values() for d in (1, last))
        growth = [(b / a) ** (1 / (last - 1)) for a, b in zip(first, end, strict=True)]
        plane.add(out, f"growth@{kind}", growth, "growth", last=last)


def smallest(energy: Energy, log_z: float, half: float, dimension: int, accuracy: float) -> int:
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


def _annealed(plane: Plane, out: Measured, d: int) -> None:
    spec, seeds = plane.asked.partition, plane.asked.seeds
    energy = Mixture(spec.sd, spec.centre)
    draws = Draws([stream(f"ais {d} dimensions", seed) for seed in seeds])
    with out.timed(f"ais {d}"):
        found = partition.annealed(energy, draws, d, spec.ais)
    for name, values in (
        ("evaluations", [energy.evaluations // len(seeds)] * len(found)),
        ("log_z_error", [abs(f.log_z - energy.log_z(d)) for f in found]),
        ("log_z_half_width", [f.high - f.log_z for f in found]),
        ("effective", [f.effective / f.chains for f in found]),
    ):
        plane.add(out, f"{name}_d{d}@ais", values, "by_ais", d=d)
