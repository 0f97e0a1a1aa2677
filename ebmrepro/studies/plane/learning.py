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
from ebmrepro.studies.plane.members import Array, Measured, Plane
from ebmrepro.studies.plane.partition import Grid

FRAME_GRID = 64  # points per axis where the energy is looked at while it trains
SHIFT = 100.0  # nats added to an energy to see that a ratio does not notice


def truth(plane: Plane, out: Measured) -> None:
    """What the best model of all would reach, and the true densities as pictures."""
    told = (
        f"mean of log p(x) in nats under the true density, {plane.asked.held_out:,} held-out "
        "points: no model does better but by chance"
    )
    log_p = plane.log_p(plane.held_out).double()
    plane.add(out, "log_likelihood", "true", log_p.mean(1), told)
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
            _untrained(plane, out, energy)
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
    energies = plane.exact.energies(energy)
    _describe(plane, out, way, energy, energies)
    for name in plane.densities:
        row = energies[plane.first(name)]
        out.arrays[f"energy/{name}/{way}"] = picture(row, plane.exact.grid)
    if way != "ebgan":
        return
    with torch.no_grad():
        mean = energy(plane.train).double().mean(1)
    tried = torch.tensor(plane.asked.temperatures, dtype=torch.float64)
    losses = [mean / t + plane.exact.fit(energies / t).log_z for t in tried]
    best = tried[torch.stack(losses).argmin(0)]
    plane.add(
        out,
        "temperature",
        way,
        best,
        "T at which exp(-E / T) / Z gives the training points the highest likelihood, of those in "
        "params.yaml",
    )
    plane.add(
        out,
        "kl_fitted",
        way,
        plane.exact.fit(energies / best[:, None]).kl,
        "KL(p_data || p_model) in nats on the grid, of exp(-E / T) / Z at the fitted T",
    )


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
    pairs = f"largest over {half:,} pairs of held-out points, in nats"
    plane.add(
        out,
        "log_ratio_gap",
        way,
        (without - with_z).abs().amax(1),
        f"|E(x') - E(x) - (log p(x) - log p(x'))|, with Z in both p; {pairs}",
    )
    plane.add(
        out,
        "log_ratio_shift",
        way,
        (without - shifted).abs().amax(1),
        f"change of E(x') - E(x) when {SHIFT:g} is added to E everywhere; {pairs}",
    )
    plane.add(
        out,
        "log_ratio_to_truth",
        way,
        (without - true).abs().median(1).values,
        "|log p(x)/p(x') by the energy - by the true density|, median over the same pairs, in nats",
    )


def summarise(plane: Plane, out: Measured) -> None:
    """What the lecture says of all energies alike, over densities and ways."""
    ways = ("cd", "ml", "ebgan")
    seeds = [str(seed) for seed in plane.asked.seeds]

    def over(measure: str, names: Sequence[str]) -> dict[str, list[float]]:
        found = [out.values[f"{measure}_{d}@{w}"] for w in names for d in plane.densities]
        return {seed: [values[seed] for values in found] for seed in seeds}

    gaps = over("log_ratio_gap", ways)
    out.add(
        "log_ratio_error",
        {seed: max(values) for seed, values in gaps.items()},
        "largest of log_ratio_gap over densities and ways of training, in nats",
    )
    for name, names in (("kl_untrained", ["untrained"]), ("kl_trained", ways)):
        out.add(
            name,
            {seed: sum(v) / len(v) for seed, v in over("kl", names).items()},
            "mean of KL(p_data || p_model) over the densities"
            + (", nats" if len(names) == 1 else " and the three ways of training, nats"),
        )


def annealed(plane: Plane, out: Measured, way: str, energy: PlaneEnergy) -> None:
    """log Z by annealed importance sampling, beside the grid's."""
    spec = plane.asked.ais
    path = ais.FromGaussian(
        energy, plane.draws(f"ais {way}"), spec.chains, 2, spec.base_sd, spec.step
    )
    weights = ais.log_weights(path, betas(spec))
    found = [ais.estimate(row, path.log_z_0, spec.temperatures) for row in weights]
    log_z = plane.exact.fit(plane.exact.energies(energy)).log_z
    told = (
        f"annealed importance sampling, {spec.chains} chains, {spec.temperatures} temperatures, "
        "one MALA move at each"
    )
    gap = torch.tensor([f.log_z for f in found], dtype=torch.float64) - log_z
    plane.add(out, "log_z_ais_error", way, gap, f"log Z by AIS less log Z by grid, nats; {told}")
    plane.add(
        out,
        "log_z_ais_half_width",
        way,
        torch.tensor([f.high - f.log_z for f in found]),
        f"half the 95 % interval of log Z, nats; {told}",
    )
    plane.add(
        out,
        "ais_effective",
        way,
        torch.tensor([f.effective / f.chains for f in found]),
        f"effective sample size as a share of the chains; {told}",
    )


def betas(spec: PlaneAIS) -> list[float]:
    return [i / (spec.temperatures - 1) for i in range(spec.temperatures)]


def picture(energies: Tensor, grid: Grid) -> Array:
    """Energies at the points of a grid, (k^2,), as (k, k) float32, first axis x."""
    return energies.reshape(grid.k, grid.k).numpy().astype(np.float32)


def _untrained(plane: Plane, out: Measured, energy: PlaneEnergy) -> None:
    """The energy of random weights: nearly a plane, "a line" in a cut."""
    energies = plane.exact.energies(energy)
    _describe(plane, out, "untrained", energy, energies)
    for name in plane.densities:
        row = energies[plane.first(name)]
        out.arrays[f"energy/{name}/untrained"] = picture(row, plane.exact.grid)


def _describe(plane: Plane, out: Measured, way: str, energy: PlaneEnergy, energies: Tensor) -> None:
    grid, found = plane.exact.grid, plane.exact.fit(energies)
    coarse = partition.log_z(energy, Grid(grid.half, grid.k // 2, 2))
    with torch.no_grad():
        held_out = -energy(plane.held_out).double().mean(1) - found.log_z
    inside = (plane.exact.points.abs() < plane.asked.domain.wall).all(1)
    size = f"{grid.k} x {grid.k} points"
    plane.add(out, "log_z", way, found.log_z, f"nats, midpoint rule on {size}")
    plane.add(
        out,
        "log_z_grid_error",
        way,
        (found.log_z - coarse).abs(),
        f"change of log Z from {grid.k // 2} points per axis to {grid.k}, nats",
    )
    plane.add(
        out,
        "log_likelihood",
        way,
        held_out,
        f"mean of -E(x) - log Z in nats, {plane.asked.held_out:,} held-out points, Z by grid",
    )
    plane.add(out, "kl", way, found.kl, f"KL(p_data || p_model) in nats, both on a grid of {size}")
    plane.add(
        out,
        "energy_sd",
        way,
        energies[:, inside].std(1),
        "standard deviation of the energy over the square within the walls, nats",
    )
    plane.add(
        out,
        "linear_share",
        way,
        _linear_share(energies[:, inside], plane.exact.points[inside]),
        "share of the energy's variance over that square that the best plane a + b'x explains",
    )


def _linear_share(energies: Tensor, points: Tensor) -> Tensor:
    """R^2 of the least-squares plane, (M,)."""
    columns = torch.cat([torch.ones(len(points), 1), points], 1).double()
    solution = torch.linalg.lstsq(columns, energies.T).solution
    rest = energies - (columns @ solution).T
    return 1 - rest.square().sum(1) / (energies - energies.mean(1, keepdim=True)).square().sum(1)


def _numpy(x: Tensor) -> Array:
    return x.detach().numpy().astype(np.float32)
