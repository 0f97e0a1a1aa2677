"""What became of a training: likelihood, KL, Z, ratios, and the energy while it trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from ebmrepro.config.plane import PlaneAIS
from ebmrepro.metrics import ais
from ebmrepro.networks import samplers
from ebmrepro.studies.plane import partition, train
from ebmrepro.studies.plane.energies import PlaneEnergy
from ebmrepro.studies.plane.exact import Exact
from ebmrepro.studies.plane.members import SHIFT, Array, Measured, Plane
from ebmrepro.studies.plane.partition import Grid

FRAME_GRID = 64  # points per axis where the energy is looked at while it trains


def truth(plane: Plane, out: Measured) -> None:
    """What the best model of all would reach, and the true densities as pictures."""
    log_p = plane.log_p(plane.held_out).double()
    plane.add(out, "true", log_likelihood=log_p.mean(1))
    for name in plane.densities:
        log_density = plane.exact.log_p[plane.first(name)] - plane.exact.grid.log_cell
        out.arrays[f"energy/{name}/true"] = picture(-log_density, plane.exact.grid)
        out.arrays[f"points/{name}/true"] = _numpy(plane.held_out[plane.first(name)])


def follow(
    plane: Plane, out: Measured, way: str, steps: int, training: Iterator[PlaneEnergy]
) -> PlaneEnergy:
    """Train to the end; keep KL and, for the first seed, the surface at some steps.

    Points that slide on the surface while it changes are Langevin's, a few moves per frame.
    """
    film = plane.asked.film
    exact = Exact(Grid(plane.asked.domain.half, FRAME_GRID, 2), plane.log_p)
    # Denser at the beginning, where most happens; a short training has steps with two frames.
    due = [round(steps * (i / (film.frames - 1)) ** 2) for i in range(film.frames)]
    draws = plane.draws(f"film {way}")
    x = train.scattered(draws, film.points, plane.asked)
    curve: list[Tensor] = []
    energy = next(training)  # one object, that moves on as the training does
    for step, _ in enumerate(chain([energy], training)):
        if step == 0 and way == "ml":
            _describe(plane, out, "untrained", energy)  # nearly a plane, "a line" in a cut
        for _ in range(due.count(step)):
            energies = exact.energies(energy)
            scene = {
                (way, name): (
                    picture(energies[plane.first(name)], exact.grid),
                    _numpy(x[plane.first(name)]),
                )
                for name in plane.densities
            }
            if len(out.training) == len(curve):
                out.training.append({})
            out.training[len(curve)] |= scene
            curve.append(exact.fit(energies).kl)
            moves = samplers.langevin(energy, x, plane.asked.sampling.step, draws)
            x = samplers.after(film.moves, moves)
    out.arrays[f"steps/{way}"] = np.array(due, dtype=np.float64)
    for name in plane.densities:
        rows = [i for i, (own, _) in enumerate(plane.members) if own == name]
        out.arrays[f"kl/{name}/{way}"] = _numpy(torch.stack(curve)[:, rows].T)
        out.arrays[f"points/{name}/{way}"] = _numpy(x[plane.first(name)])
    return energy


def fit(plane: Plane, out: Measured, way: str, energy: PlaneEnergy) -> None:
    """log Z, held-out log-likelihood, KL; for EBGAN also at the temperature that fits best."""
    energies = _describe(plane, out, way, energy)
    if way != "ebgan":
        return
    with torch.no_grad():
        mean = energy(plane.train).double().mean(1)
    tried = torch.tensor(plane.asked.temperatures, dtype=torch.float64)
    losses = [mean / t + plane.exact.fit(energies / t).log_z for t in tried]
    best = tried[torch.stack(losses).argmin(0)]
    fitted = plane.exact.fit(energies / best[:, None])
    plane.add(out, way, temperature=best, kl_fitted=fitted.kl)


def ratios(plane: Plane, out: Measured, way: str, energy: PlaneEnergy) -> None:
    """log p(x) / p(x') of held-out pairs: from energies alone, with Z, and after E -> E + c."""
    half = plane.asked.held_out // 2
    x, other = plane.held_out[:, :half], plane.held_out[:, half : 2 * half]
    log_z = plane.exact.fit(plane.exact.energies(energy)).log_z[:, None]

    def exactly(points: Tensor) -> Tensor:
        return energy(points).double()

    with torch.no_grad():
        without = partition.log_ratio(exactly, x, other)
        with_z = (-exactly(x) - log_z) - (-exactly(other) - log_z)
        shifted = partition.log_ratio(lambda points: exactly(points) + SHIFT, x, other)
    true = plane.log_p(x).double() - plane.log_p(other).double()
    plane.add(
        out,
        way,
        log_ratio_gap=(without - with_z).abs().amax(1),
        log_ratio_shift=(without - shifted).abs().amax(1),
        log_ratio_to_truth=(without - true).abs().median(1).values,
    )


def summarise(plane: Plane, out: Measured) -> None:
    """What the lecture says of all energies alike, over densities and ways."""
    ways = ("cd", "ml", "ebgan")
    seeds = [str(seed) for seed in plane.asked.seeds]

    def over(measure: str, names: Sequence[str]) -> dict[str, list[float]]:
        found = [out.values[f"{measure}_{d}@{w}"] for w in names for d in plane.densities]
        return {seed: [values[seed] for values in found] for seed in seeds}

    gaps = over("log_ratio_gap", ways)
    largest = {seed: max(values) for seed, values in gaps.items()}
    out.add("log_ratio_error", largest, plane.protocol("log_ratio_error"))
    for name, names in (("kl_untrained", ["untrained"]), ("kl_trained", ways)):
        mean = {seed: sum(v) / len(v) for seed, v in over("kl", names).items()}
        out.add(name, mean, plane.protocol(name))


def annealed(plane: Plane, out: Measured, way: str, energy: PlaneEnergy) -> None:
    """log Z by annealed importance sampling, beside the grid's."""
    spec = plane.asked.ais
    path = ais.FromGaussian(
        energy, plane.draws(f"ais {way}"), spec.chains, 2, spec.base_sd, spec.step
    )
    weights = ais.log_weights(path, betas(spec))
    found = [ais.estimate(row, path.log_z_0, spec.temperatures) for row in weights]
    log_z = plane.exact.fit(plane.exact.energies(energy)).log_z
    plane.add(
        out,
        way,
        log_z_ais_error=torch.tensor([f.log_z for f in found], dtype=torch.float64) - log_z,
        log_z_ais_half_width=torch.tensor([f.high - f.log_z for f in found]),
        ais_effective=torch.tensor([f.effective / f.chains for f in found]),
    )


def betas(spec: PlaneAIS) -> list[float]:
    return [i / (spec.temperatures - 1) for i in range(spec.temperatures)]


def picture(energies: Tensor, grid: Grid) -> Array:
    """Energies at the points of a grid, (k^2,), as (k, k) float32, first axis x."""
    return energies.reshape(grid.k, grid.k).numpy().astype(np.float32)


def _describe(plane: Plane, out: Measured, way: str, energy: PlaneEnergy) -> Tensor:
    """Numbers and pictures of an energy, and its values on the grid, (M, K)."""
    energies, grid = plane.exact.energies(energy), plane.exact.grid
    found = plane.exact.fit(energies)
    coarse = partition.log_z(energy, Grid(grid.half, grid.k // 2, 2))
    with torch.no_grad():
        held_out = -energy(plane.held_out).double().mean(1) - found.log_z
    inside = (plane.exact.points.abs() < plane.asked.domain.wall).all(1)
    plane.add(
        out,
        way,
        log_z=found.log_z,
        log_z_grid_error=(found.log_z - coarse).abs(),
        log_likelihood=held_out,
        kl=found.kl,
        energy_sd=energies[:, inside].std(1),
        linear_share=_linear_share(energies[:, inside], plane.exact.points[inside]),
    )
    for name in plane.densities:
        out.arrays[f"energy/{name}/{way}"] = picture(energies[plane.first(name)], grid)
    return energies


def _linear_share(energies: Tensor, points: Tensor) -> Tensor:
    """R^2 of the least-squares plane, (M,)."""
    columns = torch.cat([torch.ones(len(points), 1), points], 1).double()
    solution = torch.linalg.lstsq(columns, energies.T).solution
    rest = energies - (columns @ solution).T
    return 1 - rest.square().sum(1) / (energies - energies.mean(1, keepdim=True)).square().sum(1)


def _numpy(x: Tensor) -> Array:
    return x.detach().numpy().astype(np.float32)
